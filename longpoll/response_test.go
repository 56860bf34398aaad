package longpoll

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"encke/codes"
)

const (
	everyLine = "Server: encke\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n"
	dateLine  = "Date: Wed, 05 Nov 2025 03:04:05 GMT\r\n"
)

func clock() *Clock {
	c := new(Clock)
	c.Set(1762311845)
	return c
}

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		name     string
		response Response
		first    string // the status line
		last     string // what follows the lines of every answer
	}{
		{"ok", Response{Status: 200, Type: "text/plain", Body: []byte("ok")}, "200 OK", "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"},
		{"empty", Response{Status: 200}, "200 OK", "Content-Length: 0\r\n\r\n"},
		{"HEAD", Response{Status: 200, Body: []byte("ok"), Head: true}, "200 OK", "Content-Length: 2\r\n\r\n"},
		{"created", Response{Status: 201, Body: []byte("x")}, "201 Created", "Content-Length: 1\r\n\r\nx"},
		{"204", Response{Status: 204, Body: []byte("x")}, "204 No Content", "\r\n"},
		{"304", Response{Status: 304, Body: []byte("x")}, "304 Not Modified", "\r\n"},
		{"close", Response{Status: 200, Close: true}, "200 OK", "Connection: close\r\nContent-Length: 0\r\n\r\n"},
		{"1.0", Response{Status: 200, KeepAlive10: true}, "200 OK", "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n"},
		{"1.0 close", Response{Status: 200, KeepAlive10: true, Close: true}, "200 OK", "Connection: close\r\nContent-Length: 0\r\n\r\n"},
		{"extra", Response{Status: 200, Extra: []byte("A: b\r\nC: d\r\n")}, "200 OK", "A: b\r\nC: d\r\nContent-Length: 0\r\n\r\n"},
		{"preflight", Response{Status: 204, Extra: CORSPreflight}, "204 No Content", string(CORSPreflight) + "\r\n"},
	} {
		want := "before HTTP/1.1 " + c.first + "\r\n" + everyLine + dateLine + c.last
		if got := string(c.response.Append([]byte("before "), clock())); got != want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
	}
}

// TestCache: an answer that may be kept says so, and nothing else.
func TestCache(t *testing.T) {
	got := string((&Response{Status: 200, Cache: "public", Body: []byte("no-store")}).Append([]byte("no-store "), clock()))
	if want := "no-store HTTP/1.1 200 OK\r\n" + strings.Replace(everyLine, "no-store", "public", 1) + dateLine + "Content-Length: 8\r\n\r\nno-store"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestClockWithoutTime: no Date is better than a wrong one.
func TestClockWithoutTime(t *testing.T) {
	got := string((&Response{Status: 200}).Append(nil, new(Clock)))
	if want := "HTTP/1.1 200 OK\r\n" + everyLine + "Content-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestAppendStreamHead(t *testing.T) {
	first := "HTTP/1.1 200 OK\r\n" + everyLine + dateLine + "X: y\r\nContent-Type: text/event-stream\r\n"
	for _, c := range []struct {
		chunked bool
		want    string
	}{
		{true, first + "Transfer-Encoding: chunked\r\n\r\n"},
		{false, first + "Connection: close\r\n\r\n"},
	} {
		got := string(AppendStreamHead(nil, clock(), "text/event-stream", c.chunked, []byte("X: y\r\n")))
		if got != c.want {
			t.Errorf("chunked %v:\n got %q\nwant %q", c.chunked, got, c.want)
		}
	}
}

// readAnswer parses one answer with net/http and wants nothing behind it.
func readAnswer(t *testing.T, raw []byte, method string) (*http.Response, string) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(raw))
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Fatalf("%q: %q is behind it", raw, rest)
	}
	return response, string(body)
}

