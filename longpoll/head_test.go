package longpoll

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func pad(n int) string { return strings.Repeat("x", n) }

func TestRequestLine(t *testing.T) {
	checkRules(t, []rule{
		{"1.1", lines("GET /a?b=c HTTP/1.1", "Host: a"), "GET /a?b=c"},
		{"1.0", lines("GET / HTTP/1.0"), "GET / close"},
		{"own method", lines("x-y!1 / HTTP/1.1", "Host: a"), "x-y!1 /"},
		{"absolute form", lines("GET http://a/b HTTP/1.1", "Host: a"), "GET http://a/b"},
		{"asterisk form", lines("OPTIONS * HTTP/1.1", "Host: a"), "OPTIONS *"},
		{"authority form", lines("CONNECT a:1 HTTP/1.1", "Host: a"), "CONNECT a:1"},
		{"obs-text in target", lines("GET /\xff HTTP/1.1", "Host: a"), "GET /\xff"},
		{"version 1.2", lines("GET / HTTP/1.2", "Host: a"), "unsupported_version"},
		{"version 2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unsupported_version"},
		{"version 0.9", lines("GET / HTTP/0.9"), "unsupported_version"},
		{"version 2", lines("GET / HTTP/2", "Host: a"), "bad_request"},
		{"version 1.10", lines("GET / HTTP/1.10", "Host: a"), "bad_request"},
		{"version in lower case", lines("GET / http/1.1", "Host: a"), "bad_request"},
		{"version of something else", lines("GET / RTSP/1.1", "Host: a"), "bad_request"},
		{"no version", lines("GET /", "Host: a"), "bad_request"},
		{"no target", lines("GET  HTTP/1.1", "Host: a"), "bad_request"},
		{"one word", lines("GET", "Host: a"), "bad_request"},
		{"two spaces before target", lines("GET  / HTTP/1.1", "Host: a"), "bad_request"},
		{"two spaces after target", lines("GET /  HTTP/1.1", "Host: a"), "bad_request"},
		{"space in target", lines("GET /a b HTTP/1.1", "Host: a"), "bad_request"},
		{"space behind", lines("GET / HTTP/1.1 ", "Host: a"), "bad_request"},
		{"space before", lines(" GET / HTTP/1.1", "Host: a"), "bad_request"},
		{"tab for space", lines("GET\t/ HTTP/1.1", "Host: a"), "bad_request"},
		{"tab in target", lines("GET /\tb HTTP/1.1", "Host: a"), "bad_request"},
		{"DEL in target", lines("GET /\x7f HTTP/1.1", "Host: a"), "bad_request"},
		{"target without slash", lines("GET a HTTP/1.1", "Host: a"), "bad_request"},
		{"bad scheme", lines("GET 1://a HTTP/1.1", "Host: a"), "bad_request"},
		{"method no token", lines("G(T / HTTP/1.1", "Host: a"), "bad_request"},
		{"method not ASCII", lines("GÈT / HTTP/1.1", "Host: a"), "bad_request"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "bad_request"},
	})
}

func TestLines(t *testing.T) {
	empty := "\r\n"
	checkRules(t, []rule{
		{"nothing", "", ""},
		{"one empty line before", empty + get(), "GET /"},
		{"four empty lines before", strings.Repeat(empty, 4) + get(), "GET /"},
		{"five empty lines before", strings.Repeat(empty, 5) + get(), "bad_request"},
		{"only empty lines", strings.Repeat(empty, 4), "more"},
		{"half an empty line", "\r", "more"},
		{"bare LF before", "\n" + get(), "bad_request"},
		{"bare CR before", "\r" + get(), "bad_request"},
		{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "bad_request"},
		{"bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", "bad_request"},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "bad_request"},
		{"bare LFs alone", "GET / HTTP/1.1\nHost: a\n\n", "bad_request"},
		{"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "bad_request"},
		{"bare CR in a header", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "bad_request"},
		{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "bad_request"},
		{"bare CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\rx", "bad_request"},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\n", "bad_request"},
		{"NUL in a header", "GET / HTTP/1.1\r\nHost: a\x00", "bad_request"},
		{"incomplete", "GET / HTTP/1.1\r\nHost: a\r\n", "more"},
		{"whole head at the limit", get("X: " + pad(200-len(get("X: ")))), "GET /"},
		{"whole head over the limit", get("X: " + pad(201-len(get("X: ")))), "header_too_large"},
		{"endless header", "GET / HTTP/1.1\r\nX: " + pad(400), "header_too_large"},
		{"endless request line", "GET /" + pad(400), "uri_too_long"},
		{"request line over the limit by its end", "GET /" + pad(185) + " HTTP/1.1\r\n", "uri_too_long"},
		{"request line at the limit", "GET /" + pad(184) + " HTTP/1.1\r\nHost: a\r\n\r\n", "header_too_large"},
		{"over the limit behind empty lines", empty + empty + "GET /" + pad(400), "uri_too_long"},
		{"empty lines do not count", empty + empty + get("X: "+pad(200-len(get("X: ")))), "GET /"},
		{"bare LF beyond the limit", "GET /" + pad(400) + "\n", "uri_too_long"},
		{"bare LF within the limit", "GET /" + pad(100) + "\n" + pad(200), "bad_request"},
	})
}

