package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"encke/channel"
	"encke/netloop"
	"encke/token"
)

const ownChannel = "user:42"

// ownRig starts a server with one loop that keeps no history, changed before it begins, and returns how to ask it for something as
// user 42; who asks is cut off when the test ends, and then nothing is to be left.
func ownRig(t *testing.T, change func(*Server)) (s *Server, get func(target string) *bufio.Reader) {
	t.Helper()
	secret := []byte("a secret of at least thirty-two bytes")
	c := Defaults()
	c.Listen, c.Backend, c.HistoryLength, c.Tokens.Secrets = "127.0.0.1:0", "127.0.0.1:0", 0, [][]byte{secret}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	public, _, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	text, err := token.Issue(secret, "42", nil, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var all []net.Conn
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if left := s.Tables(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	return s, func(target string) *bufio.Reader {
		t.Helper()
		c, err := net.Dial("tcp", public.String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(c, "GET %s&token=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", target, text); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %v %v", target, res, err)
		}
		return bufio.NewReader(res.Body)
	}
}

// onLoop has the only loop do something, for the only stream, while nothing is taken out of its mailbox.
func onLoop(s *Server, do func(r *reactor, c netloop.ID, cl *client)) {
	done := make(chan struct{})
	s.engine.Loops()[0].Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
		r.deferred.push(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
			defer close(done)
			r.loop.Each(func(c netloop.ID) {
				if cl := r.clients.at(c); cl.transport == overStream {
					do(r, c, cl)
				}
			})
		}})
	}})
	<-done
}

// TestLatentStaleWaking: a user's channel is made, its only follower leaves, it is removed, and the follower comes back, all before
// the loop hears of its having been made. That is of no meaning any more, and the follower is given what comes next.
func TestLatentStaleWaking(t *testing.T) {
	s, get := ownRig(t, func(*Server) {})
	stream := get("/stream?channels=" + ownChannel)
	next := func() string {
		t.Helper()
		for {
			line, err := stream.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	}
	if line := next(); !strings.HasSuffix(line, `.0"}`) {
		t.Fatal(line)
	}
	onLoop(s, func(r *reactor, c netloop.ID, cl *client) {
		s.PublishNow(ownChannel, "1") // posts that the channel is there
		if cl.flags&isLatent == 0 || s.store.Totals().Channels != 1 {
			t.Error("the stream does not follow a channel that is not there, or it has not been made")
		}
		r.leaveOwn(c, cl)
		s.store.Sweep(r.now, 10)
		if n := s.store.Totals().Channels; n != 0 {
			t.Errorf("%d channels, want none", n)
		}
		if joined, e := r.joinOwn(c, cl, []byte(ownChannel), channel.From{}, channel.Limit{}); e != nil || joined.Head != 1 {
			t.Errorf("%+v %v", joined, e)
		}
	})
	onLoop(s, func(r *reactor, c netloop.ID, cl *client) {
		if cl.flags&isLatent == 0 || len(r.byChannel) != 0 || s.users.following.Load() != 1 {
			t.Errorf("flags %b, %d channels, %d following", cl.flags, len(r.byChannel), s.users.following.Load())
		}
	})
	for i := 2; i < 4; i++ {
		s.PublishNow(ownChannel, fmt.Sprint(i))
		if line := next(); !strings.Contains(line, fmt.Sprintf(`"offset":%d,`, i)) {
			t.Errorf("%s, want offset %d", line, i)
		}
	}
}

// TestLatentWokenBesideAComer: in the moment in which something is published to a user another connection of it comes with a position.
// Those who were here are given it, though nothing is kept.
func TestLatentWokenBesideAComer(t *testing.T) {
	s, get := ownRig(t, func(*Server) {})
	epoch := s.store.Epoch()
	for i, position := range []channel.From{{Kind: channel.FromPosition, Epoch: epoch}, {Kind: channel.FromStart}, {}} {
		stays, comes := get("/stream?channels="+ownChannel), get("/stream?channels="+ownChannel)
		var here []netloop.ID
		onLoop(s, func(r *reactor, c netloop.ID, cl *client) {
			if here = append(here, c); len(here) < 2 {
				return
			}
			if cl.flags&isLatent == 0 || r.clients.at(here[0]).flags&isLatent == 0 {
				t.Error("they do not follow a channel that is not there")
			}
			r.leaveOwn(c, cl)
			s.PublishNow(ownChannel, "in this moment")
			if _, e := r.joinOwn(c, cl, []byte(ownChannel), position, channel.Limit{}); e == nil {
				t.Error("who comes is latent")
			}
		})
		s.PublishNow(ownChannel, "after it")
		given := 0
		for _, stream := range []*bufio.Reader{stays, comes} { // one of them has not been here for the first
			for line := ""; !strings.Contains(line, "after it"); {
				var err error
				if line, err = stream.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(line, `"gap"`) {
					t.Errorf("case %d: %s", i, line)
				}
				if strings.Contains(line, `"data"`) {
					given++
				}
			}
		}
		if given != 3 {
			t.Errorf("case %d: %d publications given, want that in this moment once and the other twice", i, given)
		}
		onLoop(s, func(r *reactor, c netloop.ID, _ *client) { r.loop.Close(c, netloop.ReasonPeer) })
		for deadline := time.Now().Add(10 * time.Second); s.store.Totals().Channels > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the channel stays")
			}
		}
	}
}

