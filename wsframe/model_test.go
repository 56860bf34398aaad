package wsframe

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"encke/codes"
)

// modelFrame is a frame, or as much of its payload as there is.
type modelFrame struct {
	fin         bool
	rsv, opcode byte
	length      uint64 // announced
	payload     []byte
	rest        []byte // what follows it
}

// control says whether it is a control frame; whole whether all of it is there.
func (f modelFrame) control() bool { return f.opcode >= 8 }
func (f modelFrame) whole() bool   { return uint64(len(f.payload)) == f.length }

// modelHeader reads a frame; ok is false when the header is not complete. open says whether a message is.
func modelHeader(s stream, b []byte, open bool) (f modelFrame, ok bool, code codes.Code) {
	if len(b) < 2 {
		return f, false, codes.None
	}
	f = modelFrame{fin: b[0]>>7 == 1, rsv: b[0] >> 4 & 7, opcode: b[0] & 15, length: uint64(b[1] & 127)}
	isMasked := b[1]>>7 == 1
	switch {
	case isMasked == s.client,
		f.opcode > 2 && f.opcode < 8 || f.opcode > 10,
		f.control() && (!f.fin || f.length > 125 || f.rsv != 0),
		f.opcode == 0 && (!open || f.rsv != 0),
		(f.opcode == 1 || f.opcode == 2) && (open || f.rsv != 0 && !(f.rsv == 4 && s.deflate)):
		return f, false, codes.ProtocolError
	}
	extra := map[uint64]int{126: 2, 127: 8}[f.length]
	head := 2 + extra
	if isMasked {
		head += 4
	}
	if len(b) < head {
		return f, false, codes.None
	}
	if extra > 0 {
		f.length = 0
		for _, c := range b[2 : 2+extra] {
			f.length = f.length<<8 | uint64(c)
		}
		if f.length < 126 || extra == 8 && (f.length < 1<<16 || f.length >= 1<<63) {
			return f, false, codes.ProtocolError
		}
	}
	size := min(f.length, uint64(len(b)-head))
	f.payload, f.rest = bytes.Clone(b[head:][:size]), b[head:][size:]
	for i := range f.payload {
		if isMasked {
			f.payload[i] ^= b[head-4+i%4]
		}
	}
	return f, true, codes.None
}

// model decodes a stream in the plainest way: all bytes at hand, one frame after the other, everything copied.
func model(s stream) (events []string, code codes.Code) {
	b := s.bytes
	var message []byte
	var open, compressed bool
	var op byte
	for {
		f, ok, code := modelHeader(s, b, open)
		if !ok || f.control() && !f.whole() {
			return events, code
		}
		b = f.rest
		if f.control() {
			events = append(events, fmt.Sprintf("control %d %q", f.opcode, f.payload))
			continue
		}
		if !open {
			open, op, compressed, message = true, f.opcode, f.rsv == 4, nil
		}
		limit := s.lim.Message
		if compressed {
			limit = deflatedLimit(limit)
		}
		if uint64(len(message))+f.length > uint64(limit) {
			return events, codes.FrameTooBig
		}
		message = append(message, f.payload...)
		if op == byte(ws.OpText) && !compressed && !textPrefix(message) {
			return events, codes.InvalidUTF8
		}
		if !f.whole() {
			return events, codes.None
		}
		if !f.fin {
			continue
		}
		open = false
		if compressed {
			if message, code = modelInflate(message, s.lim.Message); code != codes.None {
				return events, code
			}
		}
		if op == byte(ws.OpText) && !utf8.Valid(message) {
			return events, codes.InvalidUTF8
		}
		events = append(events, fmt.Sprintf("message %d %q", op, message))
	}
}

// modelInflate is the standard library's DEFLATE, started again after each final block.
func modelInflate(b []byte, limit int) ([]byte, codes.Code) {
	if len(b) == 0 {
		return nil, codes.None
	}
	src := bytes.NewReader(append(bytes.Clone(b), inflateTail...))
	var out []byte
	for src.Len() > 0 {
		more, err := io.ReadAll(io.LimitReader(flate.NewReader(src), int64(limit+1-len(out))))
		out = append(out, more...)
		if len(out) > limit {
			return nil, codes.FrameTooBig
		}
		if err != nil {
			return nil, codes.InvalidUTF8
		}
	}
	return out, codes.None
}

// runePrefixes is every beginning, shorter than the whole, of every encoded rune.
var runePrefixes = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{"": true}
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			e := string(r)
			for n := 1; n < len(e); n++ {
				set[e[:n]] = true
			}
		}
	}
	return set
})

// textPrefix says whether b can be continued to valid text.
func textPrefix(b []byte) bool {
	for cut := len(b); cut >= 0 && cut >= len(b)-3; cut-- {
		if utf8.Valid(b[:cut]) && runePrefixes()[string(b[cut:])] {
			return true
		}
	}
	return false
}
