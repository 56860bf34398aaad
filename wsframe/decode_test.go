package wsframe

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"encke/codes"
)

// hello is "Hello" compressed, from RFC 7692 section 7.2.3.
const (
	hello        = "\xf2\x48\xcd\xc9\xc9\x07\x00"
	helloStored  = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
	helloFinal   = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
	helloTwo     = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
	gotHello     = `message 1 "Hello"`
	gotHelloBack = `control 9 "Hello"`
)

// decodeCases are streams with what they give. All are also fed in pieces.
var decodeCases = []struct {
	name    string
	bytes   string
	deflate bool
	events  []string
	code    codes.Code
}{
	{"nothing", "", false, nil, 0},
	{"text, RFC 6455 5.7", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", false, []string{gotHello}, 0},
	{"fragments", frame(0x01, "Hel") + frame(0x80, "lo"), false, []string{gotHello}, 0},
	{"three fragments", frame(0x02, "a") + frame(0x00, "b") + frame(0x80, "c"), false, []string{`message 2 "abc"`}, 0},
	{"empty text", frame(0x81, ""), false, []string{`message 1 ""`}, 0},
	{"empty binary", frame(0x82, ""), false, []string{`message 2 ""`}, 0},
	{"empty fragments", frame(0x01, "") + frame(0x00, "") + frame(0x80, ""), false, []string{`message 1 ""`}, 0},
	{"empty last fragment", frame(0x01, "Hello") + frame(0x80, ""), false, []string{gotHello}, 0},
	{"ping", frame(0x89, "Hello"), false, []string{gotHelloBack}, 0},
	{"empty ping, pong, close", frame(0x89, "") + frame(0x8a, "") + frame(0x88, ""), false, []string{`control 9 ""`, `control 10 ""`, `control 8 ""`}, 0},
	{"ping of 125", frame(0x89, strings.Repeat("p", 125)), false, []string{`control 9 "` + strings.Repeat("p", 125) + `"`}, 0},
	{"ping between fragments", frame(0x01, "Hel") + frame(0x89, "Hello") + frame(0x80, "lo"), false, []string{gotHelloBack, gotHello}, 0},
	{"126 bytes", frame(0x81, strings.Repeat("x", 126)), false, []string{`message 1 "` + strings.Repeat("x", 126) + `"`}, 0},
	{"two messages", frame(0x81, "Hello") + frame(0x81, "Hello"), false, []string{gotHello, gotHello}, 0},
	{"rune across fragments", frame(0x01, "\xe2\x82") + frame(0x80, "\xac"), false, []string{`message 1 "€"`}, 0},
	{"ping within a rune", frame(0x01, "\xf0") + frame(0x89, "") + frame(0x00, "\x9f\x98") + frame(0x80, "\x80"), false, []string{`control 9 ""`, `message 1 "😀"`}, 0},
	{"header alone", "\x81\x85\x37\xfa", false, nil, 0},
	{"part of a message", frame(0x81, "Hello")[:8], false, nil, 0},
	{"part of a ping", frame(0x89, "Hello")[:8], false, nil, 0},

	{"not masked", plain(0x81, "Hello"), false, nil, codes.ProtocolError},
	{"not masked, empty", plain(0x81, ""), false, nil, codes.ProtocolError},
	{"rsv1 without deflate", frame(0xc1, hello), false, nil, codes.ProtocolError},
	{"rsv2", frame(0xa1, "x"), true, nil, codes.ProtocolError},
	{"rsv3", frame(0x91, "x"), true, nil, codes.ProtocolError},
	{"rsv1 and 2", frame(0xe1, hello), true, nil, codes.ProtocolError},
	{"rsv1 on a continuation", frame(0x41, hello[:3]) + frame(0xc0, hello[3:]), true, nil, codes.ProtocolError},
	{"rsv1 on a ping", frame(0xc9, ""), true, nil, codes.ProtocolError},
	{"opcode 3", frame(0x83, ""), false, nil, codes.ProtocolError},
	{"opcode 7", frame(0x87, ""), false, nil, codes.ProtocolError},
	{"opcode 11", frame(0x8b, ""), false, nil, codes.ProtocolError},
	{"opcode 15", frame(0x8f, ""), false, nil, codes.ProtocolError},
	{"opcode 3 within a message", frame(0x01, "x") + frame(0x83, ""), false, nil, codes.ProtocolError},
	{"fragmented ping", frame(0x09, "x"), false, nil, codes.ProtocolError},
	{"ping of 126", frame(0x89, strings.Repeat("p", 126)), false, nil, codes.ProtocolError},
	{"close of 126", frame(0x88, strings.Repeat("p", 126)), false, nil, codes.ProtocolError},
	{"continuation of nothing", frame(0x80, "x"), false, nil, codes.ProtocolError},
	{"continuation after a message", frame(0x81, "Hello") + frame(0x00, "x"), false, []string{gotHello}, codes.ProtocolError},
	{"message within a message", frame(0x01, "x") + frame(0x81, "y"), false, nil, codes.ProtocolError},
	{"length with its top bit", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00kkkk", false, nil, codes.ProtocolError},
	{"length 125 in 16 bits", "\x82\xfe\x00\x7dkkkk", false, nil, codes.ProtocolError},
	{"length 65535 in 64 bits", "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffkkkk", false, nil, codes.ProtocolError},

	{"too big", "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01kkkk", false, nil, codes.FrameTooBig},
	{"much too big", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffkkkk", false, nil, codes.FrameTooBig},
	{"fragments too big", frame(0x02, "x") + "\x80\xff\x00\x00\x00\x00\x00\x01\x00\x00kkkk", false, nil, codes.FrameTooBig},
	{"fragments much too big", frame(0x02, "x") + "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xffkkkk", false, nil, codes.FrameTooBig},
	{"compressed much too big", "\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xffkkkk", true, nil, codes.FrameTooBig},

	{"not UTF-8", frame(0x81, "a\xffb"), false, nil, codes.InvalidUTF8},
	{"cut off rune", frame(0x81, "a\xe2\x82"), false, nil, codes.InvalidUTF8},
	{"cut off rune in fragments", frame(0x01, "a\xe2") + frame(0x80, "\x82"), false, nil, codes.InvalidUTF8},
	{"binary may be anything", frame(0x82, "\xff\xfe"), false, []string{`message 2 "\xff\xfe"`}, 0},
	{"fails before the frame's end", frame(0x81, "\xed\xa0 and more")[:8], false, nil, codes.InvalidUTF8},
	{"fails in the first fragment", frame(0x01, "\xf4\x90") + frame(0x89, ""), false, nil, codes.InvalidUTF8},

	{"compressed", frame(0xc1, hello), true, []string{gotHello}, 0},
	{"compressed in fragments", frame(0x41, hello[:3]) + frame(0x89, "Hello") + frame(0x80, hello[3:]), true, []string{gotHelloBack, gotHello}, 0},
	{"compressed in a stored block", frame(0xc1, helloStored), true, []string{gotHello}, 0},
	{"compressed in a final block", frame(0xc1, helloFinal), true, []string{gotHello}, 0},
	{"compressed in two blocks", frame(0xc1, helloTwo), true, []string{gotHello}, 0},
	{"blocks after a final block", frame(0xc1, helloFinal[:7]+helloFinal[:7]+hello), true, []string{`message 1 "HelloHelloHello"`}, 0},
	{"compressed empty", frame(0xc1, "\x00"), true, []string{`message 1 ""`}, 0},
	{"compressed empty, no byte", frame(0xc1, ""), true, []string{`message 1 ""`}, 0},
	{"compressed empty in fragments", frame(0x42, "") + frame(0x80, ""), true, []string{`message 2 ""`}, 0},
	{"uncompressed though negotiated", frame(0x81, "Hello"), true, []string{gotHello}, 0},
	{"compressed twice", frame(0xc1, hello) + frame(0xc1, hello), true, []string{gotHello, gotHello}, 0},
	{"reference into the last message", frame(0xc1, hello) + frame(0xc1, "\xf2\x00\x11\x00\x00"), true, []string{gotHello}, codes.InvalidUTF8},
	{"final block without padding", frame(0xc1, helloFinal[:7]), true, nil, codes.InvalidUTF8},
	{"bad block type", frame(0xc1, "\x06"), true, nil, codes.InvalidUTF8},
	{"bad stored length", frame(0xc1, "\x00\x05\x00\x05\x00Hello\x00"), true, nil, codes.InvalidUTF8},
	{"cut off compressed", frame(0xc1, hello[:4]), true, nil, codes.InvalidUTF8},
	{"compressed text not UTF-8", frame(0xc1, "\x00\x01\x00\xfe\xff\xff\x00"), true, nil, codes.InvalidUTF8},
	{"compressed binary", frame(0xc2, "\x00\x01\x00\xfe\xff\xff\x00"), true, []string{`message 2 "\xff"`}, 0},
}

// TestDecode feeds each case whole, split at each byte, at each two bytes, byte by byte, and with a sink that stops.
func TestDecode(t *testing.T) {
	for _, c := range decodeCases {
		t.Run(c.name, func(t *testing.T) {
			s := stream{bytes: []byte(c.bytes), deflate: c.deflate, lim: testLimit}
			events, code := model(s)
			expect(t, "the model", events, c.events, code, c.code)
			everySplit(t, s, c.events, c.code)
		})
	}
}

// TestDecodeClient feeds a client's decoder what a server sends.
func TestDecodeClient(t *testing.T) {
	cases := []struct {
		name, bytes string
		events      []string
		code        codes.Code
	}{
		{"text", plain(0x81, "Hello"), []string{gotHello}, 0},
		{"fragments", plain(0x01, "Hel") + plain(0x89, "Hello") + plain(0x80, "lo"), []string{gotHelloBack, gotHello}, 0},
		{"compressed", plain(0xc1, hello), []string{gotHello}, 0},
		{"length 126", string(AppendFrame(nil, ws.OpBinary, make([]byte, 126))), []string{`message 2 "` + strings.Repeat(`\x00`, 126) + `"`}, 0},
		{"masked", frame(0x81, "Hello"), nil, codes.ProtocolError},
		{"masked, empty", frame(0x81, ""), nil, codes.ProtocolError},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			everySplit(t, stream{bytes: []byte(c.bytes), client: true, deflate: true, lim: testLimit}, c.events, c.code)
		})
	}
}

// everySplit checks that however a stream is split it gives the same.
func everySplit(t *testing.T, s stream, want []string, wantCode codes.Code) {
	t.Helper()
	d := s.decoder()
	check := func(what string, stop bool, cuts ...int) {
		t.Helper()
		events, code := feed(t, d, s, stop, cuts...)
		expect(t, what, events, want, code, wantCode)
	}
	check("whole", false)
	check("whole, stopping", true)
	var all []int
	for i := range len(s.bytes) {
		all = append(all, i)
		check("split", false, i)
		for j := i; j < len(s.bytes) && len(s.bytes) < 100; j++ {
			check("split twice", false, i, j)
		}
	}
	check("byte by byte", false, all...)
	check("byte by byte, stopping", true, all...)
}

// TestDecodeLimit checks the limit at its edges, of whole, fragmented and compressed messages.
func TestDecodeLimit(t *testing.T) {
	const limit = 1000
	x := func(n int) string { return strings.Repeat("x", n) }
	packed := func(n int) string { return deflated(x(n)) }
	cases := []struct {
		name, bytes string
		code        codes.Code
	}{
		{"at the limit", frame(0x81, x(limit)), 0},
		{"above", frame(0x81, x(limit+1)), codes.FrameTooBig},
		{"above, header alone", frame(0x81, x(limit+1))[:8], codes.FrameTooBig},
		{"fragments at the limit", frame(0x01, x(400)) + frame(0x80, x(600)), 0},
		{"fragments above", frame(0x01, x(400)) + frame(0x80, x(601)), codes.FrameTooBig},
		{"compressed at the limit", frame(0xc1, packed(limit)), 0},
		{"compressed above", frame(0xc1, packed(limit+1)), codes.FrameTooBig},
		{"stored at the limit", frame(0xc1, "\x00\xe8\x03\x17\xfc"+x(limit)+"\x00"), 0},
		{"stored above", frame(0xc1, "\x00\xe9\x03\x16\xfc"+x(limit+1)+"\x00"), codes.FrameTooBig},
		{"a compressed header alone", frame(0xc1, x(2*limit))[:8], codes.FrameTooBig},
	}
	for _, c := range cases {
		s := stream{bytes: []byte(c.bytes), deflate: true, lim: Limits{Message: limit}}
		want := []string{`message 1 "` + x(limit) + `"`}
		if c.code != codes.None {
			want = nil
		}
		events, code := feed(t, NewDecoder(), s, false)
		expect(t, c.name, events, want, code, c.code)
		events, code = feed(t, NewDecoder(), s, false, len(s.bytes)/2)
		expect(t, c.name+", split", events, want, code, c.code)
	}
}

// TestDecodeTakesWhatCame checks that the announced length costs nothing, and what arrived at most twice its size.
func TestDecodeTakesWhatCame(t *testing.T) {
	d, lim := NewDecoder(), Limits{Message: 16 << 20}
	head := []byte("\x82\xff\x00\x00\x00\x00\x01\x00\x00\x00kkkk")
	_, p, code := d.Decode(nil, false, lim, head, new(recorder))
	if code != codes.None || p == nil || p.buf != nil {
		t.Fatalf("a header alone took %d bytes, %v", cap(p.buf), code)
	}
	for came := 0; came < 1<<20; came += 1000 {
		_, p, _ = d.Decode(p, false, lim, make([]byte, 1000), new(recorder))
		if most := max(2*(came+1000), 1<<smallestShift); cap(p.buf) > most {
			t.Fatalf("%d bytes took %d", came+1000, cap(p.buf))
		}
	}
	d.Release(p)
	d.Release(nil)
}

// TestDecodeWithoutCopy checks that a whole message is a part of the input.
func TestDecodeWithoutCopy(t *testing.T) {
	b := []byte(frame(0x82, "Hello"))
	d, s := NewDecoder(), new(pointer)
	if n, p, code := d.Decode(nil, false, testLimit, b, s); n != len(b) || p != nil || code != codes.None || s.first != &b[6] {
		t.Fatalf("copied: %d %v %v", n, p, code)
	}
}

// pointer is a Sink that notes where a payload is.
type pointer struct{ first *byte }

func (p *pointer) Message(_ ws.OpCode, b []byte) bool { p.first = &b[0]; return true }
func (p *pointer) Control(ws.OpCode, []byte) bool     { return true }

// TestReleaseTwice checks that giving a Partial back twice, which would mix up connections, does not pass.
func TestReleaseTwice(t *testing.T) {
	d := NewDecoder()
	_, p, _ := d.Decode(nil, false, testLimit, []byte(frame(0x01, "x")), new(recorder))
	d.Release(p)
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	d.Release(p)
}

// TestBuffers checks the sizes and that what is spare is bounded.
func TestBuffers(t *testing.T) {
	for _, c := range []struct{ n, size int }{{0, 512}, {1, 512}, {512, 512}, {513, 1024}, {65536, 65536}, {65537, 131072}} {
		if got := cap(new(buffers).take(c.n)); got != c.size {
			t.Errorf("take(%d) has %d, want %d", c.n, got, c.size)
		}
	}
	var f buffers
	for range 10000 {
		f.put(make([]byte, 0, 512))
		f.put(make([]byte, 0, 1<<17))
	}
	if got := len(f.spare[0]); got != keepBytes/512 {
		t.Errorf("%d spare buffers", got)
	}
	f.put(nil)
}
