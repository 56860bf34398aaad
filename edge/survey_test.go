package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"encke/channel"
	"encke/netloop"
)

// surveyed is a store with channels of which a few are subscribed to more, or published to more, than the others.
func surveyed(t testing.TB, channels int) *channel.Store {
	t.Helper()
	s := channel.NewStore(channel.Config{Epoch: 1, Loops: 1})
	for i := range channels {
		for range 1 + i%3 {
			if _, err := s.Subscribe(fmt.Append(nil, "c", i), 0, channel.From{}, channel.Limit{}, 1, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// TestSurvey: the best are found, those of few channels at once, those of many when their turn has come; and kept.
func TestSurvey(t *testing.T) {
	for _, c := range []struct{ channels, looks int }{{300, 2}, {surveyEach, 2}, {3*surveyEach + 7, 6}} {
		s := surveyed(t, c.channels)
		loud := map[string]int{}
		for range surveyTop {
			loud[fmt.Sprint("c", rand.IntN(c.channels))] = 5 + rand.IntN(1000)
		}
		v := survey{all: s.NewSurvey()}
		v.look(1)
		for look := range c.looks {
			for name, n := range loud {
				for range n {
					_, _ = s.Publish([]byte(name), &channel.Message{Data: []byte("x")}, 1)
				}
			}
			_, _ = s.Publish(fmt.Append(nil, "$console"), &channel.Message{Data: []byte("x")}, 1)
			v.look(1)
			if look < c.looks-1 {
				continue
			}
			got := map[string]int{}
			for _, x := range topOf(v.byPub) {
				got[x.Channel] = int(x.Rate + 0.5)
			}
			for name, n := range loud {
				if got[name] != n {
					t.Errorf("%d channels: %s has %d a second, want %d: %v", c.channels, name, got[name], n, got)
				}
			}
		}
		for i, x := range topOf(v.bySubs) {
			if x.Subscribers != 3 {
				t.Errorf("%d channels: the %dth best is %+v", c.channels, i, x)
			}
		}
		for range 40 {
			v.look(1)
		}
		if len(v.byPub) != 0 {
			t.Errorf("long silent: %v", topOf(v.byPub))
		}
	}
}

// TestRankings holds what is kept of the best against sorting all.
func TestRankings(t *testing.T) {
	s := surveyed(t, 500)
	all := s.NewSurvey().Next(nil, 1000)
	for range 100 {
		var b rankings
		var want []float64
		for _, x := range all {
			rate := float64(rand.IntN(2000)) / 100
			b.offer(ranked{x, rate})
			b.offer(ranked{x, 1000}) // only the first counts, where it was kept
			if rate >= leastRate {
				want = append(want, rate)
			}
		}
		slices.SortFunc(want, func(a, b float64) int { return int(1000*b - 1000*a) })
		if len(b.byPub) != surveyKept || len(b.bySubs) != surveyKept {
			t.Fatalf("%d and %d kept", len(b.byPub), len(b.bySubs))
		}
		for i := range b.byPub {
			if i > 0 && b.byPub[i].rate > b.byPub[i-1].rate || i > 0 && b.bySubs[i].Subscribers > b.bySubs[i-1].Subscribers {
				t.Fatalf("not in order at %d", i)
			}
		}
	}
}

// TestLateLoop: a loop that does not answer is told of with how long it has been asked, while the others are told of as ever.
func TestLateLoop(t *testing.T) {
	c := Defaults()
	c.Listen, c.Backend, c.Loops = "127.0.0.1:0", "127.0.0.1:0", 2
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.Background()) }()
	g, end := newGathering(s), make(chan struct{})
	look := func() *ConsoleStats { g.ask(end); return g.stats() }
	for _, l := range look().Loops {
		if l.Late || l.Lag > 250 {
			t.Errorf("%+v", l)
		}
	}
	free := make(chan struct{})
	s.engine.Loops()[1].Post(netloop.Mail{Kind: mailAsk, Val: func(*reactor) { <-free }})
	var last float64
	for range 3 {
		got := look()
		if l := got.Loops[1]; !l.Late || l.Lag < last+200 {
			t.Errorf("%+v after %v", l, last)
		}
		last = got.Loops[1].Lag
		if l := got.Loops[0]; l.Late || l.Lag > 250 {
			t.Errorf("%+v", l)
		}
	}
	close(free)
	time.Sleep(10 * time.Millisecond)
	if l := look().Loops[1]; l.Late || l.Lag < last {
		t.Errorf("it has answered after %+v", l)
	}
	if l := look().Loops[1]; l.Late || l.Lag > 250 {
		t.Errorf("%+v", l)
	}
}

// TestSlowestReaders: of any number of waiting readers each loop tells the slowest that it has seen, and goes on from them.
func TestSlowestReaders(t *testing.T) {
	var all []ConsoleReader
	for range 1000 {
		all = insertReader(all, ConsoleReader{Waiting: rand.IntN(100)})
	}
	if !slices.IsSortedFunc(all, func(a, b ConsoleReader) int { return b.Waiting - a.Waiting }) || len(all) != 1000 {
		t.Error("not in order")
	}
}

func BenchmarkSurvey(b *testing.B) {
	for _, channels := range []int{100, surveyEach, 10 * surveyEach} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			v := survey{all: surveyed(b, channels).NewSurvey()}
			for b.Loop() {
				v.look(1)
			}
		})
	}
}

func BenchmarkConsoleStats(b *testing.B) {
	c := Defaults()
	c.Listen, c.Backend, c.Loops, c.Memory = "127.0.0.1:0", "127.0.0.1:0", 4, 1<<30
	s, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	g := newGathering(s)
	for b.Loop() {
		if _, err := json.Marshal(g.stats()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReportFor is what a look costs a loop that has that many readers for whom output waits.
func BenchmarkReportFor(b *testing.B) {
	for _, readers := range []int{0, 100, 2 * slowSample} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			c := Defaults()
			c.Listen, c.Backend, c.Anonymous, c.Unsent, c.MaxPending = "127.0.0.1:0", "127.0.0.1:0", []string{"*"}, 4<<10, 64<<20
			s, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			public, _, err := s.Start()
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.engine.Stop(context.Background()) }()
			for range readers {
				p, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(public))
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				_ = p.SetReadBuffer(4 << 10)
				_, _ = p.Write([]byte("GET /sse?channels=a HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			}
			for s.store.Subscribers([]byte("a")) < readers {
				time.Sleep(time.Millisecond)
			}
			for i := 0; i < 100; { // until all of them wait
				if _, err := s.store.Publish([]byte("a"), &channel.Message{Data: bytes.Repeat([]byte("x"), 60<<10)}, 1); err == nil {
					i++
				}
				time.Sleep(time.Millisecond)
			}
			done := make(chan time.Duration)
			var was []ConsoleReader
			waiting := 0
			for b.Loop() {
				s.engine.Loops()[0].Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
					began := time.Now()
					report := r.reportFor(began, was)
					d := time.Since(began)
					was, waiting = report.slowest, report.waiting
					done <- d
				}})
				b.ReportMetric(float64((<-done).Microseconds()), "µs-of-the-loop")
			}
			b.ReportMetric(float64(waiting), "waiting")
		})
	}
}
