// Package longpoll is the HTTP side of the event loops: it finds whole requests in the bytes at hand and makes answers
// as bytes. There is no I/O and no goroutine in it, and an incomplete request never blocks: the bytes and a 32-byte
// [Progress] wait with the connection until more have arrived.
//
// A request goes through four steps, one file each:
//
//	request.go  Assembler.Next: which step is this connection at, is the request whole, hand it out
//	head.go     where the head ends (incremental), and what RFC 9112 says about it (strict, once)
//	chunked.go  where a chunked body ends (incremental, strict)
//	response.go answers, error answers and the heads of streams
//
// fasthttp parses the head a second time, from exactly the bytes found here, and its result is what handlers see. Two
// parsers that disagree about where a request ends are how requests are smuggled, so every disagreement is a 400 and
// the end of the connection.
//
// The states of a Progress:
//
//	      ┌──────── NeedMore                 ┌─────── NeedMore (Continue: at most once, on entry)
//	      ▼      │                           ▼      │
//	──► head ────┴─ CRLFCRLF ──┬─ length ──► sized ─┴───────────── all there ─┬─► Ready ──► head
//	      │                    ├─ chunked ─► size ─► data ─► … ─► trailer ────┤
//	      │                    └─ neither ────────────────────────────────────┘
//	      └── any breach of a rule, in any state ──► Bad (the connection ends)
//
// Every rule is applied to the bytes in their order, never to "what this read brought": the result is the same however
// the network splits a request.
package longpoll
