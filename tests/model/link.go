package model

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// link is one connection of a client, over whatever transport.
type link struct {
	*client
	conn      *net.TCPConn
	r         *bufio.Reader
	s         *Session
	transport string
	faulty    bool              // there is a proxy in between
	most      int64             // publications after which the client drops it
	heads     map[string]place  // when the client is settling: where it has to get
	entered   bool              // where it stays
	acking    *acking           // what the request acknowledges
	visits    map[string]*visit // by channel, of those whose presence is followed
}

// errCut ends a connection without any fault of the server.
var errCut = errors.New("cut")

// isCut says whether an error is one of the network's or of our patience, and not of what the server sent.
func isCut(err error) bool {
	var timeout net.Error
	return errors.Is(err, errCut) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.As(err, &timeout) && timeout.Timeout()
}

// dial connects for at most life.
func (c *client) dial(transport string, life time.Duration) (*link, error) {
	address, faulty := c.way()
	d := net.Dialer{Timeout: 3 * time.Second}
	slow := c.heads == nil && c.rng.Float64() < c.run.scenario.Slow
	if slow {
		life = max(life, between(c.rng, 0, c.run.scenario.Life))
		size := 2048 << c.rng.IntN(6) // with the least of them it may take seconds to read a hundred kilobytes
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size) })
		}
	}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(life))
	l := &link{client: c, conn: conn.(*net.TCPConn), s: c.sub.NewSession(transport == "raw"), transport: transport, faulty: faulty, heads: c.heads, visits: map[string]*visit{}}
	l.s.polls = transport == "poll" || transport == "longpoll"
	l.s.says = l.s.polls && l.rng.IntN(2) == 0
	l.s.Asks(c.run.scenario.Grace, time.Now())
	l.s.Last = c.journal.step
	l.most = 1 + int64(float64(c.run.scenario.Batch*40)*c.rng.ExpFloat64())
	if slow { // what it has missed comes last
		l.most *= 20
	}
	l.r = bufio.NewReaderSize(l.appetite(slow), 1<<(6+c.rng.IntN(8)))
	c.journal.note("%s over %v (slow %v) for %v, at most %d", transport, address, slow, life.Round(time.Millisecond), l.most)
	return l, nil
}

// appetite is how the client reads: mostly whatever there is, sometimes in sips, sometimes with rests.
func (l *link) appetite(slow bool) io.Reader {
	if l.heads != nil {
		return l.conn
	}
	switch n := l.rng.IntN(12); {
	case n == 0:
		return &sipper{l: l, most: 1 + l.rng.IntN(16), every: 64, rest: 2 * time.Millisecond}
	case slow && n < 8: // stops for once, and then reads whatever there is
		return &sipper{l: l, most: 64 << 10, every: 1 + l.rng.IntN(64), rest: l.run.scenario.Rest, once: true}
	case slow:
		return &sipper{l: l, most: 4096, every: 1 + l.rng.IntN(16), rest: l.run.scenario.Rest}
	case n == 2:
		return &sipper{l: l, most: 1 + l.rng.IntN(2000), every: 4, rest: 20 * time.Millisecond}
	}
	return l.conn
}

// sipper reads at most so many bytes at once, and rests every so many reads.
type sipper struct {
	l     *link
	most  int
	every int
	rest  time.Duration // at most
	once  bool          // one rest is enough
}

func (s *sipper) Read(b []byte) (int, error) {
	if s.rest > 0 && s.l.rng.IntN(s.every) == 0 {
		if pause(s.l.run.stop, between(s.l.rng, 0, s.rest)) {
			return 0, errCut
		}
		if s.once {
			s.rest = 0
		}
	}
	return s.l.conn.Read(b[:min(len(b), s.most)])
}

// write sends a request or a frame.
func (l *link) write(b []byte) error {
	_, err := l.conn.Write(b)
	return err
}

// enough says that the client wants no more of this connection.
func (l *link) enough() bool {
	switch {
	case l.heads == nil:
		return l.s.Checked >= l.most || l.run.stopping()
	case l.staying:
		return false
	case l.user != nil && !l.s.polls && l.s.post.last < l.run.owed[l.user.name]:
		return false
	}
	for channel, head := range l.heads {
		if at, ok := l.s.At(channel); !ok || at != head {
			return false
		}
	}
	return true
}

