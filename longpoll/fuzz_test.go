package longpoll

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// FuzzNext: nothing panics, a split changes nothing, and net/http reads the same request from the same bytes.
//
// Where net/http differs on a request that Next took (Next is the stricter one everywhere else):
//   - net/url refuses some targets, for instance a percent sign without two digits; whoever uses the target checks it.
//   - Host: for a target in absolute form net/http takes the target's host (RFC 9112 3.2.2), for CONNECT too.
//   - net/http skips no empty line before the request line; they are cut off here.
//   - net/http allows less chunk framing than maxFraming for some mixtures ("too much non-data").
//   - Connection: net/http finds options in the same lists, but in HTTP/1.0 Next looks for keep-alive in the first
//     line only (fasthttp); a connection too many is closed.
func FuzzNext(f *testing.F) {
	for _, input := range valid {
		f.Add([]byte(input), uint16(10), uint16(20))
		f.Add([]byte("\r\n"+input+input), uint16(30), uint16(60))
	}
	for _, input := range []string{
		"GET / HTTP/1.1\nHost: a\n\n", get("A : b"), get(" a"), post("Content-Length: 5", "Content-Length: 5") + "hello",
		post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", chunkedPost("5 \r\nhello\r\n0\r\n\r\n"),
		chunkedPost("0x5\r\nhello\r\n0\r\n\r\n"), chunkedPost("0\r\nA: b\n\r\n"), get("X: " + pad(300)), "\r", "\x16\x03\x01",
		chunkedPost("ffffffffffffffff\r\n"), post("Transfer-Encoding: gzip"), lines("PRI * HTTP/2.0"),
	} {
		f.Add([]byte(input), uint16(15), uint16(40))
	}
	a := NewAssembler()
	f.Fuzz(func(t *testing.T, input []byte, cut1, cut2 uint16) {
		whole := feed(t, a, input, testLimits)
		lo, hi := min(int(cut1), len(input)), min(int(cut2), len(input))
		if lo > hi {
			lo, hi = hi, lo
		}
		same(t, "cut in three", feed(t, a, input, testLimits, lo, hi), whole)
		if len(input) < 300 {
			cuts := make([]int, len(input))
			for i := range cuts {
				cuts[i] = i + 1
			}
			same(t, "byte by byte", feed(t, a, input, testLimits, cuts...), whole)
		}
		rest := string(input)
		for i, got := range whole.requests {
			compare(t, got, rest[:whole.sizes[i]])
			rest = rest[whole.sizes[i]:]
		}
	})
}

// compare reads one whole request with net/http.
func compare(t *testing.T, got parsed, one string) {
	one = strings.TrimLeft(one, "\r\n")
	want, rest, err := reference(one)
	var target *url.Error
	switch {
	case errors.As(err, &target):
		return
	case err != nil && strings.Contains(err.Error(), "non-data"):
		return
	case err != nil:
		t.Fatalf("%q: net/http: %v", one, err)
	}
	if !strings.HasPrefix(got.target, "/") {
		want.host = got.host
	}
	if strings.Contains(one, "HTTP/1.0\r\n") && !got.keep {
		want.keep = false
	}
	if got != want || rest != "" {
		t.Fatalf("%q:\n  Next %+v\n  http %+v, rest %q", one, got, want, rest)
	}
}
