// Package bench measures Encke, and servers like it, from the outside: worker processes full of simulated clients, every
// delivery verified, the bare kernel beside it. cmd/encke-bench is its command.
//
// Reading order: options.go (what can be asked for), run.go (a run from beginning to end), target.go (the server under
// test), tokens.go (its clients' secret), crew.go and remote.go (the worker processes), monitor.go (live figures), then one file a scenario (presence.go has
// follower.go and roster.go with it); floor.go is what
// the kernel alone costs. The parts below know nothing of each other's processes: fleet (clients on loops), push (posters
// on loops), floor (raw system calls), wire (bytes), proc (/proc), report (what comes out).
package bench
