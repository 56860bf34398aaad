// Package channel is the core of Encke: named streams, what is kept of them, and the positions from which clients go on.
// It is pure: no socket, no HTTP, no goroutine and no clock of its own. Every call that depends on time is given it.
//
// Reading order: name.go, position.go, message.go (what a publisher gives and how it is classified), publication.go (the
// wire object), forms.go, history.go (the ring of a channel), ledger.go (the age order over channels), channel.go,
// store.go, publish.go, subscribe.go, state.go, sweep.go.
//
// # The promise
//
// Offsets in a channel rise by one with each publication and are never used twice within an epoch, not even when the
// channel is removed and made again in between. Subscribe joins history and live in one step: what it returns ends at
// Head, and Sink.Deliver brings Head+1 and everything after it, in order, each once. Where publications after a position
// are no longer kept, the answer has a Gap; it is never silently short.
//
// # Locks
//
// In this order, each optional: Store.sweeping, shard.mu, Channel.mu, ledger.mu. A shard is never locked by somebody who
// holds a channel. No two channels are ever locked at once: eviction for memory happens after the publishing channel was
// left. Forms has a mutex of its own that is held while a form is built; nothing in this package waits for it.
//
// # Removal
//
// A channel with neither subscriber nor history is removed by Sweep or Delete: under the shard's and the channel's lock
// it is marked dead, its head is noted in the shard's floors, and it leaves the map. Who found it before that and locks
// it after sees dead and looks again; the map then has no channel or a new one.
package channel
