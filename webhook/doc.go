// Package webhook talks to the site's backend of Encke's own accord, by signed POST requests. A Sender tells it of changes
// of state: who came online, which channels are read by nobody any more. An Asker asks it whether something is allowed. The
// package knows nothing of connections.
//
// The two use different HTTP clients for one reason each: a telling under way has to end when Close's context does, which
// net/http can; of questions there are many at once, each with a goroutine that can wait, which is what fasthttp is for.
// Neither follows a redirect nor heeds the proxies of the environment: a signed request goes where it was told to.
//
// Reading order: target.go and signature.go (what is sent where, and what the backend verifies); event.go, queue.go (what waits
// to be told), config.go, sender.go, attempt.go; question.go, asker.go, conn.go (connections that are looked at before they are
// used again).
package webhook