func TestFields(t *testing.T) {
	checkRules(t, []rule{
		{"plain", get("A: b", "C-d:\te\t", "F:"), "GET /"},
		{"obs-text in a value", get("A: \xe4"), "GET /"},
		{"name that begins with a digit", get("1: b", "!: c"), "GET /"},
		{"folded", get("A: b", " c"), "bad_request"},
		{"folded by tab", get("A: b", "\tc"), "bad_request"},
		{"folded at once", lines("GET / HTTP/1.1", " A: b", "Host: a"), "bad_request"},
		{"only spaces", get(" "), "bad_request"},
		{"space before the colon", get("A : b"), "bad_request"},
		{"tab before the colon", get("A\t: b"), "bad_request"},
		{"no name", get(": b"), "bad_request"},
		{"no colon", get("A b"), "bad_request"},
		{"space in a name", get("A b: c"), "bad_request"},
		{"bracket in a name", get("A[1]: c"), "bad_request"},
		{"name not ASCII", get("Ä: c"), "bad_request"},
		{"BEL in a value", get("A: \a"), "bad_request"},
		{"DEL in a value", get("A: \x7f"), "bad_request"},
		{"no Host", lines("GET / HTTP/1.1"), "bad_request"},
		{"no Host but headers", lines("GET / HTTP/1.1", "A: b"), "bad_request"},
		{"two Hosts", get("hOST: a"), "bad_request"},
		{"two Hosts in 1.0", lines("GET / HTTP/1.0", "Host: a", "Host: a"), "bad_request"},
		{"empty Host", lines("GET / HTTP/1.1", "Host: "), "bad_request"},
		{"Host with port", lines("GET / HTTP/1.1", "Host: [::1]:8080"), "GET /"},
		{"Host with space", lines("GET / HTTP/1.1", "Host: a b"), "bad_request"},
		{"Host with slash", lines("GET / HTTP/1.1", "Host: a/b"), "bad_request"},
		{"Host with user", lines("GET / HTTP/1.1", "Host: u@b"), "bad_request"},
		{"forbidden Trailer", post("Transfer-Encoding: chunked", "Trailer: Host") + "0\r\n\r\n", "bad_request"},
	})
}

