package edge_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encke/edge"
	"encke/webhook"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
)

// dearRig is a guarded rig with a key whose signatures are checked outside of the loops, what makes tokens of users with it, no two
// alike, and what the rig logs.
func dearRig(t *testing.T, change func(*edge.Config)) (r *rig, dear func(user string) string, log func() string) {
	public, private, _ := ed25519.GenerateKey(nil)
	der, _ := x509.MarshalPKIXPublicKey(public)
	r, log = guarded(t, func(c *edge.Config) {
		c.Tokens.Keys = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		change(c)
	})
	var made atomic.Int64
	return r, func(user string) string {
		claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "jti": fmt.Sprint(made.Add(1))}
		text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(private)
		if err != nil {
			t.Error(err)
		}
		return "token=" + text
	}, log
}

// river is a stream of publications in some channels by turns, as fast as a reader of the first can take it.
type river struct {
	t      *testing.T
	r      *rig
	reader *wsPeer
	stop   chan struct{}
	ahead  chan struct{} // a place for each batch that the reader has not taken
	over   [2]chan struct{}
}

// riverBatch is how many publications are pushed at a time to each channel.
const riverBatch = 10

// flow begins one.
func flow(t *testing.T, r *rig, names ...string) *river {
	v := &river{t: t, r: r, reader: newWS(t, r.public, "/ws?channels="+names[0]), stop: make(chan struct{}), ahead: make(chan struct{}, 20),
		over: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	v.reader.text()
	go v.push(names)
	go v.read()
	return v
}

// push publishes until stop is closed.
func (v *river) push(names []string) {
	defer close(v.over[0])
	line, _ := json.Marshal(map[string]any{"channels": names, "data": "x"})
	batch := strings.Repeat(string(line)+"\n", riverBatch)
	p := newPeer(v.t, v.r.backend)
	for {
		select {
		case <-v.stop:
			return
		case v.ahead <- struct{}{}:
		}
		p.write(fmt.Sprintf("POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(batch), batch))
		if text := p.want(200); strings.Contains(text, "error") {
			v.t.Error(text)
		}
	}
}

// read demands every publication, until the connection is closed.
func (v *river) read() {
	defer close(v.over[1])
	for n := uint64(1); ; n++ {
		m, ok := v.reader.frame()
		if !ok {
			return
		}
		if w := parseWire(v.t, []byte(m.data)); w.Offset != n || w.Gap {
			v.t.Errorf("the reader got %s after %d", m.data, n-1)
			return
		}
		if n%riverBatch == 0 {
			<-v.ahead
		}
	}
}

// ends stops it, and demands that the reader has got all of it and that no channel was out of order.
func (v *river) ends() {
	v.t.Helper()
	close(v.stop)
	<-v.over[0]
	waitFor(v.t, "the reader to have got all", func() bool { return len(v.ahead) == 0 || v.t.Failed() })
	v.reader.Close()
	<-v.over[1]
	if s := v.r.Stats().Messages; s.Inconsistent > 0 || s.Published == 0 {
		v.t.Errorf("%d channels were not as they should be after %d publications", s.Inconsistent, s.Published)
	}
}

// TestMailWhileSubscribing: subscribes that the site was asked about are carried out while publications come in, and none of these is
// lost; every command is answered.
func TestMailWhileSubscribing(t *testing.T) {
	t.Parallel()
	r, _ := asking(t, newSite(t, nil, nil), "", func(c *edge.Config) {
		c.Loops, c.CommandRate = 1, 0
		c.Rules = []edge.Rule{{Pattern: "asked:*", Subscribe: ptr("anybody"), Hooks: ptr("subscribe")}}
	})
	v := flow(t, r, "public")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			p := newWS(t, r.public, "/ws")
			for k := range 10 {
				name := fmt.Sprintf("asked:%d:%d", i, k)
				for _, command := range []string{"subscribe", "unsubscribe"} {
					p.send(ws.OpText, `{"`+command+`":{"channel":"`+name+`"}}`)
					if m, ok := p.frame(); !ok || !strings.Contains(m.data, `"`+command+`d":`) {
						t.Errorf("%s %s: %q %v", command, name, m.data, ok)
						return
					}
				}
			}
		})
	}
	all.Wait()
	v.ends()
}

