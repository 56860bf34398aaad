package wsframe

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"encke/codes"
)

// publication is a text such as is published, of about n bytes.
func publication(n int) []byte {
	r := rand.New(rand.NewPCG(4, 4))
	b := []byte(`{"channel":"news","offset":17,"position":"k3f9zq.17","event":"score","time":1795224000123,"data":{"teams":[`)
	for len(b) < n {
		b = append(b, `{"name":"team `...)
		for range 6 {
			b = append(b, byte('a'+r.IntN(26)))
		}
		b = append(b, `","score":`...)
		b = append(b, byte('0'+r.IntN(10)))
		b = append(b, `,"won":true},`...)
	}
	return append(b, "]}}"...)
}

// TestAppendDeflated reads every message with the standard library, as RFC 7692 section 7.2.2 says.
func TestAppendDeflated(t *testing.T) {
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	cases := []struct {
		name    string
		payload []byte
	}{
		{"one byte", []byte("x")},
		{"hello", []byte("Hello")},
		{"runs", []byte(strings.Repeat("x", 100_000))},
		{"several blocks", publication(300_000)},
		{"noise", noise},
		{"short noise", noise[:100]},
		{"after the others", []byte("Hello")},
	}
	for _, c := range cases {
		frame := AppendDeflated([]byte("before"), ws.OpText, c.payload)
		b, found := bytes.CutPrefix(frame, []byte("before"))
		h, size, ok := parseHeader(b, unmasked, false, true)
		if !found || !ok || !h.Rsv1() || !h.Fin || h.OpCode != ws.OpText || int(h.Length) != len(b)-size {
			t.Fatalf("%s: header %+v of %d bytes", c.name, h, len(b))
		}
		got, err := io.ReadAll(flate.NewReader(strings.NewReader(string(b[size:]) + inflateTail)))
		if err != nil || !bytes.Equal(got, c.payload) {
			t.Errorf("%s: %v, %d bytes", c.name, err, len(got))
		}
		if bytes.HasSuffix(b, []byte(flushMark)) {
			t.Errorf("%s: the flush mark was left", c.name)
		}
		if most := deflatedLimit(len(c.payload)); len(b)-size > most {
			t.Errorf("%s: %d bytes, the decoder takes %d", c.name, len(b)-size, most)
		}
	}
	if got := AppendDeflated(nil, ws.OpBinary, nil); string(got) != "\xc2\x01\x00" {
		t.Errorf("empty: %x", got)
	}
}

// TestAppendDeflatedTogether has several goroutines share the pool.
func TestAppendDeflatedTogether(t *testing.T) {
	want := AppendDeflated(nil, ws.OpText, publication(1000))
	var wg sync.WaitGroup
	for range 4 { // each ends after its 100 rounds
		wg.Go(func() {
			for range 100 {
				if got := AppendDeflated(nil, ws.OpText, publication(1000)); !bytes.Equal(got, want) {
					t.Error("a different frame")
				}
			}
		})
	}
	wg.Wait()
}

// TestFitsWindow checks the bound, and that what fits has no reference beyond it.
func TestFitsWindow(t *testing.T) {
	cases := []struct {
		length int
		bits   uint8
		want   bool
	}{
		{0, 8, true}, {256, 8, true}, {257, 8, false}, {512, 9, true}, {513, 9, false},
		{16384, 14, true}, {16385, 14, false}, {32769, 15, true}, {1 << 30, 15, true},
	}
	for _, c := range cases {
		if got := FitsWindow(c.length, c.bits); got != c.want {
			t.Errorf("%d bytes in %d bits: %v", c.length, c.bits, got)
		}
	}
}

// TestZipBomb checks that inflating stops at the limit and takes memory in proportion to it.
func TestZipBomb(t *testing.T) {
	bomb := deflated(strings.Repeat("\x00", 64<<20))
	const limit = 1 << 17
	for _, raw := range []string{frame(0xc2, bomb), frame(0x42, bomb[:1000]) + frame(0x80, bomb[1000:])} {
		d, b := NewDecoder(), []byte(raw)
		d.inflater.restart([]byte("\x01\x00\x00\xff\xff"))
		rec := new(recorder)
		_, _, code := d.Decode(nil, true, Limits{Message: limit}, b, rec)
		if code != codes.FrameTooBig || rec.events != nil {
			t.Fatalf("%d bytes for 64 MiB: %v", len(bomb), code)
		}
		if left := d.inflater.src.Len(); left < len(bomb)/2 {
			t.Errorf("read on: %d of %d bytes are left", left, len(bomb))
		}
	}
}
