package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is a channel as one would write it without a thought for cost.
type model struct {
	name  string
	mode  Mode
	ch    *Channel // any of the holders'
	opens int
	conns []string         // users, one entry for each connection, "" among them
	left  map[string]int64 // users in their grace: since when
	infos map[string]string
	stale map[string]bool // users told whose info a further connection has changed
	newer map[string]bool // users told whose info followers have not been told yet
	told  *follower       // has applied every event
	last  int64           // when counts were published last, while there is a record
	begun bool            // last is valid

	record bool // there is one: from Open to the first Close or Flush that finds it empty
}

func (m *model) count(user string) (n int) {
	for _, u := range m.conns {
		if u == user {
			n++
		}
	}
	return n
}

// present are the members.
func (m *model) present() map[string]bool {
	present := map[string]bool{}
	for _, u := range m.conns {
		present[u] = true
	}
	for u := range m.left {
		present[u] = true
	}
	delete(present, "")
	return present
}

func (m *model) counts() counts { return counts{len(m.present()), len(m.conns)} }

// changes are how many joins and leaves are to be published.
func (m *model) changes() (n int) {
	if m.mode != Members {
		return 0
	}
	present := m.present()
	for u := range present {
		if !m.told.users[u] || m.newer[u] {
			n++
		}
	}
	for u := range m.told.users {
		if !present[u] {
			n++
		}
	}
	return n
}

func (m *model) pending() bool { return m.changes() > 0 || m.counts() != m.told.counts }

func (m *model) empty() bool { return m.opens == 0 && len(m.present()) == 0 && !m.pending() }

// depart ends the graces that are over.
func (m *model) depart(now, grace int64) {
	for u, since := range m.left {
		if now-since >= grace {
			delete(m.left, u)
		}
	}
}

// forget begins anew when the record goes.
func (m *model) forget() {
	if m.empty() {
		m.begun, m.record = false, false
	}
}

// TestAgainstModel does random things to a book and a model of it, with followers that come at any moment.
func TestAgainstModel(t *testing.T) {
	rounds := 40
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
	r         *rand.Rand
	book      *Book
	streams   *companions
	models    []*model
	followers []*follower
	now       int64
	refusing  int  // of 4 publications
	refused   bool // since the step began
}

func compare(t *testing.T, r *rand.Rand) {
	c := &comparison{T: t, r: r, streams: &companions{}, now: 1_000_000}
	c.streams.refuse = func() bool {
		refuse := c.r.IntN(4) < c.refusing
		c.refused = c.refused || refuse
		return refuse
	}
	conf := c.streams.config(r.Int64N(2) * r.Int64N(1500))
	conf.MaxEvent = 142 + r.IntN(200)
	c.book = New(conf)
	for i, mode := range []Mode{Members, Members, Counts} {
		name := string(rune('a' + i))
		c.models = append(c.models, &model{name: name, mode: mode, left: map[string]int64{}, infos: map[string]string{}, stale: map[string]bool{}, newer: map[string]bool{}, told: begin(name, Snapshot{})})
	}
	for range 1500 {
		c.refusing = max(0, c.r.IntN(7)-3)
		c.refused = false
		c.step(c.models[c.r.IntN(len(c.models))])
		c.totals()
		if t.Failed() {
			return
		}
	}
	c.end()
}

func (c *comparison) step(m *model) {
	user := []string{"", "ann", "bob", "cyd", "dan", "eve", "fay"}[c.r.IntN(7)]
	switch op := c.r.IntN(20); {
	case op < 2:
		m.ch = c.book.Open(m.name, m.mode)
		m.opens++
		m.record = true
	case op < 3 && (m.opens > 1 || m.opens == 1 && len(m.conns) == 0):
		m.ch.Close()
		m.opens--
		m.forget()
	case op < 9 && m.opens > 0:
		c.enter(m, user)
	case op < 15 && len(m.conns) > 0:
		c.leave(m, c.r.IntN(len(m.conns)), c.r.IntN(3) == 0)
	case op < 16 && len(m.conns) > 0:
		c.inform(m, m.conns[c.r.IntN(len(m.conns))])
	case op < 17:
		c.now += c.r.Int64N(500)
	case op < 19:
		c.flush()
	default:
		c.snapshot(m)
	}
	c.follow(m)
	c.invariants(m)
}

func (c *comparison) enter(m *model, user string) {
	info := fmt.Sprint(c.r.IntN(1000))
	m.ch.Enter(user, []byte(info))
	m.conns = append(m.conns, user)
	if m.told.users[user] && m.infos[user] != info {
		m.stale[user] = true
	}
	m.infos[user] = info
	delete(m.left, user)
}

func (c *comparison) inform(m *model, user string) {
	info := fmt.Sprint(c.r.IntN(1000))
	m.ch.Inform(user, []byte(info))
	if m.mode == Members && m.told.users[user] && (m.stale[user] || m.infos[user] != info) {
		m.newer[user] = true
	}
	m.infos[user] = info
}

func (c *comparison) leave(m *model, i int, atOnce bool) {
	user := m.conns[i]
	m.ch.Leave(user, c.now, atOnce)
	m.conns = slices.Delete(m.conns, i, i+1)
	if user != "" && m.count(user) == 0 && !atOnce && c.book.conf.Grace > 0 {
		m.left[user] = c.now
	}
}

