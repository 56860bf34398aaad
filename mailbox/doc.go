// Package mailbox keeps messages to users who are away, until they are acknowledged. It is pure: no socket, no HTTP, no
// goroutine and no clock of its own. Times are Unix milliseconds and given by the caller.
//
// Reading order: letter.go, serial.go (where ids come from), ring.go, box.go (the letters of one user), ledger.go (the age
// order over users), keys.go (message ids, so that a message put twice is one letter), boxes.go (the shards), put.go,
// read.go, acknowledge.go, sweep.go, counts.go.
//
// # The promise
//
// A letter stays until it is acknowledged, deleted, or dropped for one of four reasons: the user has too many letters, or
// too many bytes of them; its time is over; all letters together take too much memory. Each end is counted under one
// reason, so that at every moment put = acknowledged + deleted + dropped + letters.
//
// The letters of one user are in id order, and they become visible in that order: who has read up to an id with After
// will find everything later above that id. Put therefore is enough to wake a reader, who then asks After; letters handed
// on as Put returns them may overtake each other when several put for one user.
//
// # Locks
//
// Boxes.sweeping, then one shard.mu. No two shards are ever locked at once: letters are dropped for memory after the shard
// of the new letter was left. The only foreign code that runs under a lock is the encode function that Put is given.
package mailbox
