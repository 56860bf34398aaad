package longpoll

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"encke/codes"
)

func TestProgressIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Progress{}); n > 32 {
		t.Fatalf("Progress has %d bytes", n)
	}
}

// valid are requests that both Next and net/http take.
var valid = []string{
	get(),
	get("User-Agent: x", "Accept: */*", "Cookie: a=b; c=d", "Cookie: e=f"),
	lines("GET /poll?channels=a,b&since=k3f9zq.17,4&wait=25s HTTP/1.1", "Host: push.example:8080"),
	lines("HEAD /%41/../b//c?d HTTP/1.1", "Host: a"),
	lines("DELETE /channels/a%2Cb HTTP/1.1", "Host: a", "Connection: close"),
	lines("OPTIONS * HTTP/1.1", "Host: a"),
	lines("CONNECT a:1 HTTP/1.1", "Host: a:1"),
	lines("GET http://b/c HTTP/1.1", "Host: b"),
	lines("GET / HTTP/1.0"),
	lines("GET / HTTP/1.0", "Connection: keep-alive"),
	lines("GET /ws HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13"),
	post("Content-Length: 5") + "hello",
	post("Content-Length: 0", "Content-Type: application/json"),
	post(),
	get("Content-Length: 2") + "hi",
	post("Content-Length: 5", "Expect: 100-continue") + "hello",
	chunkedPost("3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"),
	chunkedPost("0\r\nA: b\r\n\r\n"),
	post("Transfer-Encoding: chunked", "Trailer: A") + "1\r\nx\r\n0\r\nA: b\r\n\r\n",
}

// reference parses the first request of input with net/http and returns what is behind it.
func reference(input string) (r parsed, rest string, err error) {
	source := strings.NewReader(input)
	reader := bufio.NewReaderSize(source, 1<<17) // net/http wants a whole trailer in it
	req, err := http.ReadRequest(reader)
	if err != nil {
		return r, "", err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return r, "", err
	}
	after, _ := io.ReadAll(reader)
	return parsed{req.Method, req.RequestURI, req.Host, string(body), !req.Close}, string(after), nil
}

func TestAgainstNetHTTP(t *testing.T) {
	a := NewAssembler()
	for _, input := range valid {
		want, _, err := reference(input)
		if err != nil {
			t.Fatalf("%q: net/http: %v", input, err)
		}
		o := feed(t, a, []byte(input), testLimits)
		if o.end != "" || len(o.requests) != 1 || o.requests[0] != want {
			t.Errorf("%q:\n got %s (%s)\nwant %s", input, o, o.detail, want)
		}
		checkSplits(t, []byte(input), testLimits)
	}
}

// TestHeaders: handlers see the fields by their usual names.
func TestHeaders(t *testing.T) {
	var p Progress
	input := get("lAST-event-id:  k.1 \t", "x: 1", "X: 2")
	req, _, _, _, _, _ := NewAssembler().Next([]byte(input), &p, testLimits)
	if v := req.Header.Peek("Last-Event-ID"); string(v) != "k.1" {
		t.Errorf("Last-Event-ID %q", v)
	}
	if v := req.Header.PeekAll("X"); len(v) != 2 || string(v[1]) != "2" {
		t.Errorf("X %q", v)
	}
}

// TestPipelined cuts long sequences of requests at random.
func TestPipelined(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a := NewAssembler()
	for range 300 {
		var input strings.Builder
		var want []parsed
		for range 1 + random.IntN(8) {
			one := valid[random.IntN(len(valid))]
			r, _, err := reference(one)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, r)
			input.WriteString(strings.Repeat("\r\n", random.IntN(3)) + one)
		}
		var cuts []int
		for i := 1; i < input.Len(); i += 1 + random.IntN(60) {
			cuts = append(cuts, i)
		}
		o := feed(t, a, []byte(input.String()), testLimits, cuts...)
		if got := fmt.Sprint(o.requests); o.end != "" || got != fmt.Sprint(want) {
			t.Fatalf("%q cut at %d:\n got %s\nwant %s", input.String(), cuts, o, want)
		}
	}
}