// cameAndWent is users whose channel comes and goes, with two publications, right after the store has been told where it would go on.
type cameAndWent struct {
	*users
	armed atomic.Bool
}

// Latent implements channel.Latent.
func (x *cameAndWent) Latent(name string, floor uint64) (head uint64, subscribers int) {
	head, subscribers = x.users.Latent(name, floor)
	if name == ownChannel && x.armed.CompareAndSwap(true, false) {
		s := x.lock("42")
		defer s.mu.Unlock()
		u := s.enter("42") // as Wake and Sleep leave it
		u.known = true
		u.head.Store(head + 2)
	}
	return head, subscribers
}

// TestLatentCameAndWent: a user's channel comes and goes between the moment at which a connection asks where it stands and that from
// which it follows it. Who comes with a position is told what it has missed; who comes without begins behind that.
func TestLatentCameAndWent(t *testing.T) {
	var between *cameAndWent
	s, get := ownRig(t, func(s *Server) {
		between = &cameAndWent{users: s.users}
		s.store = channel.NewStore(channel.Config{Epoch: s.store.Epoch(), Loops: s.config.Loops, MaxMessage: s.config.MaxMessage, Sink: s, Latent: between})
	})
	epoch := s.store.Epoch().String()
	for _, c := range []struct {
		races         bool
		since, answer string
	}{
		{false, epoch + ".0", `{"publications":[],"position":"` + epoch + `.0","recovered":true}`},
		{true, epoch + ".0", `{"publications":[{"channel":"user:42","gap":true,"reason":"expired","position":"` + epoch + `.2"}],"position":"` + epoch + `.2","recovered":false}`},
		{true, "", `{"publications":[],"position":"` + epoch + `.4","recovered":true}`},
		{true, epoch + ".3", `{"publications":[{"channel":"user:42","gap":true,"reason":"expired","position":"` + epoch + `.6"}],"position":"` + epoch + `.6","recovered":false}`},
		{true, epoch + ".6", `{"publications":[{"channel":"user:42","gap":true,"reason":"expired","position":"` + epoch + `.8"}],"position":"` + epoch + `.8","recovered":false}`},
		{false, epoch + ".8", `{"publications":[],"position":"` + epoch + `.8","recovered":true}`},
	} {
		for deadline := time.Now().Add(10 * time.Second); s.store.Totals().Channels > 0; time.Sleep(time.Millisecond) { // of the case before
			if time.Now().After(deadline) {
				t.Fatal("the channel stays")
			}
		}
		between.armed.Store(c.races)
		body, err := io.ReadAll(get("/poll?wait=30ms&channels=" + ownChannel + "&since=" + c.since))
		if err != nil || string(body) != c.answer {
			t.Errorf("since %q: %s %v, want %s", c.since, body, err, c.answer)
		}
	}
}
