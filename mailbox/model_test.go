package mailbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"encke/codes"
)

// model is the boxes as one would write them without a thought for cost: every letter in one slice, oldest first.
type model struct {
	conf   Config
	all    []modelLetter
	given  map[string]uint64
	polled map[string]int64
	keys   []modelKey // oldest first
	last   uint64
	counts Counts
}

type modelLetter struct {
	user string
	id   uint64
	time int64
	ends int64 // 0: never
	size int   // of Wire
}

type modelKey struct {
	user, id string
	digest   uint64
	letter   uint64
	time     int64
}

func (p modelLetter) over(now, age int64) bool {
	return p.ends != 0 && now >= p.ends || age != 0 && now >= p.time+age
}

// filter drops the letters for which gone is true, counts them, and forgets about the polls of those who have none left.
func (m *model) filter(count *uint64, gone func(p modelLetter) bool) (n int) {
	left := slices.DeleteFunc(slices.Clone(m.all), gone)
	n = len(m.all) - len(left)
	m.all = left
	*count += uint64(n)
	for user := range m.polled {
		if len(m.of(user)) == 0 {
			delete(m.given, user)
			delete(m.polled, user)
		}
	}
	return n
}

func (m *model) of(user string) (own []modelLetter) {
	for _, p := range m.all {
		if p.user == user {
			own = append(own, p)
		}
	}
	return own
}

func (m *model) expire(user string, now int64) (n int) {
	return m.filter(&m.counts.DroppedAge, func(p modelLetter) bool { return p.user == user && p.over(now, m.conf.Age) })
}

// drop drops the oldest letter of that user.
func (m *model) drop(user string, count *uint64) {
	oldest := m.of(user)[0].id
	m.filter(count, func(p modelLetter) bool { return p.id == oldest })
}

// size is how many bytes of Wire a user has.
func (m *model) size(user string) (sum int) {
	for _, p := range m.of(user) {
		sum += p.size
	}
	return sum
}

func (m *model) bytes() (sum int64) {
	users := map[string]bool{}
	for _, p := range m.all {
		sum += letterCost + int64(p.size)
		if !users[p.user] {
			sum += boxCost + int64(len(p.user))
		}
		users[p.user] = true
	}
	return sum
}

func (m *model) keyBytes() (sum int64) {
	for _, k := range m.keys {
		sum += keyCost + int64(len(k.user)+len(k.id))
	}
	return sum
}

// put says what Put answers: the letter's id, whether it is still there, whether it is a repetition, or the refusal.
func (m *model) put(user, key string, digest uint64, ends int64, size int, now int64) string {
	for _, k := range slices.Backward(m.keys) {
		if key == "" || k.user != user || k.id != key || now-k.time > m.conf.IDAge {
			continue
		}
		if k.digest != digest {
			return codes.IDReused.String()
		}
		m.counts.Repeated++
		m.expire(user, now)
		there := slices.ContainsFunc(m.all, func(p modelLetter) bool { return p.id == k.letter })
		return fmt.Sprint(k.letter, there, true)
	}
	m.last = max(m.last+1, uint64(now)*1024)
	if int64(size) > m.conf.Bytes || m.conf.Memory > 0 && boxCost+int64(len(user))+letterCost+int64(size) > m.conf.Memory {
		return codes.MessageTooLarge.String()
	}
	m.keep(modelLetter{user, m.last, now, ends, size}, now)
	if key != "" && m.conf.IDAge > 0 {
		m.keys = append(m.keys, modelKey{user, key, digest, m.last, now})
	}
	answer := fmt.Sprint(m.last, true, false)
	m.makeRoom(now)
	if key != "" && m.conf.IDAge > 0 {
		m.forget(now, keysPerPut)
	}
	return answer
}

func (m *model) keep(p modelLetter, now int64) {
	m.counts.Put++
	if p.over(now, m.conf.Age) {
		m.counts.DroppedAge++
		return
	}
	m.expire(p.user, now)
	// It comes first, so that its user's box and what is known of polls stay though all others go.
	m.all = append(m.all, p)
	for len(m.of(p.user)) > m.conf.Length {
		m.drop(p.user, &m.counts.DroppedLength)
	}
	for int64(m.size(p.user)) > m.conf.Bytes {
		m.drop(p.user, &m.counts.DroppedBytes)
	}
}