// TestInterleaved: an Assembler serves many connections, each with its own Progress.
func TestInterleaved(t *testing.T) {
	a := NewAssembler()
	progress := make([]Progress, len(valid))
	done := 0
	for i := 1; done < len(valid); i++ {
		for k, input := range valid {
			if i > len(input) {
				continue
			}
			want, _, _ := reference(input)
			for again := true; again; {
				req, n, _, status, code, detail := a.Next([]byte(input[:i]), &progress[k], testLimits)
				again = status == Continue
				if status == Bad {
					t.Fatalf("%q at %d: %s %s", input, i, code, detail)
				}
				if status == Ready {
					done++
					if got := copyOf(req); got != want || n != len(input) || i != n {
						t.Fatalf("%q at %d: %s, n %d", input, i, got, n)
					}
				}
			}
		}
	}
}

func TestContinue(t *testing.T) {
	expecting := post("Content-Length: 5", "Expect: 100-continue")
	coded := post("Transfer-Encoding: chunked", "Expect: 100-continue")
	old := lines("POST / HTTP/1.0", "Content-Length: 5", "Expect: 100-continue")
	for _, c := range []struct {
		name, input string
		cuts        []int
		want        int
	}{
		{"waits", expecting + "hello", []int{len(expecting)}, 1},
		{"waits, then in pieces", expecting + "hello", []int{len(expecting), len(expecting) + 2}, 1},
		{"head in pieces", expecting + "hello", []int{9, len(expecting)}, 1},
		{"does not wait", expecting + "hello", nil, 0},
		{"has begun", expecting + "hello", []int{len(expecting) + 1}, 0},
		{"chunked waits", coded + "0\r\n\r\n", []int{len(coded)}, 1},
		{"1.0 is not told", old + "hello", []int{len(old)}, 0},
		{"no body", post("Content-Length: 0", "Expect: 100-continue"), nil, 0},
		{"two requests", expecting + "hello" + expecting + "hello", []int{len(expecting), len(expecting) + 5, 2*len(expecting) + 5}, 2},
	} {
		o := feed(t, NewAssembler(), []byte(c.input), testLimits, c.cuts...)
		if o.end != "" || o.continues != c.want {
			t.Errorf("%s: %d times Continue, want %d; %s", c.name, o.continues, c.want, o)
		}
	}
}

func TestWantAndHeadDone(t *testing.T) {
	head := post("Content-Length: 50")
	coded := chunkedPost("5\r\nhe")
	for _, c := range []struct {
		name, input string
		want        int
		done        bool
	}{
		{"nothing", "", 0, false},
		{"empty line", "\r\n", 0, false},
		{"head incomplete", head[:len(head)-1], 0, false},
		{"head complete", head, len(head) + 50, true},
		{"half a body", head + pad(25), len(head) + 50, true},
		{"behind an empty line", "\r\n" + head, len(head) + 52, true},
		{"chunked", coded, 0, true},
	} {
		var p Progress
		_, n, want, status, code, _ := NewAssembler().Next([]byte(c.input), &p, testLimits)
		if status != NeedMore || n != 0 || code != codes.None || want != c.want || p.HeadDone() != c.done {
			t.Errorf("%s: status %d, n %d, want %d (not %d), HeadDone %v", c.name, status, n, want, c.want, p.HeadDone())
		}
	}
}