// TestMailWhileRefreshing: connections become users, by tokens that are verified elsewhere, while publications come in; none of these
// is lost, and each connection is given what follows the place in its own channel that it was told.
func TestMailWhileRefreshing(t *testing.T) {
	t.Parallel()
	r, dear, _ := dearRig(t, func(c *edge.Config) { c.Loops = 1 })
	v := flow(t, r, "public", "user:42")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 10 {
				p := newWS(t, r.public, "/ws")
				p.send(ws.OpText, refreshWith(dear("42")))
				var got []wire
				for len(got) < 4 { // refreshed, subscribed, and two publications
					m, ok := p.frame()
					if !ok {
						t.Errorf("the end after %+v", got)
						return
					}
					got = append(got, parseWire(t, []byte(m.data)))
				}
				if got[0].Refreshed == nil || got[1].Subscribed == nil {
					t.Errorf("%+v", got)
					return
				}
				if begin := offsetIn(t, got[1].Subscribed.Position); got[2].Offset != begin+1 || got[3].Offset != begin+2 {
					t.Errorf("from %d on it got %d and %d", begin, got[2].Offset, got[3].Offset)
				}
				p.Close()
			}
		})
	}
	all.Wait()
	v.ends()
}

// storm opens n connections, asks for a WebSocket on all of them at once, and returns how many were allowed; all others must have been
// refused with hook_failed.
func storm(t *testing.T, r *rig, n int) (allowed int) {
	t.Helper()
	all := make([]*peer, n)
	for i := range all {
		all[i] = newPeer(t, r.public)
	}
	waitFor(t, "all to be connected", func() bool { return r.Stats().Connections["total"] >= int64(n) })
	for _, p := range all {
		p.write("GET /ws?channels=public" + handshake + "\r\n")
	}
	for _, p := range all {
		switch res := p.head("GET"); res.StatusCode {
		case http.StatusSwitchingProtocols:
			allowed++
		case http.StatusServiceUnavailable:
			if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), "hook_failed") {
				t.Fatalf("refused with %s", text)
			}
		default:
			t.Fatal(res.Status)
		}
	}
	return allowed
}

// slowSite is a site that takes its time to allow everything.
func slowSite(t *testing.T, d time.Duration) *site {
	return newSite(t, func(_ webhook.Question, w http.ResponseWriter) { time.Sleep(d); w.WriteHeader(204) }, nil)
}

// TestStormOfConnects: a thousand clients come at once to a site that takes 20 ms for each answer; those that cannot be asked about
// at once wait, and all are allowed.
func TestStormOfConnects(t *testing.T) {
	t.Parallel()
	r, _ := asking(t, slowSite(t, 20*time.Millisecond), "connect", nil)
	if allowed := storm(t, r, 1000); allowed != 1000 {
		t.Errorf("%d were allowed", allowed)
	}
}

// TestStormLongerThanTime: who cannot be asked about for as long as an answer may take is refused, and was not asked about.
func TestStormLongerThanTime(t *testing.T) {
	t.Parallel()
	const n = 1000
	r, _ := asking(t, slowSite(t, 50*time.Millisecond), "connect", func(c *edge.Config) { c.Site.Timeout = 250 * time.Millisecond })
	allowed := storm(t, r, n)
	s := r.Stats()
	if hook := s.Site.Hook; s.Messages.Shed == 0 || hook.Asked+s.Messages.Shed != n || hook.Allowed != uint64(allowed) {
		t.Errorf("of %d, %d were allowed, %d waited too long: %+v", n, allowed, s.Messages.Shed, *hook)
	}
}

