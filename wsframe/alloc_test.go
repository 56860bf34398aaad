package wsframe

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"encke/codes"
)

// counter is a Sink that keeps nothing.
type counter struct{ messages, controls, bytes int }

func (c *counter) Message(_ ws.OpCode, b []byte) bool { c.messages++; c.bytes += len(b); return true }
func (c *counter) Control(_ ws.OpCode, b []byte) bool { c.controls++; c.bytes += len(b); return true }

// TestAllocations asserts that nothing on the way of a frame allocates once the buffers are there.
func TestAllocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	text := publication(4000)
	packed := deflated(string(text))
	cases := []struct {
		name string
		wire string
		cut  int // fed in two pieces when > 0
	}{
		{"text of 5", frame(0x81, "Hello"), 0},
		{"text of 4000", frame(0x81, string(text)), 0},
		{"ping", frame(0x89, "Hello"), 0},
		{"fragments", frame(0x01, string(text[:100])) + frame(0x00, string(text[100:2000])) + frame(0x80, string(text[2000:])), 0},
		{"in two pieces", frame(0x81, string(text)), 1000},
		{"compressed", frame(0xc1, packed), 0},
		{"compressed in two pieces", frame(0xc1, packed), 100},
		{"compressed in fragments", frame(0x41, packed[:10]) + frame(0x80, packed[10:]), 0},
	}
	for _, c := range cases {
		d, s, b := NewDecoder(), new(counter), make([]byte, len(c.wire))
		got := testing.AllocsPerRun(100, func() {
			copy(b, c.wire)
			n, p, _ := d.Decode(nil, true, testLimit, b[:c.cut], s)
			n, p, code := d.Decode(p, true, testLimit, b[n:], s)
			if p != nil || code != codes.None || n == 0 {
				t.Fatalf("%s: %v", c.name, code)
			}
		})
		if got != 0 || s.messages+s.controls != 101 {
			t.Errorf("%s: %v allocations, %d messages", c.name, got, s.messages)
		}
	}
	for name, f := range map[string]func(dst []byte) []byte{
		"Accept": func(dst []byte) []byte {
			r := acceptSample
			dst, _, _ = Accept(dst, r, testOptions, nil)
			return dst
		},
		"AppendFrame":    func(dst []byte) []byte { return AppendFrame(dst, ws.OpText, text) },
		"AppendMasked":   func(dst []byte) []byte { return AppendMasked(dst, ws.OpText, text, testKey, true) },
		"AppendClose":    func(dst []byte) []byte { return AppendClose(dst, 1001, "going_away") },
		"AppendDeflated": func(dst []byte) []byte { return AppendDeflated(dst, ws.OpText, text) },
		"CloseReply":     func(dst []byte) []byte { CloseReply(text[:125]); return append(dst, 0) },
	} {
		dst := bytes.NewBuffer(make([]byte, 0, 8192)).AvailableBuffer()
		if got := testing.AllocsPerRun(100, func() { f(dst) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// acceptSample is what a browser sends.
var acceptSample = func() Request {
	r := sample()
	r.Connection = []byte("keep-alive, Upgrade")
	r.Protocols = []byte("encke.raw, encke.json")
	r.Extensions = []byte("permessage-deflate; client_max_window_bits")
	return r
}()
