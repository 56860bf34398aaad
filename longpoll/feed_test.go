package longpoll

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

var testLimits = Limits{Header: 200, Body: 100}

// parsed is a request as the tests compare it.
type parsed struct {
	method, target, host, body string
	keep                       bool
}

func (r parsed) String() string {
	s := r.method + " " + r.target
	if r.body != "" {
		s += " =" + r.body
	}
	if !r.keep {
		s += " close"
	}
	return s
}

func copyOf(req *fasthttp.Request) parsed {
	h := &req.Header
	return parsed{string(h.Method()), string(h.RequestURI()), string(h.Host()), string(req.Body()), KeepAlive(h)}
}

// outcome is what became of all bytes of a connection.
type outcome struct {
	requests  []parsed
	sizes     []int
	continues int
	end       string // the code's name when it was refused, "more" when a request is incomplete, else ""
	detail    string
}

// String is one line: requests, then the end.
func (o outcome) String() string {
	var parts []string
	for _, r := range o.requests {
		parts = append(parts, r.String())
	}
	if o.end != "" {
		parts = append(parts, o.end)
	}
	return strings.Join(parts, " | ")
}

// feed plays a connection: input arrives cut at cuts, and b moves to fresh memory with each arrival.
func feed(t testing.TB, a *Assembler, input []byte, lim Limits, cuts ...int) outcome {
	t.Helper()
	var o outcome
	var p Progress
	begin, asked := 0, false
	for _, cut := range append(cuts, len(input)) {
		b := bytes.Clone(input[begin:cut])
		for len(b) > 0 {
			req, n, want, status, code, detail := a.Next(b, &p, lim)
			if status == NeedMore || status == Continue {
				if want != 0 && want <= len(b) {
					t.Fatalf("want %d of %d bytes", want, len(b))
				}
				if status == NeedMore {
					break
				}
				if o.continues++; asked {
					t.Fatal("Continue twice for a request")
				}
				asked = true
				continue
			}
			if status == Bad {
				o.end, o.detail = code.String(), detail
				return o
			}
			if n <= 0 || n > len(b) || p != (Progress{}) {
				t.Fatalf("n = %d of %d, progress %+v", n, len(b), p)
			}
			o.requests, o.sizes = append(o.requests, copyOf(req)), append(o.sizes, n)
			begin, b, asked = begin+n, b[n:], false
		}
	}
	if begin < len(input) {
		o.end = "more"
	}
	return o
}

// same compares everything but continues, which depend on what has arrived.
func same(t testing.TB, what string, got, want outcome) {
	t.Helper()
	got.continues, want.continues = 0, 0
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// checkSplits feeds input cut in two at every place, byte by byte, and cut at random.
func checkSplits(t testing.TB, input []byte, lim Limits) {
	t.Helper()
	a := NewAssembler()
	whole := feed(t, a, input, lim)
	all := make([]int, 0, len(input))
	for i := 1; i < len(input); i++ {
		same(t, fmt.Sprintf("%q cut at %d", input, i), feed(t, a, input, lim, i), whole)
		all = append(all, i)
	}
	same(t, fmt.Sprintf("%q byte by byte", input), feed(t, a, input, lim, all...), whole)
	random := rand.New(rand.NewPCG(uint64(len(input)), 1))
	for range 8 {
		var cuts []int
		for i := 1; i < len(input); i++ {
			if random.IntN(7) == 0 {
				cuts = append(cuts, i)
			}
		}
		same(t, fmt.Sprintf("%q cut at %d", input, cuts), feed(t, a, input, lim, cuts...), whole)
	}
}

type rule struct{ name, input, want string }

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			o := feed(t, NewAssembler(), []byte(r.input), testLimits)
			if o.String() != r.want {
				t.Fatalf("%q\n got %s (%s)\nwant %s", r.input, o, o.detail, r.want)
			}
			checkSplits(t, []byte(r.input), testLimits)
		})
	}
}

// lines makes a head of them.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

// get is a GET of / with more header lines.
func get(l ...string) string {
	return lines(append([]string{"GET / HTTP/1.1", "Host: a"}, l...)...)
}

// post is a POST to / with more header lines.
func post(l ...string) string {
	return lines(append([]string{"POST / HTTP/1.1", "Host: a"}, l...)...)
}
