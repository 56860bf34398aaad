// Package presence knows who is in a channel and says so in a stream beside it: the channel's companion. It is pure: no
// socket, no HTTP, no goroutine and no clock of its own. Every call that depends on time is given it, in Unix milliseconds.
// Time should not go back: departures are late by as much then.
//
// Reading order: mode.go, book.go, channel.go (coming and going), member.go, agenda.go (what Flush has to look at), flush.go,
// publish.go, event.go (the JSON), snapshot.go, totals.go.
//
// # The promise
//
// Whoever takes a Snapshot and applies every event after its Offset has, after each event, the members that had been
// published by then: no change is missed, none is seen twice, nobody joins who is there, nobody leaves who is not. That
// holds while others come and go, while Publish refuses, and when the record of a channel is removed and made again.
//
// # A member
//
//	           Enter            last Leave              Grace over, Flush
//	(absent) ---------> (here) ------------> (in grace) ------------------> (absent)
//	                     |  ^                    |
//	 (absent) <----------+  +--------------------+
//	    last Leave, atOnce    Enter: no event
//
// Besides what a member is, it has what was published of it (member.told). A channel's changes are the members in which
// the two differ: a join and a leave before the next publication cancel out, in either order and over any number of
// refused publications, and what a refused batch leaves behind is bounded by those who are here and those published. A member
// of which both hold is a change as well while followers have to be told of another info (Inform).
//
// # Locks
//
// In this order, each optional: Book.flushing, shard.mu, Channel.mu, agenda.mu. No two channels are locked at once.
// Config.Publish is called with Channel.mu held, Config.Head with Channel.mu or, where there is no record, shard.mu.
//
// # Removal
//
// A record that nobody has open, without members and with nothing to publish, is removed by Close or Flush: under the
// shard's and the channel's lock it is marked dead and leaves the map. Who found it before that and locks it after sees
// dead and looks again.
package presence
