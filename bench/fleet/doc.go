// Package fleet is a set of simulated clients on the project's own event loops, without a goroutine or a heap object for
// each: they connect over any transport, verify every delivery, drop and come back, read slowly or not at all.
//
// Reading order: fleet.go (what a fleet can do), client.go (a client's record), token.go (what it says who it is), loop.go (its
// loop), ramp.go (connecting), deliver.go (verification), then one file a transport: ws.go, lines.go (SSE and stream), poll.go
// (long and interval polls). service.go puts a fleet into a process of its own, commanded over a pipe or a connection.
package fleet
