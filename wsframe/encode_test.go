package wsframe

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"encke/codes"
)

// TestAppendHeader checks the forms of RFC 6455 section 5.2, against gobwas as well.
func TestAppendHeader(t *testing.T) {
	cases := []struct {
		op     ws.OpCode
		length int
		rsv1   bool
		want   string
	}{
		{ws.OpText, 0, false, "\x81\x00"},
		{ws.OpText, 5, true, "\xc1\x05"},
		{ws.OpPong, 125, false, "\x8a\x7d"},
		{ws.OpBinary, 126, false, "\x82\x7e\x00\x7e"},
		{ws.OpBinary, 65535, true, "\xc2\x7e\xff\xff"},
		{ws.OpBinary, 65536, false, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{ws.OpText, 1 << 32, false, "\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00"},
	}
	for _, c := range cases {
		var w bytes.Buffer
		h := ws.Header{Fin: true, OpCode: c.op, Length: int64(c.length), Rsv: ws.Rsv(c.rsv1, false, false)}
		if err := ws.WriteHeader(&w, h); err != nil || w.String() != c.want {
			t.Errorf("gobwas: %x %v, want %x", w.Bytes(), err, c.want)
		}
		if got := AppendHeader([]byte("before"), c.op, c.length, c.rsv1); string(got) != "before"+c.want {
			t.Errorf("%+v: %x, want %x", h, got, c.want)
		}
	}
}

// TestRoundTrip decodes what was encoded, at the lengths where the form changes and the masking takes another path.
func TestRoundTrip(t *testing.T) {
	server, client, lim := NewDecoder(), NewClientDecoder(), Limits{Message: 1 << 20}
	for _, size := range []int{0, 1, 2, 3, 4, 15, 16, 17, 63, 64, 65, 124, 125, 126, 127, 4095, 65535, 65536, 65537, 1 << 20} {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(i * 31)
		}
		before := bytes.Clone(payload)
		want := []string{fmt.Sprintf("message 2 %q", payload)}
		for key := range byte(4) {
			b := AppendMasked(nil, ws.OpBinary, payload, [4]byte{key, 0x80, 0xff, 7}, true)
			cuts := []int{min(len(b), size/3), min(len(b), size/2+3)}
			events, code := feed(t, server, stream{bytes: b, lim: lim}, false, cuts...)
			expect(t, fmt.Sprint("masked ", size), events, want, code, codes.None)
		}
		if !bytes.Equal(payload, before) {
			t.Fatal("AppendMasked wrote to the payload")
		}
		for _, b := range [][]byte{AppendFrame(nil, ws.OpBinary, payload), AppendDeflated(nil, ws.OpBinary, payload)} {
			s := stream{bytes: b, client: true, deflate: true, lim: lim}
			events, code := feed(t, client, s, false)
			expect(t, fmt.Sprint("server ", size), events, want, code, codes.None)
			events, code = feed(t, client, s, false, len(b)/2)
			expect(t, fmt.Sprint("server, split ", size), events, want, code, codes.None)
		}
	}
	b := AppendMasked(nil, ws.OpText, []byte("Hel"), testKey, false)
	b = AppendMasked(b, ws.OpContinuation, []byte("lo"), testKey, true)
	events, code := feed(t, server, stream{bytes: b, lim: lim}, false)
	expect(t, "fragments", events, []string{gotHello}, code, codes.None)
}