func (m *model) makeRoom(now int64) {
	for m.conf.Memory > 0 && m.bytes() > m.conf.Memory {
		if user := m.all[0].user; m.expire(user, now) == 0 {
			m.drop(user, &m.counts.DroppedMemory)
		}
	}
}

func (m *model) forget(now int64, n int) {
	for ; len(m.keys) > 0; n-- {
		old := now-m.keys[0].time > m.conf.IDAge
		if m.keyBytes() <= m.conf.IDMemory && !(old && n > 0) {
			return
		}
		if !old {
			m.counts.IDsForgotten++
		}
		m.keys = m.keys[1:]
	}
}

// after says what After answers.
func (m *model) after(user string, id uint64, bytes int, now int64) (ids []uint64, more bool) {
	m.expire(user, now)
	sum := 0
	for _, p := range m.of(user) {
		if p.id <= id {
			continue
		}
		sum += p.size
		if more = more || bytes <= 0 || len(ids) > 0 && sum > bytes; !more {
			ids = append(ids, p.id)
		}
	}
	return ids, more
}

func (m *model) poll(user string, bytes int, grace, now int64) (ids []uint64, more bool) {
	if m.expire(user, now); len(m.of(user)) == 0 {
		return nil, false
	}
	if polled, ok := m.polled[user]; !ok || now-polled > grace {
		m.given[user] = 0
	}
	m.polled[user] = now
	ids, more = m.after(user, m.given[user], bytes, now)
	if len(ids) > 0 {
		m.given[user] = ids[len(ids)-1]
	}
	return ids, more
}

func (m *model) list(user string, after uint64, limit int, now int64) (ids []uint64, total int, more bool) {
	m.expire(user, now)
	own := m.of(user)
	for _, p := range own {
		if p.id > after {
			ids = append(ids, p.id)
		}
	}
	if more = len(ids) > limit; more {
		ids = ids[:limit]
	}
	return ids, len(own), more
}

func (m *model) take(user string, count *uint64, now int64, gone func(id uint64) bool) int {
	m.expire(user, now)
	return m.filter(count, func(p modelLetter) bool { return p.user == user && gone(p.id) })
}

func (m *model) sweep(now int64) {
	m.filter(&m.counts.DroppedAge, func(p modelLetter) bool { return p.over(now, m.conf.Age) })
	m.forget(now, len(m.keys))
}

// TestAgainstModel does random things to boxes and a model of them and wants the same answers.
func TestAgainstModel(t *testing.T) {
	rounds := 30
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
	r   *rand.Rand
	s   *Boxes
	m   *model
	now int64
	ids []uint64 // of the letters that were put last
}

func compare(t *testing.T, r *rand.Rand) {
	conf := Config{
		Length:   1 + r.IntN(20),
		Bytes:    100 + r.Int64N(2000),
		Age:      max(0, r.Int64N(400)-50),
		Memory:   max(0, 500+r.Int64N(10000)),
		IDAge:    max(0, r.Int64N(200)-20),
		IDMemory: r.Int64N(6000),
	}
	if r.IntN(4) == 0 {
		conf.Memory = 0
	}
	m := &model{conf: conf, given: map[string]uint64{}, polled: map[string]int64{}}
	c := &comparison{t, r, New(conf), m, 1_000_000, make([]uint64, 30)}
	for range 1500 {
		c.now += max(-20, r.Int64N(20)-5) // it stands, and goes back, now and then
		c.step()
		c.counts()
		c.row()
		if t.Failed() {
			return
		}
	}
}

