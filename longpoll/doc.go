// Package longpoll is HTTP/1.1 on an event loop: it finds whole requests in the bytes at hand, lets fasthttp parse them
// without a goroutine, and makes responses as bytes. There is no I/O here, and nothing blocks: a request of which a part
// is missing is a Progress of 32 bytes.
//
// Two parsers that disagree are a smuggling hole (RFC 9112 section 11.2). So the strict rules here are checked first, then
// fasthttp gets exactly the bytes that belong to the request, and if it does not consume exactly those, the request is
// refused.
package longpoll
