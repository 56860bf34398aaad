package model

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// liar is a relay between clients and an honest server, which in every connection makes something of the third publication, or
// whatever it looks for.
type liar struct {
	net.Listener
	upstream string
	unit     func(*bufio.Reader) ([]byte, error) // takes a frame, a block or a line
	about    string                              // what a unit has that is looked for
	nth      int                                 // which of those the lie is about
	lie      func(before, unit []byte) []byte
	open     sync.WaitGroup
}

// units of the transports. Streams must not be chunked, or a lie would break the framing, which is found too easily.
var units = map[string]func(*bufio.Reader) ([]byte, error){
	"ws": func(r *bufio.Reader) ([]byte, error) {
		f, err := ws.ReadFrame(r)
		if err != nil {
			return nil, err
		}
		return ws.CompileFrame(f)
	},
	"sse": func(r *bufio.Reader) (b []byte, err error) {
		for !bytes.HasSuffix(b, []byte("\n\n")) && err == nil {
			var line []byte
			line, err = r.ReadBytes('\n')
			b = append(b, line...)
		}
		return b, err
	},
	"stream": func(r *bufio.Reader) ([]byte, error) { return r.ReadBytes('\n') },
}

func (l *liar) serve() {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		l.open.Go(func() { l.relay(client) })
	}
}

// relay passes a connection on, whose answer begins with a head.
func (l *liar) relay(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	l.open.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	r := bufio.NewReader(server)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
		_, _ = io.WriteString(client, line)
	}
	for before, n := []byte(nil), 0; ; {
		unit, err := l.unit(r)
		if err != nil {
			return
		}
		if bytes.Contains(unit, []byte(l.about)) {
			if n++; n == l.nth {
				unit = l.lie(before, unit)
			} else {
				before = unit
			}
		}
		if _, err := client.Write(unit); err != nil {
			return
		}
	}
}

// TestLiesAreFound holds the checker against servers that break the promise in each of the ways that there are.
func TestLiesAreFound(t *testing.T) {
	data := regexp.MustCompile(`"data":".`)
	position := regexp.MustCompile(`"position":"[^"]+"`)
	gap := func(unit []byte) []byte { // of the publication's length, which is that of its frame
		g := fmt.Sprintf(`{"channel":"b0","gap":true,"reason":"expired",%s`, position.Find(unit))
		at := bytes.Index(unit, []byte(`{"channel"`))
		end := bytes.LastIndexByte(unit, '}')
		lie := append(bytes.Clone(unit[:at]), g...)
		lie = append(lie, strings.Repeat(" ", end-len(lie))...)
		lie = append(lie, unit[end:]...)
		if bytes.HasPrefix(unit, []byte("id: ")) {
			lie = append([]byte("event: gap\n"), lie...)
		}
		return lie
	}
	for _, c := range []struct {
		name  string
		found string // "" for the truth
		lie   func(before, unit []byte) []byte
	}{
		{"honest", "", func(_, u []byte) []byte { return u }},
		{"drops", "lost|told|is at", func(_, u []byte) []byte { return nil }},
		{"repeats", "repeated", func(_, u []byte) []byte { return append(bytes.Clone(u), u...) }},
		{"repeats what was before", "repeated|lost", func(b, u []byte) []byte { return append(bytes.Clone(b), u...) }}, // lost: after a new subscription, what was before is ahead
		{"alters", "altered", func(_, u []byte) []byte { return data.ReplaceAll(u, []byte(`"data":"?`)) }},
		{"invents a gap", "false gap", func(_, u []byte) []byte { return gap(u) }},
	} {
		for _, transport := range []string{"ws", "sse", "stream"} {
			t.Run(c.name+" over "+transport, func(t *testing.T) {
				t.Parallel()
				s := &Scenario{Name: "lies", Keeps: Forever, Channels: []string{"b0"}, Most: 1, Clients: 3, Publishers: 1, Batch: 4,
					Pause: 3 * time.Millisecond, Life: time.Second}
				lied(t, s, transport, `"offset":`, 3, c.lie, c.found)
			})
		}
	}
}

func lied(t *testing.T, s *Scenario, transport, about string, nth int, lie func(before, unit []byte) []byte, found string) {
	s.Only, s.Unchunked = transport, true
	r, err := NewRun(s, uint64(time.Now().UnixNano()), binary)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{Listener: listener, upstream: r.server.Public, unit: units[transport], about: about, nth: nth, lie: lie}
	l.open.Go(l.serve)
	r.ways = []string{listener.Addr().String()}
	long := liveness // a lie ends it
	if found == "" {
		long = time.Second
	}
	failures := r.Go(long)
	listener.Close()
	l.open.Wait()
	for _, f := range failures {
		if found == "" || !regexp.MustCompile(found).MatchString(f.Err.Error()) {
			t.Errorf("seed %d: %v\n%s", r.seed, f.Err, f.Journal)
		}
	}
	if found != "" && len(failures) == 0 {
		t.Errorf("seed %d: the lie is not found: %s", r.seed, r.tally)
	}
}
