package channel

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// loopSink is a mailbox for each loop, as the edge has them: Deliver appends, the loop's goroutine takes all.
type loopSink struct {
	boxes []mailbox
	limit int // publications waiting from which on a loop is busy
}

type mailbox struct {
	mu      sync.Mutex
	waiting []delivery
}

type delivery struct {
	ch *Channel
	p  *Publication
}

func (s *loopSink) Busy(loops uint64) bool {
	for i := range s.boxes {
		if loops>>i&1 == 0 {
			continue
		}
		box := &s.boxes[i]
		box.mu.Lock()
		n := len(box.waiting)
		box.mu.Unlock()
		if n >= s.limit {
			return true
		}
	}
	return false
}

func (s *loopSink) Deliver(loop int, ch *Channel, p *Publication) {
	box := &s.boxes[loop]
	box.mu.Lock()
	box.waiting = append(box.waiting, delivery{ch, p})
	box.mu.Unlock()
}

func (s *loopSink) take(loop int) []delivery {
	box := &s.boxes[loop]
	box.mu.Lock()
	defer box.mu.Unlock()
	waiting := box.waiting
	box.waiting = nil
	return waiting
}

// client is one connection of a fake loop in one channel. It knows the offset it has come to, over reconnects.
type client struct {
	name    []byte
	ch      *Channel // nil while away
	at      uint64
	started bool
}

// fakeLoop is what a loop does with the store: clients come, get, leave and come back with their positions.
type fakeLoop struct {
	t       *testing.T
	s       *Store
	sink    *loopSink
	id      int
	r       *rand.Rand
	now     *atomic.Int64
	clients []*client
	got     *atomic.Int64
	gaps    *atomic.Int64
}

func (l *fakeLoop) turn() {
	for _, d := range l.sink.take(l.id) {
		for _, c := range l.clients {
			if c.ch != d.ch || d.p.Offset <= c.at {
				continue // not here, or what its replay already had
			}
			l.take(c, d.p)
		}
	}
}

// take checks that p is the next publication of the client's channel.
func (l *fakeLoop) take(c *client, p *Publication) {
	if p.Offset != c.at+1 || p.Channel != string(c.name) {
		l.t.Errorf("loop %d, %s: %d of %s after %d", l.id, c.name, p.Offset, p.Channel, c.at)
	}
	want := fmt.Appendf(nil, `{"channel":"%s","offset":%d,"position":"%s.%[2]d","time":`, p.Channel, p.Offset, epochK)
	if string(p.Wire[:len(want)]) != string(want) {
		l.t.Errorf("%s", p.Wire)
	}
	p.Forms.Get(l.r.IntN(2), func() []byte { return append([]byte("data: "), p.Wire...) })
	c.at = p.Offset
	l.got.Add(1)
}

func (l *fakeLoop) comeOrGo(c *client) {
	if c.ch != nil {
		l.s.Unsubscribe(c.ch, l.id, l.now.Load())
		c.ch = nil
		return
	}
	from := From{}
	if c.started {
		from = at(c.at)
	}
	j, err := l.s.Subscribe(c.name, l.id, from, Limit{}, l.now.Load(), nil)
	if err != nil {
		l.t.Error(err)
		return
	}
	switch {
	case !c.started:
		c.at = j.Head
	case j.Gap == GapExpired && j.Begin > c.at:
		c.at = j.Begin
		l.gaps.Add(1)
	case !j.Recovered:
		l.t.Errorf("%s from %d: %s", c.name, c.at, show(j))
	}
	for _, p := range j.Replay {
		l.take(c, p)
	}
	if c.at != j.Head {
		l.t.Errorf("the replay ends at %d, the channel at %d", c.at, j.Head)
	}
	c.ch, c.started = j.Channel, true
}

// TestConcurrently lets publishers, loops, sweeps and deletions run against each other. Each client checks that what it
// was replayed and what was delivered is in order, gapless and each once, whatever it missed while it was away; where
// something is missing, it must have been told.
func TestConcurrently(t *testing.T) {
	for _, conf := range []Config{
		{Length: 50, Age: 1 << 40, Memory: 1 << 30}, // hardly a gap
		{Length: 5, Age: 30, Memory: 1 << 30},
		{Length: 50, Age: 1 << 40, Memory: 20 << 10},
		{Length: 0},
	} {
		t.Run(fmt.Sprintf("length=%d,memory=%d", conf.Length, conf.Memory), func(t *testing.T) { hammer(t, conf) })
	}
}

