// Package model holds a running encke to its promise: every subscriber of a channel is given publications in offset order,
// each once, without a gap, or is told of the gap. Some hundred clients lead random lives over every transport, through
// proxies that delay, cut, slice and swallow, while publishers push again what was not answered and the server is killed.
// A model without any I/O (truth.go, session.go) says of every single delivery whether it was allowed.
//
// Reading order: place.go, message.go, truth.go, session.go (the model); client.go, link.go, ws.go, raw.go, lines.go,
// poll.go (subscribers); publisher.go; faults.go, server.go (what goes wrong); run.go (a scenario from its seed).
package model
