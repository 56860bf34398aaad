// Package wsframe is WebSocket (RFC 6455) with permessage-deflate (RFC 7692) as functions on bytes. It does no I/O,
// starts no goroutine and knows no connection: the caller reads, writes and keeps the state between two calls.
//
// A connection passes through it like this:
//
//	request head ──Accept──▶ 101 head
//	bytes read ──Decoder.Decode──▶ Sink.Message, Sink.Control, or the code with which to close
//	close payload ──CloseReply──▶ what to answer with AppendClose
//	publication ──AppendFrame, AppendDeflated──▶ bytes shared by all subscribers
//
// What is kept of a connection between two calls of Decode is the undecoded tail of its bytes (below 140) and a
// *Partial, which is nil between messages: an idle connection costs nothing here.
//
// Reading order: handshake.go (with offer.go and scan.go), decode.go (with header.go, partial.go, utf8.go, inflate.go,
// buffers.go), encode.go, deflate.go, close.go.
//
// Compression never keeps a window from one message to the next (both no_context_takeover parameters are always
// answered), so that one compressed form serves every subscriber and an idle connection holds no window.
package wsframe
