package wsframe

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gobwas/ws"

	"encke/codes"
)

// testLimit is the message limit of most tests; with it a frame of 126 bytes is too big only when it says so.
var testLimit = Limits{Message: 1 << 16}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// recorder is a Sink that writes down what it is given.
type recorder struct {
	events []string
	stop   bool // stop decoding at each event
}

func (r *recorder) Message(op ws.OpCode, payload []byte) bool {
	r.events = append(r.events, fmt.Sprintf("message %d %q", op, payload))
	return !r.stop
}

func (r *recorder) Control(op ws.OpCode, payload []byte) bool {
	r.events = append(r.events, fmt.Sprintf("control %d %q", op, payload))
	return !r.stop
}

// stream is what a peer sends, and how it is to be read.
type stream struct {
	bytes   []byte
	client  bool // sent by a server to NewClientDecoder
	deflate bool
	lim     Limits
}

func (s stream) decoder() *Decoder {
	if s.client {
		return NewClientDecoder()
	}
	return NewDecoder()
}

// feed decodes the stream in pieces that end at the cuts, as a loop would: what was not consumed comes again in front
// of the next piece. It checks that no byte beyond the piece is touched, that the tail is short, and that nothing is
// kept of what was consumed.
func feed(t testing.TB, d *Decoder, s stream, stop bool, cuts ...int) ([]string, codes.Code) {
	t.Helper()
	var tail []byte
	var p *Partial
	rec := recorder{stop: stop}
	canary := bytes.Repeat([]byte{0xc5}, 16)
	from := 0
	for _, to := range append(slices.Clone(cuts), len(s.bytes)) {
		b := slices.Concat(tail, s.bytes[from:to], canary)
		size := len(b) - len(canary)
		from = to
		n, code := 0, codes.None
		for {
			before := len(rec.events)
			var k int
			k, p, code = d.Decode(p, s.deflate, s.lim, b[n:size], &rec)
			n += k
			if !stop || code != codes.None || len(rec.events) == before {
				break
			}
		}
		if !bytes.Equal(b[size:], canary) {
			t.Fatalf("bytes beyond the input were written to")
		}
		if code != codes.None {
			if p != nil {
				t.Fatalf("a Partial after %v", code)
			}
			return rec.events, code
		}
		tail = slices.Clone(b[n:size])
		if len(tail) >= 140 {
			t.Fatalf("%d bytes left over", len(tail))
		}
		for i := range b {
			b[i] = 0xaa
		}
	}
	d.Release(p)
	return rec.events, codes.None
}

// expect compares what a stream gave with what it should give.
func expect(t testing.TB, what string, events, want []string, code, wantCode codes.Code) {
	t.Helper()
	if code != wantCode || !slices.Equal(events, want) {
		t.Fatalf("%s: got %.300q %v, want %.300q %v", what, events, code, want, wantCode)
	}
}

// frame returns a client's frame with that first byte.
func frame(first byte, payload string) string {
	return string(appendMasked(nil, first, []byte(payload), testKey))
}

// plain returns a server's frame with that first byte.
func plain(first byte, payload string) string {
	return string(append(appendHeader(nil, first, 0, len(payload)), payload...))
}
