package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"encke/bench/report"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// follower keeps a roster as PROTOCOL.md tells clients to: it asks who is here, and follows the events from there on. One
// that takes snapshots asks again now and then; every second time it throws away what it knows and begins anew.
type follower struct {
	// immutable
	name      string // for people
	kind      string // ws, sse, snapshots
	public    netip.AddrPort
	channel   string
	token     string
	snapshots bool
	end       func()
	done      chan struct{} // closed when it has ended

	// owned by its goroutine
	feed  feed
	at    int // parts of members that were here at the last snapshot
	taken int // snapshots

	mu     sync.Mutex
	roster *roster // guarded by mu
	part   int     // guarded by mu: so many members more or fewer, and a snapshot is due; 0: never
	err    error   // guarded by mu: why it has ended
}

// feed is a subscription of a follower.
type feed interface {
	next() ([]byte, error)    // a publication or an answer; valid until the next call
	ask(command string) error // only over ws
	close()
}

var followerKinds = []string{"ws", "sse", "snapshots"}

// newFollower lets one more follow a channel, until close.
func newFollower(i int, public netip.AddrPort, channel, token string) (*follower, error) {
	kind := followerKinds[i%len(followerKinds)]
	ctx, end := context.WithCancel(context.Background())
	f := &follower{name: fmt.Sprintf("follower %d (%s)", i+1, kind), kind: kind, public: public, channel: channel, token: token,
		snapshots: kind == "snapshots", end: end, done: make(chan struct{}), roster: newRoster("$presence:" + channel)}
	if err := f.begin(ctx); err != nil {
		end()
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	go f.follow(ctx) // ends with close
	return f, nil
}

func (f *follower) close() {
	f.end()
	<-f.done
}

// begin asks who is here and subscribes to what follows that.
func (f *follower) begin(ctx context.Context) error {
	var l listing
	if err := get(fmt.Sprintf("http://%s/presence?channel=%s", f.public, f.channel), f.token, &l); err != nil {
		return fmt.Errorf("cannot ask who is here: %w", err)
	}
	f.mu.Lock()
	f.roster.adopt(&l, time.Now().UnixNano())
	f.mu.Unlock()
	query := "?channels=" + f.roster.channel + "&since=" + l.Position
	open, url := openSocket, "ws://"+f.public.String()+"/ws"
	if f.kind == "sse" {
		open, url = openEvents, "http://"+f.public.String()+"/sse"
	}
	feed, err := open(ctx, url+query, f.token)
	if err == nil {
		f.feed = feed
	}
	return err
}

// follow takes what comes.
func (f *follower) follow(ctx context.Context) {
	defer close(f.done)
	var err error
	for err == nil {
		var text []byte
		if text, err = f.feed.next(); err == nil {
			err = f.take(text)
		}
		if err == nil && f.due() {
			err = f.snapshot(ctx)
		}
	}
	f.feed.close()
	f.mu.Lock()
	f.err = fmt.Errorf("%s: %w", f.name, err)
	f.mu.Unlock()
}

// take applies one message.
func (f *follower) take(text []byte) error {
	now := time.Now().UnixNano()
	var t told
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("cannot read %.100q: %w", text, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	recovered := t.Recovered
	if t.Subscribed != nil {
		recovered = t.Subscribed.Recovered
	}
	switch {
	case t.Error != nil:
		return fmt.Errorf("it was refused: %s, %s", t.Error.Code, t.Error.Message)
	case recovered != nil && !*recovered:
		f.roster.fault(&f.roster.faults.Lost, 1, "it was not told what happened since it asked who is here")
	case t.Presence != nil:
		f.roster.asked--
		f.roster.compare(t.Presence)
	case t.Channel != "":
		f.roster.apply(&t, now)
	}
	return nil
}

// due says whether enough has changed for a snapshot.
func (f *follower) due() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.snapshots || f.part == 0 || len(f.roster.members)/f.part == f.at {
		return false
	}
	f.at = len(f.roster.members) / f.part
	return true
}

// snapshot asks who is here: to compare, or to begin anew.
func (f *follower) snapshot(ctx context.Context) error {
	if f.taken++; f.taken%2 == 1 {
		f.mu.Lock()
		f.roster.asked++
		f.mu.Unlock()
		return f.feed.ask(`{"presence":{"channel":"` + f.channel + `"}}`)
	}
	f.feed.close()
	return f.begin(ctx)
}

// aim is told that n members are to come, and go: it begins to take notes of them.
func (f *follower) aim(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.part = max(n/4, 1)
	clear(f.roster.seen)
}

// look calls what with the roster, unless the follower has ended.
func (f *follower) look(what func(r *roster)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		what(f.roster)
	}
	return f.err
}

// found tells what was wrong, "" when nothing was.
func (f *follower) found() (faults report.Faults, first string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.roster.wrong != "" {
		first = f.name + ": " + f.roster.wrong
	}
	return f.roster.faults, first
}

// socketFeed is a WebSocket that speaks encke.json.
type socketFeed struct {
	conn net.Conn
	in   *bufio.Reader
	text []byte
	free func() bool
}

func openSocket(ctx context.Context, url, token string) (feed, error) {
	d := ws.Dialer{Timeout: 10 * time.Second, Protocols: []string{"encke.json"},
		Header: ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + token}})}
	conn, in, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("cannot subscribe: %w", err)
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 64<<10)
	}
	return &socketFeed{conn: conn, in: in, free: context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
}

func (s *socketFeed) next() ([]byte, error) {
	for {
		h, err := ws.ReadHeader(s.in)
		if err != nil {
			return nil, err
		}
		if h.Length > longestAnswer || !h.Fin {
			return nil, fmt.Errorf("the server sent a frame of %d bytes (the last one: %v)", h.Length, h.Fin)
		}
		if int(h.Length) > cap(s.text) {
			s.text = make([]byte, h.Length)
		}
		s.text = s.text[:h.Length]
		if _, err := io.ReadFull(s.in, s.text); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpText:
			return s.text, nil
		case ws.OpClose:
			return nil, fmt.Errorf("the server closed its connection: %.100q", s.text)
		case ws.OpPing:
			if _, err := s.conn.Write(wsframe.AppendMasked(nil, ws.OpPong, s.text, [4]byte{1, 2, 3, 4}, true)); err != nil {
				return nil, err
			}
		}
	}
}

func (s *socketFeed) ask(command string) error {
	_, err := s.conn.Write(wsframe.AppendMasked(nil, ws.OpText, []byte(command), [4]byte{1, 2, 3, 4}, true))
	return err
}

func (s *socketFeed) close() {
	s.free()
	_ = s.conn.Close()
}

// eventFeed is an event stream.
type eventFeed struct {
	body  io.ReadCloser
	lines *bufio.Scanner
}

func openEvents(ctx context.Context, url, token string) (feed, error) {
	q, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Accept", "text/event-stream")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 10 * time.Second}}
	answer, err := client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("cannot subscribe: %w", err)
	}
	if answer.StatusCode != 200 {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("cannot subscribe: %s", answer.Status)
	}
	e := &eventFeed{answer.Body, bufio.NewScanner(answer.Body)}
	e.lines.Buffer(make([]byte, 64<<10), longestAnswer)
	return e, nil
}

func (e *eventFeed) next() ([]byte, error) {
	for e.lines.Scan() {
		if data, ok := strings.CutPrefix(e.lines.Text(), "data:"); ok {
			return []byte(data), nil
		}
	}
	if err := e.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

func (*eventFeed) ask(string) error {
	return errors.New("BUG: nobody can be asked over an event stream")
}

func (e *eventFeed) close() { _ = e.body.Close() }
