package channel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// model is the store as one would write it without a thought for cost: every publication in one slice.
type model struct {
	conf   Config
	real   *Store // asked for nothing but the floors
	all    []modelPub
	heads  map[string]uint64
	subs   map[string][]int // the loops, one entry for each subscriber
	seen   []string         // as fakeSink.seen
	totals Totals
}

type modelPub struct {
	name   string
	offset uint64
	time   int64
	ends   int64 // 0: never
	cost   int64
}

// settings are those of a channel.
func (m *model) settings(name string) Settings {
	for _, r := range m.conf.Rules {
		if r.Pattern == name || r.Pattern == name[:1]+"*" {
			return r.Settings
		}
	}
	return Settings{m.conf.Length, m.conf.Age, m.conf.Slow}
}

// head returns where a channel stands, or where it would begin.
func (m *model) head(name string) uint64 {
	if head, ok := m.heads[name]; ok {
		return head
	}
	sh, bucket := m.real.place([]byte(name))
	return sh.floor(bucket)
}

// filter keeps those for which keep is true, and counts the others.
func (m *model) filter(count *uint64, keep func(p modelPub) bool) {
	var left []modelPub
	for _, p := range m.all {
		if keep(p) {
			left = append(left, p)
		} else {
			*count++
		}
	}
	m.all = left
}

func (m *model) of(name string, now int64) (live []modelPub) {
	for _, p := range m.all {
		if p.name == name && now-p.time <= m.settings(name).Age {
			live = append(live, p)
		}
	}
	return live
}

// expire takes out a channel's oldest publications while their time has passed.
func (m *model) expire(name string, now int64) {
	over := true
	m.filter(&m.totals.EvictedAge, func(p modelPub) bool {
		if p.name != name {
			return true
		}
		over = over && (now-p.time > m.settings(name).Age || p.ends != 0 && now >= p.ends)
		return !over
	})
}

func (m *model) publish(name string, now, ttl, cost int64) Result {
	head := m.head(name) + 1
	m.heads[name] = head
	for loop := range m.conf.Loops {
		for _, l := range m.subs[name] {
			if l == loop {
				m.seen = append(m.seen, fmt.Sprint(loop, ":", head))
				break
			}
		}
	}
	m.totals.Published++
	length := uint64(m.settings(name).Length)
	if length > 0 {
		m.expire(name, now)
		p := modelPub{name: name, offset: head, time: now, cost: cost}
		if ttl > 0 {
			p.ends = now + ttl
		}
		m.all = append(m.all, p)
	}
	m.filter(&m.totals.EvictedLength, func(p modelPub) bool { return p.name != name || p.offset+length > head })
	for m.bytes() > m.conf.Memory {
		m.all = m.all[1:]
		m.totals.EvictedMemory++
	}
	return Result{Offset: head, Subscribers: len(m.subs[name])}
}

func (m *model) bytes() (sum int64) {
	for _, p := range m.all {
		sum += p.cost
	}
	return sum
}

func (m *model) read(name string, from From, limit Limit, now int64) string {
	j := Joined{Head: m.head(name)}
	live := m.of(name, now)
	before := j.Head - uint64(len(live))
	switch from.Kind {
	case FromNow:
		j.Next = j.Head
		return show(j)
	case FromStart:
		for len(live) > 0 && live[0].over(now) {
			live, before = live[1:], before+1
		}
		j.Recovered = true
	case FromPosition:
		switch {
		case from.Epoch != m.conf.Epoch:
			j.Gap = "epoch"
		case from.Offset > j.Head:
			j.Gap = "unknown"
		case from.Offset < before && limit.Newest && m.made(name):
			before = from.Offset
		case from.Offset < before:
			j.Gap = "expired"
		default:
			j.Recovered = true
			live = live[from.Offset-before:]
			before = from.Offset
		}
	}
	j.Begin = before
	m.replay(&j, live, limit, now)
	return show(j)
}

// made says whether the store has the channel.
func (m *model) made(name string) bool { _, ok := m.heads[name]; return ok }

func (p modelPub) over(now int64) bool { return p.ends != 0 && now >= p.ends }

// replay goes through the offsets one by one.
func (m *model) replay(j *Joined, live []modelPub, limit Limit, now int64) {
	j.Next = j.Begin
	given, size := 0, 0
	missing := false
	gap := func() {
		if missing {
			j.Replay = append(j.Replay, &Publication{Offset: j.Next, Kind: KindGap})
			j.Recovered, missing = false, false
		}
	}
	for i, p := range live {
		if p.over(now) || limit.Newest && i < len(live)-1 {
			continue
		}
		if limit.Publications < 0 || limit.Publications > 0 && given >= limit.Publications || limit.Bytes > 0 && size >= limit.Bytes {
			j.More = true
			return
		}
		if missing = p.offset > j.Next+1; missing {
			j.Next = p.offset - 1
			gap()
		}
		j.Replay = append(j.Replay, &Publication{Offset: p.offset})
		j.Next = p.offset
		given++
		size += m.wire(p) + limit.Each
	}
	if missing = j.Next < j.Head; missing {
		j.Next = j.Head
		gap()
	}
}

// wire is the length of a publication's wire object.
func (m *model) wire(want modelPub) int {
	for _, p := range kept(m.real, want.name) {
		if p.Offset == want.offset {
			return len(p.Wire)
		}
	}
	panic("not kept")
}

func (m *model) delete(name string, now int64) bool {
	existed := len(m.subs[name]) > 0 || len(m.of(name, now)) > 0
	m.filter(&m.totals.Deleted, func(p modelPub) bool { return p.name != name })
	m.forget(name)
	return existed
}

