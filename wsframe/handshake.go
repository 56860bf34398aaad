package wsframe

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"

	"encke/codes"
)

// Request is what the handshake needs of an HTTP request. The values are those of the headers, "" or nil when absent;
// several lines of one name are joined by ", ".
type Request struct {
	Method []byte // must be GET
	HTTP11 bool   // HTTP/1.1 or higher

	Host, Upgrade, Connection []byte
	Key, Version              []byte // Sec-WebSocket-Key, -Version
	Protocols, Extensions     []byte // Sec-WebSocket-Protocol, -Extensions
}

// Options is what the server offers.
type Options struct {
	Protocols []string // those the server speaks; the first is taken when the client names none
	Deflate   bool     // accept permessage-deflate
}

// Handshake is what was agreed.
type Handshake struct {
	Protocol   int   // index into Options.Protocols; 0 when the client named none that the server speaks
	Named      bool  // the answer names it
	Deflate    bool  // permessage-deflate is in force, without context takeover in either direction
	ServerBits uint8 // largest window, 8 to 15, the client lets the server use: see FitsWindow
}

const (
	answerHead = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	deflateYes = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"

	keyLength = 24 // base64 of 16 bytes
	keyGUID   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Accept checks the request (RFC 6455 section 4.2.1) and appends the head of the 101 answer to dst, with the header
// lines of extra ("A: b\r\n") as they are. The code is None then. Otherwise nothing is appended and the code is
// UpgradeRequired when the version is not 13 (the caller answers with Sec-WebSocket-Version: 13, section 4.4), else
// BadHandshake. Nothing of r is kept.
func Accept(dst []byte, r Request, o Options, extra []byte) ([]byte, Handshake, codes.Code) {
	key := trim(r.Key)
	if code := check(r, key); code != codes.None {
		return dst, Handshake{}, code
	}
	h := Handshake{ServerBits: fullBits}
	var deflate offer
	ok := true
	if len(r.Protocols) > 0 {
		h.Protocol, h.Named, ok = Choose(r.Protocols, o.Protocols)
	}
	if len(r.Extensions) > 0 && ok {
		deflate, h.Deflate, ok = negotiate(r.Extensions)
		h.Deflate = h.Deflate && o.Deflate
	}
	if !ok {
		return dst, Handshake{}, codes.BadHandshake
	}

	dst = append(dst, answerHead...)
	dst = appendAccept(dst, key)
	if h.Named {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, o.Protocols[h.Protocol]...)
	}
	if h.Deflate {
		dst = append(dst, deflateYes...)
		if deflate.bits != 0 {
			h.ServerBits = deflate.bits
			dst = append(dst, "; server_max_window_bits="...)
			dst = strconv.AppendUint(dst, uint64(deflate.bits), 10)
		}
	}
	dst = append(dst, "\r\n"...)
	dst = append(dst, extra...)
	return append(dst, "\r\n"...), h, codes.None
}

// check enforces the points of RFC 6455 section 4.2.1 in their order, but the version before the key, since other
// versions have other keys.
func check(r Request, key []byte) codes.Code {
	switch {
	case string(r.Method) != "GET" || !r.HTTP11: // 1
		return codes.BadHandshake
	case len(trim(r.Host)) == 0: // 2
		return codes.BadHandshake
	case !equalFold(trim(r.Upgrade), "websocket"): // 3
		return codes.BadHandshake
	case !hasToken(r.Connection, "upgrade"): // 4
		return codes.BadHandshake
	case string(trim(r.Version)) != "13": // 6
		return codes.UpgradeRequired
	case !validKey(key): // 5
		return codes.BadHandshake
	}
	return codes.None
}

// validKey says whether the key is base64 of 16 bytes.
func validKey(key []byte) bool {
	if len(key) != keyLength {
		return false
	}
	var raw [keyLength / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(raw[:], key)
	return err == nil && n == 16
}

// Choose returns the first of the client's subprotocols (RFC 6455 section 4.2.1, 8) that the server speaks. When there
// is none the answer names none and the client decides (section 4.2.2, 5). ok is false when the header is malformed.
func Choose(header []byte, spoken []string) (index int, named, ok bool) {
	s := scanner{header}
	elements := 0
	for ; s.element(); elements++ {
		name := s.token()
		if len(name) == 0 || !s.endElement() {
			return 0, false, false
		}
		for i := 0; i < len(spoken) && !named; i++ {
			if spoken[i] == string(name) {
				index, named = i, true
			}
		}
	}
	return index, named, elements > 0
}

// appendAccept appends Sec-WebSocket-Accept for a key of keyLength bytes (RFC 6455 section 4.2.2, 5).
func appendAccept(dst, key []byte) []byte {
	var in [keyLength + len(keyGUID)]byte
	copy(in[copy(in[:], key):], keyGUID)
	sum := sha1.Sum(in[:])
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