// TestLinear: a request that comes a byte at a time costs no more than a few looks at each byte.
func TestLinear(t *testing.T) {
	lim := Limits{Header: 1 << 20, Body: 1 << 20}
	for _, c := range []struct{ name, input string }{
		{"one long header", get("X: " + pad(20000))},
		{"many headers", get(strings.Split(strings.Repeat("A: b\n", 4000)+"A: b", "\n")...)},
		{"a long target", lines("GET /"+pad(20000)+" HTTP/1.1", "Host: a")},
		{"a long body", post("Content-Length: 20000") + pad(20000)},
		{"small chunks", chunkedPost(strings.Repeat("1\r\nx\r\n", 2000) + "0\r\n\r\n")},
		{"a large chunk", chunkedPost("4e20\r\n" + pad(20000) + "\r\n0\r\n\r\n")},
		{"a long trailer", chunkedPost("0\r\nA: " + pad(20000) + "\r\n\r\n")},
	} {
		a := NewAssembler()
		var p Progress
		status := NeedMore
		for i := 1; i <= len(c.input); i++ {
			_, _, _, status, _, _ = a.Next([]byte(c.input[:i]), &p, lim)
		}
		if status != Ready || a.looked > 4*len(c.input) {
			t.Errorf("%s: status %d, %d looks at %d bytes", c.name, status, a.looked, len(c.input))
		}
	}
}

// TestLargeThingsAreLetGo: one huge request does not stay with the loop.
func TestLargeThingsAreLetGo(t *testing.T) {
	lim := Limits{Header: 1 << 20, Body: 1 << 20}
	a := NewAssembler()
	large := pad(200 << 10)
	for _, input := range []string{
		get("X: " + large),
		post("Content-Length: 204800") + large,
		chunkedPost("32000\r\n" + large + "\r\n0\r\n\r\n"),
		get(),
	} {
		o := feed(t, a, []byte(input), lim)
		if o.end != "" || len(o.requests) != 1 {
			t.Fatalf("%.40q: %s (%s)", input, o.end, o.detail)
		}
		a.letGo()
		if n := cap(a.req.Body()); n > keepBody {
			t.Errorf("%.40q: a body of %d bytes is kept", input, n)
		}
		if n := cap(a.req.Header.RawHeaders()); n > keepHead {
			t.Errorf("%.40q: a head of %d bytes is kept", input, n)
		}
		if a.br.Size() > keepReader {
			t.Errorf("%.40q: a reader of %d bytes is kept", input, a.br.Size())
		}
	}
}

// TestBodyIsNotCopied: a body of known length is the caller's bytes, and appending to it does not write behind it.
func TestBodyIsNotCopied(t *testing.T) {
	b := []byte(post("Content-Length: 5") + "hello" + get())
	var p Progress
	req, n, _, _, _, _ := NewAssembler().Next(b, &p, testLimits)
	body := req.Body()
	if &body[0] != &b[n-5] || cap(body) != 5 {
		t.Fatalf("capacity %d", cap(body))
	}
}

const browserHead = "GET /poll?channels=news&since=k3f9zq.17&wait=25s HTTP/1.1\r\nHost: push.example:8080\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nOrigin: https://example.com\r\n" +
	"Connection: keep-alive\r\nReferer: https://example.com/scores\r\nSec-Fetch-Mode: cors\r\n\r\n"

func TestNextDoesNotAllocate(t *testing.T) {
	lim := Limits{Header: 8 << 10, Body: 64 << 10}
	for _, c := range []struct{ name, input string }{
		{"small GET", get()},
		{"browser's GET", browserHead},
		{"small POST", post("Content-Length: 5") + "hello"},
		{"chunked POST", chunkedPost("5\r\nhello\r\n0\r\n\r\n")},
	} {
		a := NewAssembler()
		b := []byte(c.input)
		allocs := testing.AllocsPerRun(200, func() {
			var p Progress
			for _, cut := range []int{len(b) / 2, len(b) - 1, len(b)} {
				req, _, _, status, _, _ := a.Next(b[:cut], &p, lim)
				if cut == len(b) && (status != Ready || !KeepAlive(&req.Header)) {
					t.Fatalf("status %d", status)
				}
			}
		})
		if allocs > 0 && !raceDetector {
			t.Errorf("%s: %.1f allocations", c.name, allocs)
		}
	}
}
