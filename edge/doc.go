// Package edge puts the parts together: a client's life over any transport, commands, the index of subscribers of each
// loop, fan-out, the backend's API, limits and figures.
//
// Each loop has a reactor, which is its netloop.Handler and owns everything about the loop's connections. What several
// goroutines see is the channel store (its own locks), atomic figures and the loops' mailboxes.
package edge