// TestListsWaitForRoom: lists of who is in a channel count as output: for readers that do not read no more is kept than the budget
// has, and those who ask beyond it are refused. When there is room again they are given.
func TestListsWaitForRoom(t *testing.T) {
	t.Parallel()
	const output, members, readers = 4 << 20, 9000, 60
	r := crowded(t, output, members)
	sockets := make([]net.Conn, readers)
	for i := range sockets {
		sockets[i] = deaf(t, r.public)
		if i%2 == 0 { // half of them over WebSockets, again and again
			_, _ = io.WriteString(sockets[i], "GET /ws"+handshake+"\r\n")
			for range 10 {
				_, _ = io.WriteString(sockets[i], masked(ws.OpText, `{"presence":{"channel":"x"}}`))
			}
		} else {
			_, _ = io.WriteString(sockets[i], "GET /presence?channel=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}
	}
	waitFor(t, "all to have asked", func() bool {
		s := r.Stats().Messages
		return s.Requests >= readers && s.Commands == readers/2*10
	})
	s := r.Stats()
	if held := s.Memory.Output; held > output+readers*10*200 || held < output/2 || s.Refused["overloaded"] == 0 {
		t.Errorf("%d bytes wait, of %d; refused: %v", held, output, s.Refused)
	}
	for _, c := range sockets {
		c.Close()
	}
	waitFor(t, "them to have gone", func() bool { return r.Stats().Memory.Output == 0 })
	p := newPeer(t, r.public)
	p.get("/presence?channel=x")
	if h := parseHere(t, p.want(200)); len(h.Members) != members {
		t.Errorf("%d members", len(h.Members))
	}
}

// TestOneListAtATime: who has not taken a list of who is in a channel is given no other, however much room there is.
func TestOneListAtATime(t *testing.T) {
	t.Parallel()
	const members, asks = 9000, 10
	r := crowded(t, 1<<30, members)
	c := deaf(t, r.public)
	_, _ = io.WriteString(c, "GET /ws"+handshake+"\r\n"+strings.Repeat(masked(ws.OpText, `{"presence":{"channel":"x"}}`), asks))
	waitFor(t, "all to have been asked", func() bool { return r.Stats().Messages.Commands == asks })
	if s := r.Stats(); s.Refused["overloaded"] < asks-2 || s.Ended["slow_consumer"] > 0 { // of one the kernel may have taken all
		t.Errorf("refused %v, ended %v", s.Refused, s.Ended)
	}
}

// crowded is a rig with a budget for output, and a channel x with many members, whom everybody may see.
func crowded(t *testing.T, output int64, members int) *rig {
	r := budgeted(t, output, 16<<20, func(c *edge.Config) {
		c.Loops, c.Presence, c.SeePresence, c.CommandRate = 1, "members", "anybody", 0
	})
	r.EnterMany("x", members)
	waitFor(t, "all to be told", func() bool {
		p := newPeer(t, r.public)
		defer p.Close()
		p.get("/presence?channel=x")
		return len(parseHere(t, p.want(200)).Members) == members
	})
	return r
}

// deaf is a connection of one who reads nothing, and has little room for what comes.
func deaf(t *testing.T, addr string) net.Conn {
	c := connect(t, addr)
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	return c
}

// TestPollsOfEverNewNames: polls with wait=0 make their user present in no more channels than a client may give commands; what they
// ask for they are given all the same.
func TestPollsOfEverNewNames(t *testing.T) {
	t.Parallel()
	const rate, polls, each = 1, 30, 100
	r := watchedRig(t, func(c *edge.Config) { c.Loops, c.CommandRate = 1, rate })
	ticket := ticketFor(t, "42", "", rights{"*": {"subscribe"}})
	p := newPeer(t, r.public)
	began := time.Now()
	for i := range polls {
		names := make([]string, each)
		for k := range names {
			names[k] = fmt.Sprintf("%d:%d", i, k)
		}
		p.get("/poll?wait=0&channels=" + strings.Join(names, ",") + "&" + ticket)
		p.want(200)
	}
	most := int64(rate * (10 + time.Since(began).Seconds() + 1)) // ten seconds' worth at once
	if got := r.Stats().Users.Presence; int64(got.Members) > most || got.Members == 0 || int64(got.Channels) > most {
		t.Errorf("present in more than %d: %+v", most, got)
	}
}

// TestLettersAreOfTheBudget: memory for letters that does not fit into the whole, beside history and ids, is refused by name.
func TestLettersAreOfTheBudget(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		letters int64
		ok      bool
	}{{0, true}, {64 << 20, true}, {128 << 20, true}, {128<<20 + 1, false}, {100 << 30, false}} {
		c := edge.Defaults()
		c.Listen, c.Backend = "127.0.0.1:0", "127.0.0.1:0"
		c.Memory, c.HistoryMemory, c.IDMemory, c.MailboxMemory = 512<<20, 64<<20, 64<<20, x.letters
		s, err := edge.New(c)
		if (err == nil) != x.ok || err != nil && !strings.Contains(err.Error(), "--mailbox-memory") {
			t.Errorf("%d: %v", x.letters, err)
		}
		if err == nil {
			startAndStop(t, s)
		}
	}
}