// muse sometimes ends the client's own half of the connection, and listens on.
func (l *link) muse() {
	if l.heads == nil && l.rng.IntN(3000) == 0 {
		l.journal.note("ends its half")
		l.leavingAll()
		_ = l.conn.CloseWrite()
	}
}

// end drops the connection in one of the ways that there are.
func (l *link) end() {
	l.leavingAll()
	switch l.rng.IntN(4) {
	case 0:
		_ = l.conn.SetLinger(0) // RST
	case 1:
		_ = l.conn.CloseWrite()
	}
	l.conn.Close()
	l.run.tally.Checked(l.transport, l.s.Checked)
	for reason, n := range l.s.Gaps {
		l.run.tally.Add("gaps/"+reason, n)
	}
	l.run.tally.Add("people/letters", l.s.Letters)
	l.run.tally.Add("people/events", l.s.Events)
	l.run.tally.Add("people/events applied", l.s.Applied)
}

// asks chooses from where to subscribe to each channel: mostly from the position held.
func (l *link) asks(channels []string) (list []ask, err error) {
	for _, channel := range channels {
		a, err := l.s.Ask(channel, l.since(channel))
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// since is what a client gives as its position.
func (l *link) since(channel string) string {
	held := l.s.Holds(channel)
	switch n := l.rng.IntN(200); {
	case l.heads != nil && held != "":
		return held
	case held == "" && n%2 == 0, n == 0:
		return ""
	case held == "", n == 1 && l.run.scenario.Keeps != Forever:
		return "0"
	}
	return held
}

// item is how an ask stands in a since list.
func (a ask) item() string {
	switch a.knows {
	case fromNow:
		return ""
	case fromStart:
		return "0"
	}
	return a.at.String()
}

// target is the request target for some asks. The user's own channel need not be named at the end, and if from now on, not in since.
func (l *link) target(path string, asks []ask, extra string) string {
	var names, since []string
	for _, a := range asks {
		names, since = append(names, url.QueryEscape(a.channel)), append(since, a.item())
	}
	if last := len(asks) - 1; l.user != nil && l.transport != "raw" && asks[last].channel == l.user.own && l.rng.IntN(3) > 0 {
		names = names[:last]
		if asks[last].knows == fromNow && last > 0 && l.rng.IntN(2) == 0 {
			since = since[:last]
		}
	}
	list := strings.Join(since, ",")
	target := path + "?channels=" + strings.Join(names, ",")
	if strings.Trim(list, ",") != "" || l.rng.IntN(2) == 0 {
		target += "&since=" + list
	}
	target += extra + l.ackArgument()
	l.journal.note("GET %s", target)
	return target
}

// ackArgument acknowledges letters with a request: none of them can come in its answer.
func (l *link) ackArgument() string {
	if l.acking = nil; l.rng.IntN(4) > 0 {
		return ""
	}
	a := l.chooseAck()
	if a == nil || a.upTo == 0 {
		return ""
	}
	l.acking = a
	l.s.post.last = max(l.s.post.last, a.upTo) // lastN stays: another process may have put that letter again, under a higher number
	return fmt.Sprint("&ack=", a.upTo)
}

// served is said when a request was answered: what it has acknowledged is.
func (l *link) served() error {
	l.s.Served()
	if l.acking == nil {
		return nil
	}
	a := l.acking
	l.acking = nil
	return l.s.box.Done(a, -1)
}

// joinAll begins every subscription that a request asks for.
func (l *link) joinAll(asks []ask) error {
	for _, a := range asks {
		if err := l.s.Join(a); err != nil {
			return err
		}
	}
	return nil
}

// status checks an HTTP status. Some ask to come back; 408 is for a request that a proxy held up.
func (l *link) status(got, want int, body io.Reader) error {
	switch {
	case got == want:
		return nil
	case got == 503 || got == 429 || got == 408 && l.faulty:
		l.run.tally.Add(fmt.Sprintf("refused/%d", got), 1)
		return errCut
	}
	text, err := io.ReadAll(body)
	return fmt.Errorf("%s: status %d, want %d: %.300q %v", l.transport, got, want, text, err)
}