func hammer(t *testing.T, conf Config) {
	const loops, publishers, channels = 4, 4, 12
	each := 10000
	if testing.Short() {
		each = 1000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sink := &loopSink{boxes: make([]mailbox, loops), limit: 1000}
	conf.Epoch, conf.Loops, conf.Sink = epochK, loops, sink
	s := NewStore(conf)
	var (
		now, got, gaps, sent atomic.Int64
		publishing, looping  sync.WaitGroup
		stop                 atomic.Bool
	)
	for i := range publishers {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		publishing.Go(func() {
			for range each {
				name := fmt.Appendf(nil, "c%d", r.IntN(channels))
				if _, err := s.Publish(name, &Message{Data: make([]byte, 1+r.IntN(100))}, now.Add(1)); err == nil {
					sent.Add(1)
				}
			}
		})
	}
	fakes := make([]*fakeLoop, loops)
	for i := range fakes {
		l := &fakeLoop{t: t, s: s, sink: sink, id: i, r: rand.New(rand.NewPCG(seed, uint64(100+i))), now: &now, got: &got, gaps: &gaps}
		for j := range 2 * channels {
			l.clients = append(l.clients, &client{name: fmt.Appendf(nil, "c%d", j%channels)})
		}
		fakes[i] = l
		looping.Go(func() {
			for !stop.Load() && !t.Failed() {
				l.turn()
				l.comeOrGo(l.clients[l.r.IntN(len(l.clients))])
			}
		})
	}
	looping.Go(func() {
		r := rand.New(rand.NewPCG(seed, 200))
		for !stop.Load() {
			upkeep(s, r, now.Load(), fmt.Appendf(nil, "c%d", r.IntN(channels)))
		}
	})
	publishing.Wait()
	stop.Store(true)
	looping.Wait()
	settle(t, s, fakes)
	t.Logf("%d published, %d received, %d gaps", sent.Load(), got.Load(), gaps.Load())
	if total := s.Totals(); total.Published != uint64(sent.Load()) {
		t.Errorf("%d published, %d counted", sent.Load(), total.Published)
	}
}

// upkeep is what the timer and the backend do meanwhile.
func upkeep(s *Store, r *rand.Rand, now int64, name []byte) {
	s.Sweep(now, 1+r.IntN(20))
	s.State(name, now)
	if r.IntN(50) == 0 {
		s.Delete(name, now)
	}
}

// settle lets all clients get what waits and leave, and compares the counters with what is there.
func settle(t *testing.T, s *Store, fakes []*fakeLoop) {
	here := int64(0)
	for _, l := range fakes {
		l.turn()
		for _, c := range l.clients {
			if c.ch == nil {
				continue
			}
			here++
			if state, _ := s.State(c.name, 0); state.Offset != c.at {
				t.Errorf("%s stands at %d, a client at %d", c.name, state.Offset, c.at)
			}
		}
	}
	total := s.Totals()
	if total.Subscriptions != here {
		t.Errorf("%d subscriptions, %d clients", total.Subscriptions, here)
	}
	if s.conf.Memory > 0 && total.Bytes > s.conf.Memory {
		s.Sweep(0, 1000) // forms encoded since the last publish
		if total = s.Totals(); total.Bytes > s.conf.Memory {
			t.Errorf("%d bytes kept, %d allowed", total.Bytes, s.conf.Memory)
		}
	}
	for _, l := range fakes {
		for _, c := range l.clients {
			if c.ch != nil {
				l.comeOrGo(c)
			}
			s.Delete(c.name, 0)
		}
	}
	total = s.Totals()
	gone := total.EvictedAge + total.EvictedLength + total.EvictedMemory + total.Deleted
	if s.conf.Length > 0 && gone != total.Published {
		t.Errorf("%d gone of %d", gone, total.Published)
	}
	if total.Channels != 0 || total.Publications != 0 || total.Bytes != 0 || total.Subscriptions != 0 {
		t.Errorf("left: %+v", total)
	}
}