// forget removes the channel when it is empty; the store's floor then has its head.
func (m *model) forget(name string) {
	for _, p := range m.all {
		if p.name == name {
			return
		}
	}
	if len(m.subs[name]) == 0 {
		delete(m.heads, name)
		delete(m.subs, name)
	}
}

func (m *model) sweep(now int64) {
	for name := range m.heads {
		m.expire(name, now)
	}
	for name := range m.heads {
		m.forget(name)
	}
}

// TestAgainstModel does random things to a store and a model of it and wants the same answers.
func TestAgainstModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { compare(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

type comparison struct {
	*testing.T
	r    *rand.Rand
	s    *Store
	m    *model
	sink *fakeSink
	now  int64
	join map[string][]*Channel // beside model.subs
}

func compare(t *testing.T, r *rand.Rand) {
	conf := Config{
		Epoch:  epochK,
		Length: r.IntN(12), // expirePerPublish is above that: Publish has expired all it should
		Age:    1 + r.Int64N(100),
		Memory: 1000 + r.Int64N(20000),
		Loops:  1 + r.IntN(5),
	}
	sink := &fakeSink{}
	conf.Rules = []Rule{{"a", Settings{Length: 1, Age: 50}}, {"b*", Settings{Length: 10, Age: 200}}}
	conf.Sink = sink
	s := NewStore(conf)
	m := &model{conf: conf, real: s, heads: map[string]uint64{}, subs: map[string][]int{}}
	c := &comparison{t, r, s, m, sink, 1, map[string][]*Channel{}}
	for range 1500 {
		c.now += 1 + r.Int64N(1+conf.Age/4) // no two at the same time: then the oldest is one
		c.step()
		c.totals()
		if t.Failed() {
			return
		}
	}
}

func (c *comparison) step() {
	name := string(rune('a' + c.r.IntN(8)))
	from := From{FromKind(c.r.IntN(3)), epochK + Epoch(c.r.IntN(9)/8), max(2, c.m.head(name)+3) - c.r.Uint64N(min(12, c.m.head(name)+2))}
	switch op := c.r.IntN(20); {
	case op < 9:
		data := make([]byte, 1+c.r.IntN(200))
		ttl := max(0, c.r.Int64N(200)-100)
		got, err := c.s.Publish([]byte(name), &Message{Data: data, TTL: ttl}, c.now)
		if err != nil {
			c.Fatal(err)
		}
		c.equal("publish", got, c.m.publish(name, c.now, ttl, cost(data, c.now)))
		c.equal("deliver", c.sink.seen, c.m.seen)
		c.sink.seen, c.m.seen = nil, nil
	case op < 12:
		limit := c.limit()
		got, _ := c.s.Read([]byte(name), from, limit, c.now, nil)
		c.equal("read", show(got), c.m.read(name, from, limit, c.now))
	case op < 15:
		loop := c.r.IntN(c.m.conf.Loops)
		limit := c.limit()
		c.m.heads[name] = c.m.head(name)
		want := c.m.read(name, from, limit, c.now)
		got, _ := c.s.Subscribe([]byte(name), loop, from, limit, c.now, nil)
		c.equal("subscribe", show(got), want)
		c.m.subs[name] = append(c.m.subs[name], loop)
		c.join[name] = append(c.join[name], got.Channel)
	case op < 18:
		if n := len(c.m.subs[name]); n > 0 {
			i := c.r.IntN(n)
			c.s.Unsubscribe(c.join[name][i], c.m.subs[name][i], c.now)
			c.m.subs[name] = append(c.m.subs[name][:i], c.m.subs[name][i+1:]...)
			c.join[name] = append(c.join[name][:i], c.join[name][i+1:]...)
		}
	case op < 19:
		c.equal("delete", c.s.Delete([]byte(name), c.now), c.m.delete(name, c.now))
	default:
		for range 20 { // more often than there are channels, for all of them to be visited
			c.s.Sweep(c.now, 1)
		}
		c.m.sweep(c.now)
	}
	c.state(name)
}

func (c *comparison) limit() Limit {
	return Limit{Publications: c.r.IntN(10) - 1, Bytes: max(0, c.r.IntN(1000)-200), Newest: c.r.IntN(8) == 0, Each: c.r.IntN(2) * 50}
}

func (c *comparison) state(name string) {
	var live []modelPub
	for _, p := range c.m.of(name, c.now) {
		if !p.over(c.now) {
			live = append(live, p)
		}
	}
	want := State{Offset: c.m.head(name), Subscribers: len(c.m.subs[name]), Length: len(live)}
	for _, p := range live {
		want.Bytes += p.cost
	}
	got, ok := c.s.State([]byte(name), c.now)
	if want.Subscribers == 0 && want.Length == 0 {
		c.equal("state of none", ok, false)
		return
	}
	c.equal("state", got, want)
}

func (c *comparison) totals() {
	want := c.m.totals
	want.Channels, want.Publications, want.Bytes = int64(len(c.m.heads)), int64(len(c.m.all)), c.m.bytes()
	for _, subs := range c.m.subs {
		want.Subscriptions += int64(len(subs))
	}
	c.equal("totals", c.s.Totals(), want)
}

func (c *comparison) equal(what string, got, want any) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Fatalf("%s at %d: %+v, want %+v", what, c.now, got, want)
	}
}

// cost is what a message of that data costs at that time, asked of the encoder.
func cost(data []byte, now int64) int64 {
	p, err := newPublication(1, epochK.String(), &Message{Data: data}, 0, now)
	if err != nil {
		panic(err)
	}
	return int64(p.cost)
}
