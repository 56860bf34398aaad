package presence

import (
	"fmt"
	"testing"
)

const stormSize = 10_000

// TestStorm: ten thousand join and leave within a second. What is published is bounded by the changes, whatever the number
// of members; what Flush looks at too.
func TestStorm(t *testing.T) {
	streams := &companions{}
	b := New(streams.config(500))
	ch := b.Open("a", Members)
	users := make([]string, stormSize)
	now := int64(0)
	for i := range users {
		users[i] = fmt.Sprintf("user%06d", i)
		ch.Enter(users[i], nil)
		if i%1000 == 999 {
			now += 100
			b.Flush(now)
		}
	}
	bytes := func() (n int) {
		for _, e := range streams.events["a"] {
			n += len(e.raw)
		}
		return n
	}
	perJoin := len(`{"user":"user000000"},`)
	check := func(what string, events uint64, size, visits int) {
		t.Helper()
		if got := streams.head("a"); got != events || bytes() > size || b.visits != uint64(visits) {
			t.Errorf("%s: %d events, %d bytes, %d visits; want %d, at most %d, %d", what, got, bytes(), b.visits, events, size, visits)
		}
	}
	joined := stormSize*perJoin + 10*60
	check("joined", 10, joined, 10)

	for range 1000 { // nothing happens
		now += 100
		b.Flush(now)
	}
	check("stayed", 10, joined, 10)

	for _, u := range users { // a reload: all are gone for a moment
		ch.Leave(u, now, false)
	}
	now += 100
	b.Flush(now)
	for _, u := range users {
		ch.Enter(u, nil)
	}
	for range 10 {
		now += 100
		b.Flush(now)
	}
	// The empty moment shows in the counts, at most once a second; each departure is looked at once and found not to hold.
	check("reloaded", 12, joined+2*60, 10+11+stormSize)

	for _, u := range users {
		ch.Leave(u, now, true)
	}
	now += 100
	b.Flush(now)
	left := joined + 2*60 + stormSize*len(`"user000000",`) + 10*60
	parts := uint64(stormSize*len(`"user000000",`)/(defaultMaxEvent-200) + 1)
	check("left", 12+parts, left, 10+11+stormSize+1)
	if got := begin("a", b.Published("a", Members, true)); len(got.users) != 0 || got.counts != (counts{}) {
		t.Errorf("%+v left", got)
	}
}

// TestFlushLooksAtChangesOnly: one channel changes among many that do not.
func TestFlushLooksAtChangesOnly(t *testing.T) {
	streams := &companions{}
	b := New(streams.config(500))
	for i := range stormSize {
		b.Open(fmt.Sprint(i), Members).Enter("a", nil)
	}
	b.Flush(0)
	if b.visits != stormSize {
		t.Errorf("%d visits, want one for each", b.visits)
	}
	b.visits = 0
	ch := b.Open("7", Members)
	ch.Enter("b", nil)
	b.Flush(100)
	ch.Enter("b", nil)
	ch.Leave("b", 200, false)
	for now := int64(200); now < 3000; now += 100 {
		b.Flush(now)
	}
	if b.visits != 2 {
		t.Errorf("%d visits, want one for each change", b.visits)
	}
}

// TestSnapshotsInAStorm: Published publishes nothing, Snapshot once for each that came.
func TestSnapshotsInAStorm(t *testing.T) {
	streams := &companions{}
	b := New(streams.config(500))
	ch := b.Open("a", Members)
	for i := range 100 {
		ch.Enter(fmt.Sprint(i), nil)
		if got := b.Published("a", Members, true); got.Offset != 0 || len(got.Members) != 0 {
			t.Errorf("%+v", got)
		}
	}
	for i := range 100 {
		ch.Enter(fmt.Sprint(100+i), nil)
		if got := b.Snapshot("a", Members, 0, true); got.Offset != uint64(i+1) || len(got.Members) != 101+i {
			t.Errorf("%d: %+v", i, got)
		}
	}
}