func (c *comparison) step() {
	user := string(rune('a' + c.r.IntN(8)))
	bytes := c.r.IntN(800) - 100
	id := c.ids[c.r.IntN(len(c.ids))] + uint64(c.r.IntN(3)) - min(1, c.ids[0])
	switch op := c.r.IntN(20); {
	case op < 8:
		c.put(user)
	case op < 10:
		got, more := c.s.After(user, id, bytes, c.now, nil)
		want, wantMore := c.m.after(user, id, bytes, c.now)
		c.equal("after", fmt.Sprint(idsOf(got), more), fmt.Sprint(want, wantMore))
	case op < 13:
		grace := c.r.Int64N(60)
		got, more := c.s.Poll(user, bytes, grace, c.now, nil)
		want, wantMore := c.m.poll(user, bytes, grace, c.now)
		c.equal("poll", fmt.Sprint(idsOf(got), more), fmt.Sprint(want, wantMore))
	case op < 14:
		limit := c.r.IntN(8)
		got, total, more := c.s.List(user, id, limit, c.now, nil)
		want, wantTotal, wantMore := c.m.list(user, id, limit, c.now)
		c.equal("list", fmt.Sprint(idsOf(got), total, more), fmt.Sprint(want, wantTotal, wantMore))
	case op < 15:
		upTo := func(x uint64) bool { return x <= id }
		c.equal("ack", c.s.Ack(user, id, c.now), c.m.take(user, &c.m.counts.Acknowledged, c.now, upTo))
	case op < 17:
		ids, these := c.some()
		c.equal("ack only", c.s.AckOnly(user, ids, c.now), c.m.take(user, &c.m.counts.Acknowledged, c.now, these))
	case op < 18:
		ids, these := c.some()
		c.equal("delete", c.s.Delete(user, ids, c.now), c.m.take(user, &c.m.counts.Deleted, c.now, these))
	case op < 19 && c.r.IntN(3) == 0:
		all := func(uint64) bool { return true }
		c.equal("delete all", c.s.DeleteAll(user, c.now), c.m.take(user, &c.m.counts.Deleted, c.now, all))
	default:
		c.s.Sweep(c.now, 1000)
		c.m.sweep(c.now)
	}
}

func (c *comparison) put(user string) {
	key, digest, ends := "", c.r.Uint64N(5)/4, int64(0)
	if c.r.IntN(2) == 0 {
		key = fmt.Sprint(c.r.IntN(20))
	}
	if c.r.IntN(3) == 0 {
		ends = c.now + c.r.Int64N(100) - 10
	}
	size := c.r.IntN(100 + c.r.IntN(400))
	got := ""
	l, repeated, err := c.s.Put(user, []byte(key), digest, ends, wireOf(size), c.now)
	if err != nil {
		got = err.Code.String()
	} else {
		got = fmt.Sprint(l.ID, l.Wire != nil, repeated)
		c.ids = append(c.ids[1:], l.ID)
	}
	c.equal("put", got, c.m.put(user, key, digest, ends, size, c.now))
}

// some returns a few ids in any order, some of them twice, and a function that knows them.
func (c *comparison) some() ([]uint64, func(uint64) bool) {
	ids := make([]uint64, c.r.IntN(20))
	for i := range ids {
		ids[i] = c.ids[c.r.IntN(len(c.ids))]
	}
	return ids, func(id uint64) bool { return slices.Contains(ids, id) }
}

// counts compares the figures, holds them against the law of conservation, and the bounds against what they bound.
func (c *comparison) counts() {
	got, want, conf := c.s.Counts(), c.m.counts, c.m.conf
	want.Letters, want.Bytes = int64(len(c.m.all)), c.m.bytes()
	want.IDs, want.IDBytes = int64(len(c.m.keys)), c.m.keyBytes()
	for user := 'a'; user < 'i'; user++ {
		if len(c.m.of(string(user))) > 0 {
			want.Boxes++
		}
	}
	c.equal("counts", got, want)
	conserved(c.T, got)
	if conf.Memory > 0 && got.Bytes > conf.Memory || got.IDBytes > conf.IDMemory {
		c.Errorf("above a bound: %+v of %+v", got, conf)
	}
}

// row looks into the boxes: what they count is what is there, and they keep the user's bounds.
func (c *comparison) row() {
	for i := range c.s.shards {
		for place, b := range c.s.shards[i].all {
			sum, last := int64(0), uint64(0)
			for i := range b.letters.n {
				l := b.letters.at(i)
				if l.ID <= last || l.home != b || l.ends < b.next {
					c.Fatalf("%s: %d after %d, over at %d, next %d", b.user, l.ID, last, l.ends, b.next)
				}
				last, sum = l.ID, sum+int64(len(l.Wire))
			}
			if sum != b.bytes || sum > c.m.conf.Bytes || b.letters.n > c.m.conf.Length || b.letters.n == 0 || b.place != place {
				c.Fatalf("%+v has %d bytes", b, sum)
			}
		}
	}
}

func (c *comparison) equal(what string, got, want any) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Fatalf("%s at %d: %+v, want %+v", what, c.now, got, want)
	}
}