func TestAppendError(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   codes.Code
		detail string
		o      ErrorOptions
		status int
		header string // lines that must be there, separated by "; "
	}{
		{"plain", codes.BadRequest, "a \"b\"", ErrorOptions{}, 400, "Content-Type: application/json"},
		{"close", codes.BadChunk, "", ErrorOptions{Close: true}, 400, "Connection: close"},
		{"1.0", codes.NotFound, "", ErrorOptions{KeepAlive10: true}, 404, "Connection: keep-alive"},
		{"retry", codes.Overloaded, "", ErrorOptions{Retry: 5}, 503, "Retry-After: 5; Access-Control-Expose-Headers: Retry-After"},
		{"allow", codes.MethodNotAllowed, "", ErrorOptions{Allow: "GET, HEAD"}, 405, "Allow: GET, HEAD"},
		{"upgrade", codes.UpgradeRequired, "", ErrorOptions{}, 426, "Upgrade: websocket; Connection: Upgrade; Sec-WebSocket-Version: 13"},
		{"upgrade, close", codes.UpgradeRequired, "", ErrorOptions{Close: true}, 426, "Connection: Upgrade; Connection: close"},
		{"HEAD", codes.NotFound, "", ErrorOptions{Head: true}, 404, ""},
		{"no HTTP answer", codes.Gap, "", ErrorOptions{}, 500, ""},
	} {
		method := "GET"
		if c.o.Head {
			method = "HEAD"
		}
		raw := AppendError(nil, clock(), codes.New(c.code, c.detail), c.o)
		response, body := readAnswer(t, raw, method)
		if response.StatusCode != c.status || response.Close != c.o.Close {
			t.Errorf("%s: status %d, close %v", c.name, response.StatusCode, response.Close)
		}
		for line := range strings.SplitSeq(c.header, "; ") {
			if line != "" && strings.Count(string(raw), "\r\n"+line+"\r\n") != 1 {
				t.Errorf("%s: %q is not once in %q", c.name, line, raw)
			}
		}
		var answer struct {
			Error struct{ Code, Message string }
		}
		if c.o.Head {
			if body != "" || response.ContentLength == 0 {
				t.Errorf("%s: body %q, Content-Length %d", c.name, body, response.ContentLength)
			}
		} else if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error.Code != c.code.String() ||
			!strings.HasSuffix(answer.Error.Message, c.detail) {
			t.Errorf("%s: body %q, %v", c.name, body, err)
		}
	}
}

// TestErrorLines: what an error adds stands there once and only when asked for.
func TestErrorLines(t *testing.T) {
	none := string(AppendError(nil, clock(), codes.New(codes.NotFound, ""), ErrorOptions{}))
	for _, name := range []string{"Connection", "Retry-After", "Expose", "Allow:", "Upgrade", "Sec-WebSocket"} {
		if strings.Contains(none, name) {
			t.Errorf("%q has %s", none, name)
		}
	}
	private := &Clock{Private: true}
	private.Set(1)
	if got := string(AppendError(nil, private, codes.New(codes.Overloaded, ""), ErrorOptions{Retry: 5})); strings.Contains(got, "Access-Control") || !strings.Contains(got, "Retry-After: 5\r\n") {
		t.Errorf("got %q", got)
	}
	upgrade := string(AppendError(nil, clock(), codes.New(codes.UpgradeRequired, ""), ErrorOptions{Close: true}))
	if !strings.Contains(upgrade, "\r\nConnection: Upgrade\r\nConnection: close\r\n") {
		t.Errorf("got %q", upgrade)
	}
}

// TestPrivateLines: what a terminal shows ends with a newline, which is counted, where it is JSON and has none.
func TestPrivateLines(t *testing.T) {
	private := &Clock{Private: true}
	private.Set(1)
	for _, c := range []struct {
		clock           *Clock
		typ, body, want string
	}{
		{private, "application/json", `{"a":1}`, "Content-Length: 8\r\n\r\n{\"a\":1}\n"},
		{private, "application/json", "{}\n", "Content-Length: 3\r\n\r\n{}\n"},
		{private, "text/html", "<p>", "Content-Length: 3\r\n\r\n<p>"},
		{clock(), "application/json", `{"a":1}`, "Content-Length: 7\r\n\r\n{\"a\":1}"},
	} {
		r := Response{Status: 200, Type: c.typ, Body: []byte(c.body)}
		if got := string(r.Append(nil, c.clock)); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s %q: %q", c.typ, c.body, got)
		}
		r.Head = true
		if got := string(r.Append(nil, c.clock)); !strings.HasSuffix(got, c.want[:strings.Index(c.want, "\r\n\r\n")+4]) {
			t.Errorf("HEAD %s %q: %q", c.typ, c.body, got)
		}
	}
	if got := string(AppendError(nil, private, codes.New(codes.NotFound, ""), ErrorOptions{})); !strings.HasSuffix(got, "}}\n") {
		t.Errorf("%q", got)
	}
}

// TestAllStatuses: net/http reads an answer for each code.
func TestAllStatuses(t *testing.T) {
	for _, code := range codes.All() {
		response, _ := readAnswer(t, AppendError(nil, clock(), codes.New(code, ""), ErrorOptions{}), "GET")
		if _, phrase, _ := strings.Cut(response.Status, " "); phrase == "" || strings.Contains(phrase, "Unknown") {
			t.Errorf("%s: status %q", code, response.Status)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	c := clock()
	r := Response{Status: 201, Type: "application/json", Body: []byte(`{"a":1}`), Extra: []byte("A: b\r\n")}
	dst := make([]byte, 0, 1024)
	allocs := testing.AllocsPerRun(100, func() {
		c.Set(1762311845)
		dst = r.Append(dst[:0], c)
		dst = AppendStreamHead(dst[:0], c, "text/event-stream", true, nil)
	})
	if allocs > 0 && !raceDetector {
		t.Errorf("%.1f allocations", allocs)
	}
}