// flush wants of every channel that what is due is published, no more, and nothing that cancels out.
func (c *comparison) flush() {
	for _, m := range c.models {
		m.depart(c.now, c.book.conf.Grace)
	}
	c.book.Flush(c.now)
	for _, m := range c.models {
		due := m.changes() > 0 || m.counts() != m.told.counts && (!m.begun || c.now >= m.last+1000)
		c.published(m, due)
		m.forget()
	}
}

// published applies the new events to what m knows as told and checks them.
func (c *comparison) published(m *model, due bool) {
	want := m.changes()
	events := c.streams.from(m.name, m.told.offset, c.streams.head(m.name))
	got := 0
	for _, e := range events {
		got += len(e.Join) + len(e.Leave) + len(e.Update)
		for _, x := range e.Update {
			if !m.newer[x.User] || string(x.Info) != m.infos[x.User] {
				c.Errorf("%s at %d: %s is told to have info %s, has %s", m.name, c.now, x.User, x.Info, m.infos[x.User])
			}
			delete(m.newer, x.User)
			delete(m.stale, x.User)
		}
		for _, user := range e.Leave {
			delete(m.newer, user)
			delete(m.stale, user)
		}
		if e.Users != nil {
			m.last, m.begun = e.time, true
		}
	}
	m.told.follow(c.T, c.streams, c.streams.head(m.name))
	switch {
	case c.refused && got > want:
		c.Errorf("%s at %d: %d changes published of %d", m.name, c.now, got, want)
	case c.refused:
	case got != want || (len(events) > 0) != due:
		c.Errorf("%s at %d: %d changes published in %v, want %d (%v)", m.name, c.now, got, events, want, due)
	case due && m.pending():
		c.Errorf("%s at %d: %+v published, want %v %+v", m.name, c.now, m.told, m.present(), m.counts())
	}
}

// snapshot takes one, and a follower begins with it.
func (c *comparison) snapshot(m *model) {
	if c.r.IntN(3) == 0 {
		c.followers = append(c.followers, begin(m.name, c.book.Published(m.name, m.mode, true)))
		return
	}
	pending := m.pending()
	s := c.book.Snapshot(m.name, m.mode, c.now, true)
	c.published(m, pending)
	if c.followers = append(c.followers, begin(m.name, s)); len(c.followers) > 8 {
		c.followers = c.followers[1:]
	}
	if m.mode == Members {
		c.members(m, s)
	}
}

// members wants what a snapshot lists to be those told, with what is known of them now.
func (c *comparison) members(m *model, s Snapshot) {
	var want []Member
	for _, u := range slices.Sorted(maps.Keys(m.told.users)) {
		want = append(want, Member{u, []byte(m.infos[u]), m.count(u)})
	}
	if fmt.Sprint(s.Members) != fmt.Sprint(want) {
		c.Errorf("%s at %d: members %v, want %v", m.name, c.now, s.Members, want)
	}
}

// follow lets a follower catch up and holds all of the channel against what is published.
func (c *comparison) follow(m *model) {
	snap := begin(m.name, c.book.Published(m.name, m.mode, true))
	m.told.agree(c.T, snap)
	for _, f := range c.followers {
		if f.name == m.name && c.r.IntN(2) == 0 {
			f.follow(c.T, c.streams, snap.offset)
			f.agree(c.T, snap)
		}
	}
}

// invariants looks into the record.
func (c *comparison) invariants(m *model) {
	ch := c.book.shard(m.name).byName[m.name]
	if ch == nil {
		return
	}
	told, changes := 0, 0
	for user, mem := range ch.members {
		if mem.user != user || !mem.present && !mem.told {
			c.Errorf("%s at %d: %+v kept as %s", m.name, c.now, mem, user)
		}
		if mem.told {
			told++
		}
		if mem.renewed && !mem.told || mem.changed != (mem.present != mem.told || mem.renewed) {
			c.Errorf("%s at %d: %+v", m.name, c.now, mem)
		}
		if mem.changed {
			changes++
			if int(mem.place) >= len(ch.changes) || ch.changes[mem.place] != mem {
				c.Errorf("%s at %d: %+v is not in its place", m.name, c.now, mem)
			}
		}
	}
	if m.mode == Members && told != ch.listed || changes != len(ch.changes) {
		c.Errorf("%s at %d: %d of %d told, %d of %d changes", m.name, c.now, ch.listed, told, len(ch.changes), changes)
	}
}

func (c *comparison) totals() {
	var want Totals
	for _, m := range c.models {
		if m.record {
			want.Channels++
		}
		want.Members += int64(m.counts().users)
		want.Connections += int64(m.counts().connections)
		want.Published += c.streams.head(m.name)
	}
	got := c.book.Totals()
	got.Bytes, got.Refused = 0, 0
	if got != want {
		c.Errorf("at %d: %+v, want %+v", c.now, got, want)
	}
}

// end lets everybody go: after the grace nothing is left but what was published.
func (c *comparison) end() {
	c.refusing = 0
	for _, m := range c.models {
		for len(m.conns) > 0 {
			c.leave(m, 0, false)
		}
		for ; m.opens > 0; m.opens-- {
			m.ch.Close()
		}
		m.forget()
	}
	for range 2 {
		c.now += 1500
		c.refused = false
		c.flush()
	}
	for _, m := range c.models {
		if m.told.counts != (counts{}) || len(m.told.users) > 0 {
			c.Errorf("%s: %+v left", m.name, m.told)
		}
		c.follow(m)
	}
	if got := c.book.Totals(); got.Channels != 0 || got.Members != 0 || got.Connections != 0 || got.Bytes != 0 {
		c.Errorf("%+v left", got)
	}
}
