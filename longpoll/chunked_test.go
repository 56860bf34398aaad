package longpoll

import (
	"fmt"
	"strings"
	"testing"
)

// chunkedPost is a chunked POST with that body, framing and all.
func chunkedPost(body string) string { return post("Transfer-Encoding: chunked") + body }

func TestChunked(t *testing.T) {
	const end = "0\r\n\r\n"
	checkRules(t, []rule{
		{"one", chunkedPost("5\r\nhello\r\n" + end), "POST / =hello"},
		{"none", chunkedPost(end), "POST /"},
		{"coding in other case", post("transfer-encoding: Chunked") + "2\r\nhi\r\n" + end, "POST / =hi"},
		{"two", chunkedPost("3\r\nhel\r\n2\r\nlo\r\n" + end), "POST / =hello"},
		{"hex", chunkedPost("A\r\n0123456789\r\na\r\n0123456789\r\n" + end), "POST / =01234567890123456789"},
		{"data that looks like framing", chunkedPost("5\r\n0\r\n\r\n\r\n" + end), "POST / =0\r\n\r\n"},
		{"several zeros", chunkedPost("5\r\nhello\r\n000\r\n\r\n"), "POST / =hello"},
		{"15 digits", chunkedPost("000000000000005\r\nhello\r\n" + end), "POST / =hello"},
		{"16 digits", chunkedPost("0000000000000005\r\nhello\r\n" + end), "bad_chunk"},
		{"16 digits, at once", chunkedPost("0000000000000005"), "bad_chunk"},
		{"at the limit", chunkedPost("64\r\n" + pad(100) + "\r\n" + end), "POST / =" + pad(100)},
		{"over the limit", chunkedPost("65\r\n" + pad(101) + "\r\n" + end), "body_too_large"},
		{"sum over the limit", chunkedPost("64\r\n" + pad(100) + "\r\n1\r\nx\r\n" + end), "body_too_large"},
		{"int overflow", chunkedPost("fffffffffffffff0\r\n"), "body_too_large"},
		{"extension", chunkedPost("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n"), "POST / =hello"},
		{"empty extension", chunkedPost("5;\r\nhello\r\n" + end), "POST / =hello"},
		{"extension at the limit", chunkedPost("5;" + pad(256) + "\r\nhello\r\n" + end), "POST / =hello"},
		{"extension over the limit", chunkedPost("5;" + pad(257) + "\r\nhello\r\n" + end), "bad_chunk"},
		{"extension with LF", chunkedPost("5;a\nhello\r\n" + end), "bad_chunk"},
		{"extension with CR", chunkedPost("5;a\rb\r\nhello\r\n" + end), "bad_chunk"},
		{"extension with NUL", chunkedPost("5;\x00\r\nhello\r\n" + end), "bad_chunk"},
		{"space before the extension", chunkedPost("5 ;a\r\nhello\r\n" + end), "bad_chunk"},
		{"space before the size", chunkedPost(" 5\r\nhello\r\n" + end), "bad_chunk"},
		{"space behind the size", chunkedPost("5 \r\nhello\r\n" + end), "bad_chunk"},
		{"plus", chunkedPost("+5\r\nhello\r\n" + end), "bad_chunk"},
		{"minus", chunkedPost("-5\r\nhello\r\n" + end), "bad_chunk"},
		{"0x", chunkedPost("0x5\r\nhello\r\n" + end), "bad_chunk"},
		{"underscore", chunkedPost("0_5\r\nhello\r\n" + end), "bad_chunk"},
		{"no hex", chunkedPost("g\r\nhello\r\n" + end), "bad_chunk"},
		{"no size", chunkedPost("\r\nhello\r\n" + end), "bad_chunk"},
		{"only an extension", chunkedPost(";a\r\nhello\r\n" + end), "bad_chunk"},
		{"LF behind the size", chunkedPost("5\nhello\r\n" + end), "bad_chunk"},
		{"CR alone behind the size", chunkedPost("5\rhello\r\n" + end), "bad_chunk"},
		{"LF behind the data", chunkedPost("5\r\nhello\n" + end), "bad_chunk"},
		{"CR alone behind the data", chunkedPost("5\r\nhello\r0\r\n\r\n"), "bad_chunk"},
		{"size too small", chunkedPost("4\r\nhello\r\n" + end), "bad_chunk"},
		{"size too big", chunkedPost("6\r\nhello\r\n" + end), "bad_chunk"},
		{"incomplete size", chunkedPost("5"), "more"},
		{"incomplete data", chunkedPost("5\r\nhel"), "more"},
		{"no last chunk", chunkedPost("5\r\nhello\r\n"), "more"},
		{"no end of the trailer", chunkedPost("5\r\nhello\r\n0\r\n"), "more"},
		{"another behind", chunkedPost("2\r\nhi\r\n"+end) + get(), "POST / =hi | GET /"},
		{"GET", get("Transfer-Encoding: chunked") + "2\r\nhi\r\n" + end, "GET / =hi"},
	})
}

