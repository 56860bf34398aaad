// Package model holds a running encke to its promise: every subscriber of a channel is given publications in offset order, each
// once, without a gap, or is told of the gap; who follows who is in a channel knows it; a letter comes until it is
// acknowledged. Some hundred clients lead random lives over every transport, through proxies that delay, cut, slice and
// swallow, while publishers push again what was not answered and the server is killed. A model without any I/O (truth.go to
// quick.go) says of every single delivery whether it was allowed.
//
//	go test ./tests/model                                        all scenarios, 38 seconds
//	TORTURE_SECONDS=3600 go test -timeout 0 -v ./tests/model     for an hour
//	TORTURE_CHECKS=10000000 go test -timeout 0 -v ./tests/model  until so many deliveries have been checked
//	TORTURE_SEED=17 …                                            the same random choices again
//	TORTURE_NORACE=1 …                                           a server without the race detector, five times as fast
//	TORTURE_BINARY=/path/encke …                                 a server that is built already
//
// -run TestTorture/kills runs one scenario. A failure prints the seed and the last things that the client concerned did.
//
// Reading order: place.go, message.go, object.go (what is sent); truth.go (what was pushed); subscriber.go, session.go, gap.go,
// told.go, raw.go, quick.go (whether what a connection is given was allowed); roster.go, roll.go (the same of who is in a
// channel), box.go, letters.go (and of letters); client.go, link.go, ws.go, commands.go, lines.go, poll.go, answer.go
// (subscribers); people.go, visits.go (those that have a token); publisher.go, postman.go; faults.go, patience.go, server.go
// (what goes wrong); run.go (a scenario from its seed); quiet.go (what has to be true in the end); journal.go, tally.go (what
// is reported).
package model