func TestFraming(t *testing.T) {
	checkRules(t, []rule{
		{"length", post("Content-Length: 5") + "hello", "POST / =hello"},
		{"length in other case", post("content-lENGTH:5") + "hello", "POST / =hello"},
		{"length with zeros", post("Content-Length: 0005") + "hello", "POST / =hello"},
		{"length 0", post("Content-Length: 0"), "POST /"},
		{"no length", post(), "POST /"},
		{"GET with a body", get("Content-Length: 2") + "hi", "GET / =hi"},
		{"1.0 with a body", lines("POST / HTTP/1.0", "Content-Length: 2") + "hi", "POST / =hi close"},
		{"body is incomplete", post("Content-Length: 5") + "hell", "more"},
		{"length at the limit", post("Content-Length: 100") + pad(100), "POST / =" + pad(100)},
		{"length over the limit", post("Content-Length: 101"), "body_too_large"},
		{"length over the limit, 100", post("Content-Length: 101", "Expect: 100-continue"), "body_too_large"},
		{"length of 20 digits", post("Content-Length: 99999999999999999999"), "body_too_large"},
		{"length of 2^64+5", post("Content-Length: 18446744073709551621") + "hello", "body_too_large"},
		{"length +5", post("Content-Length: +5") + "hello", "bad_request"},
		{"length -5", post("Content-Length: -5") + "hello", "bad_request"},
		{"length 0x5", post("Content-Length: 0x5") + "hello", "bad_request"},
		{"length 5 5", post("Content-Length: 5 5") + "hello", "bad_request"},
		{"length empty", post("Content-Length:"), "bad_request"},
		{"length list", post("Content-Length: 5, 5") + "hello", "length_conflict"},
		{"length twice", post("Content-Length: 5", "Content-Length: 5") + "hello", "length_conflict"},
		{"two lengths", post("Content-Length: 5", "Content-Length: 6") + "hello", "length_conflict"},
		{"length and coding", post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", "length_conflict"},
		{"coding and length", post("Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n", "length_conflict"},
		{"gzip and length", post("Transfer-Encoding: gzip", "Content-Length: 5"), "length_conflict"},
		{"coding gzip", post("Transfer-Encoding: gzip"), "unsupported_coding"},
		{"coding identity", post("Transfer-Encoding: identity"), "unsupported_coding"},
		{"coding gzip, chunked", post("Transfer-Encoding: gzip, chunked"), "unsupported_coding"},
		{"coding twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "unsupported_coding"},
		{"coding empty", post("Transfer-Encoding:"), "unsupported_coding"},
		{"coding xchunked", post("Transfer-Encoding: xchunked"), "unsupported_coding"},
		{"coding with vertical tab", post("Transfer-Encoding: \vchunked"), "bad_request"},
		{"coding in 1.0", lines("POST / HTTP/1.0", "Transfer-Encoding: chunked") + "0\r\n\r\n", "bad_request"},
		{"expect", post("Content-Length: 5", "Expect: 100-Continue") + "hello", "POST / =hello"},
		{"expect other", post("Content-Length: 5", "Expect: 200-ok") + "hello", "expectation_failed"},
		{"expect twice", post("Content-Length: 5", "Expect: 100-continue", "Expect: x") + "hello", "expectation_failed"},
		{"expect without a body", get("Expect: 100-continue"), "GET /"},
	})
}

func TestKeepAlive(t *testing.T) {
	old := func(l ...string) string { return lines(append([]string{"GET / HTTP/1.0"}, l...)...) }
	checkRules(t, []rule{
		{"1.1", get(), "GET /"},
		{"close", get("Connection: close"), "GET / close"},
		{"Close", get("Connection: Close"), "GET / close"},
		{"close in a list", get("Connection: x ,\tclose"), "GET / close"},
		{"close, then keep-alive", get("Connection: close", "Connection: keep-alive"), "GET / close"},
		{"keep-alive, then close", get("Connection: keep-alive", "Connection: close"), "GET / close"},
		{"upgrade", get("Connection: keep-alive, Upgrade"), "GET /"},
		{"upgrade and close", get("Connection: Upgrade, close"), "GET / close"},
		{"close, then upgrade", get("Connection: close", "Connection: Upgrade"), "GET / close"},
		{"upgrade, then close", get("Connection: Upgrade", "Connection: close"), "GET / close"},
		{"closed", get("Connection: closed"), "GET /"},
		{"1.0", old(), "GET / close"},
		{"1.0 keep-alive", old("Connection: Keep-Alive"), "GET /"},
		{"1.0 keep-alive in a list", old("Connection: x, keep-alive"), "GET /"},
		{"1.0 keep-alive and close", old("Connection: keep-alive, close"), "GET / close"},
	})
}

// TestUpgradeStaysVisible: a handshake that also says close is still a handshake.
func TestUpgradeStaysVisible(t *testing.T) {
	for _, input := range []string{
		get("Connection: Upgrade, close"),
		get("Connection: close", "Connection: Upgrade"),
		get("Connection: Upgrade", "Connection: close"),
	} {
		var p Progress
		req, _, _, status, _, _ := NewAssembler().Next([]byte(input), &p, testLimits)
		if status != Ready || !req.Header.ConnectionUpgrade() {
			t.Fatalf("%q: status %d, Connection %q", input, status, req.Header.Peek("Connection"))
		}
	}
}

// TestKeepAliveOfOwnHeader: KeepAlive does not need what parse adds.
func TestKeepAliveOfOwnHeader(t *testing.T) {
	var h fasthttp.RequestHeader
	h.Set("Connection", "x, Close")
	if KeepAlive(&h) {
		t.Fatal("kept alive")
	}
}