func TestTrailer(t *testing.T) {
	checkRules(t, []rule{
		{"one line", chunkedPost("2\r\nhi\r\n0\r\nA: b\r\n\r\n"), "POST / =hi"},
		{"two lines and a request", chunkedPost("0\r\nA: b\r\nC: d\r\n\r\n") + get(), "POST / | GET /"},
		{"a Content-Length is ignored", chunkedPost("0\r\nContent-Length: 5\r\n\r\n") + get(), "POST / | GET /"},
		{"bare LF", chunkedPost("0\r\nA: b\n\r\n"), "bad_chunk"},
		{"bare LF at the end", chunkedPost("0\r\nA: b\r\n\n"), "bad_chunk"},
		{"bare LF alone", chunkedPost("0\r\n\n"), "bad_chunk"},
		{"bare CR", chunkedPost("0\r\nA: b\rc\r\n\r\n"), "bad_chunk"},
		{"NUL", chunkedPost("0\r\nA: \x00\r\n\r\n"), "bad_chunk"},
		{"folded", chunkedPost("0\r\nA: b\r\n c\r\n\r\n"), "bad_chunk"},
		{"no colon", chunkedPost("0\r\nAb\r\n\r\n"), "bad_chunk"},
		{"space before the colon", chunkedPost("0\r\nA : b\r\n\r\n"), "bad_chunk"},
		{"at the limit", chunkedPost("0\r\nA:" + pad(194) + "\r\n\r\n"), "POST /"},
		{"over the limit", chunkedPost("0\r\nA:" + pad(195) + "\r\n\r\n"), "header_too_large"},
		{"endless", chunkedPost("0\r\nA:" + pad(400)), "header_too_large"},
	})
}

// TestTrailerIsDropped: a field behind the body is no header.
func TestTrailerIsDropped(t *testing.T) {
	var p Progress
	input := chunkedPost("2\r\nhi\r\n0\r\nEncke-Event: x\r\n\r\n")
	req, n, _, status, _, _ := NewAssembler().Next([]byte(input), &p, testLimits)
	if status != Ready || n != len(input) || len(req.Header.Peek("Encke-Event")) != 0 {
		t.Fatalf("status %d, n %d, event %q", status, n, req.Header.Peek("Encke-Event"))
	}
}

// TestFramingIsBounded: a client may send a byte a chunk, but no more framing than maxFraming.
func TestFramingIsBounded(t *testing.T) {
	lim := Limits{Header: 1000, Body: 64 << 10}
	longest := "5;" + pad(maxExtension) + "\r\nhello\r\n"
	for _, c := range []struct {
		name, chunk string
		count       int
		want        string
	}{
		{"a byte a chunk", "1\r\nx\r\n", 10000, ""},
		{"lines", "40\r\n" + pad(64) + "\r\n", 1024, ""},
		{"zeros", "000000000000001\r\nx\r\n", 1000, ""},
		{"too many zeros", "000000000000001\r\nx\r\n", 3000, "bad_chunk"},
		{"extensions", longest, 60, ""},
		{"too many extensions", longest, 100, "bad_chunk"},
	} {
		input := chunkedPost(strings.Repeat(c.chunk, c.count) + "0\r\n\r\n")
		var cuts []int
		for i := 977; i < len(input); i += 977 {
			cuts = append(cuts, i)
		}
		whole := feed(t, NewAssembler(), []byte(input), lim)
		if whole.end != c.want {
			t.Errorf("%s: %q (%s), want %q", c.name, whole.end, whole.detail, c.want)
		}
		same(t, c.name, feed(t, NewAssembler(), []byte(input), lim, cuts...), whole)
	}
}

// TestManySizes compares with a plain encoder over many sizes of chunks.
func TestManySizes(t *testing.T) {
	lim := Limits{Header: 1000, Body: 1 << 20}
	a := NewAssembler()
	for size := 1; size < 70000; size = size*3 + 1 {
		var body, coded strings.Builder
		for i := range 5 {
			chunk := strings.Repeat(string(rune('a'+i)), size)
			body.WriteString(chunk)
			fmt.Fprintf(&coded, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		o := feed(t, a, []byte(chunkedPost(coded.String()+"0\r\n\r\n")+get()), lim, 50, 100, 110)
		if len(o.requests) != 2 || o.requests[0].body != body.String() || o.end != "" {
			t.Fatalf("size %d: %d requests, end %q %s", size, len(o.requests), o.end, o.detail)
		}
	}
}
