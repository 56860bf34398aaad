package mailbox

import "testing"

// fill puts letters of 10 bytes, one each millisecond from 1 on: their ids are 1024, 2048 and so on.
func fill(t *testing.T, s *Boxes, user string, n int) {
	t.Helper()
	for now := range n {
		put(t, s, user, 10, int64(now)+1)
	}
}

// numbers is which of fill's letters these are, from 1 on.
func numbers(letters []*Letter) (n []int) {
	for _, l := range letters {
		n = append(n, int(l.ID/1024))
	}
	return n
}

func TestAfter(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 5)
	for i, c := range []struct {
		user  string
		after uint64
		bytes int
		want  []int
		more  bool
	}{
		{"ann", 0, 1000, []int{1, 2, 3, 4, 5}, false},
		{"ann", 0, 50, []int{1, 2, 3, 4, 5}, false},
		{"ann", 0, 49, []int{1, 2, 3, 4}, true},
		{"ann", 0, 1, []int{1}, true}, // at least one
		{"ann", 0, 0, nil, true},
		{"ann", 0, -1, nil, true},
		{"ann", 2 * 1024, 20, []int{3, 4}, true},
		{"ann", 2*1024 - 1, 20, []int{2, 3}, true},
		{"ann", 4 * 1024, 1, []int{5}, false},
		{"ann", 5 * 1024, 20, nil, false},
		{"ann", 5 * 1024, 0, nil, false},
		{"ann", 1 << 60, 20, nil, false},
		{"bob", 0, 20, nil, false},
	} {
		got, more := s.After(c.user, c.after, c.bytes, 9, nil)
		if !equal(numbers(got), c.want) || more != c.more {
			t.Errorf("case %d: %v %v", i, numbers(got), more)
		}
	}
}

// TestPoll is a series of polls; a visit ends when there was none for 100 ms.
func TestPoll(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 3)
	for i, c := range []struct {
		now   int64
		put   bool // one more letter before it, the number of which is now
		ack   int  // up to which letter, before it
		bytes int
		want  []int
		more  bool
	}{
		{10, false, 0, 20, []int{1, 2}, true},
		{11, false, 0, 0, nil, true}, // nothing fits, and nothing is noted as given
		{12, false, 0, 20, []int{3}, false},
		{20, false, 0, 20, nil, false}, // given during this visit
		{30, true, 0, 20, []int{30}, false},
		{130, false, 0, 20, nil, false}, // not longer than 100 after the last
		{230, false, 0, 20, nil, false}, // which was noted though it gave nothing
		{331, false, 0, 20, []int{1, 2}, true},
		{332, false, 2, 20, []int{3, 30}, false},
		{433, false, 3, 90, []int{30}, false}, // a new visit; what was acknowledged is gone
		{434, false, 30, 90, nil, false},
		{435, true, 0, 90, []int{435}, false}, // a new box during the visit
		{400, false, 0, 90, nil, false},       // the clock went back
		{500, false, 0, 90, nil, false},
	} {
		if c.put {
			put(t, s, "ann", 10, c.now)
		}
		s.Ack("ann", uint64(c.ack)*1024, c.now)
		got, more := s.Poll("ann", c.bytes, 100, c.now, nil)
		if !equal(numbers(got), c.want) || more != c.more {
			t.Errorf("case %d: %v %v", i, numbers(got), more)
		}
	}
}

// TestPolled: a poll that waits is a part of its visit until it is over.
func TestPolled(t *testing.T) {
	s := New(roomy)
	s.Polled("ann", 5) // nothing is noted for who has no letters
	put(t, s, "ann", 10, 10)
	for i, c := range []struct {
		polled, now int64
		want        []int
	}{
		{0, 11, []int{10}},
		{500, 550, nil},
		{400, 600, nil}, // what is reported late takes nothing back
		{0, 701, []int{10}},
	} {
		if c.polled > 0 {
			s.Polled("ann", c.polled)
		}
		if got, _ := s.Poll("ann", 100, 100, c.now, nil); !equal(numbers(got), c.want) {
			t.Errorf("case %d: %v", i, numbers(got))
		}
	}
	if s.Polled("bob", 9); s.Counts().Boxes != 1 {
		t.Error("a box was made for a user without letters")
	}
}

// TestReadersMakeNoBoxes: who asks for a user without letters leaves nothing behind.
func TestReadersMakeNoBoxes(t *testing.T) {
	s := New(roomy)
	s.After("ann", 0, 10, 1, nil)
	s.Poll("ann", 10, 10, 1, nil)
	s.List("ann", 0, 10, 1, nil)
	s.Ack("ann", 10, 1)
	s.AckOnly("ann", []uint64{1}, 1)
	s.Delete("ann", []uint64{1}, 1)
	s.DeleteAll("ann", 1)
	if got := s.Counts(); got != (Counts{}) {
		t.Errorf("%+v", got)
	}
}

func TestList(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 5)
	for i, c := range []struct {
		user  string
		after uint64
		limit int
		want  []int
		total int
		more  bool
	}{
		{"ann", 0, 9, []int{1, 2, 3, 4, 5}, 5, false},
		{"ann", 0, 5, []int{1, 2, 3, 4, 5}, 5, false},
		{"ann", 0, 2, []int{1, 2}, 5, true},
		{"ann", 2 * 1024, 2, []int{3, 4}, 5, true},
		{"ann", 4 * 1024, 2, []int{5}, 5, false},
		{"ann", 9 * 1024, 2, nil, 5, false},
		{"ann", 0, 0, nil, 5, true},
		{"ann", 0, -1, nil, 5, true},
		{"ann", 9 * 1024, -1, nil, 5, false},
		{"bob", 0, 2, nil, 0, false},
	} {
		got, total, more := s.List(c.user, c.after, c.limit, 9, nil)
		if !equal(numbers(got), c.want) || total != c.total || more != c.more {
			t.Errorf("case %d: %v of %d, %v", i, numbers(got), total, more)
		}
	}
}

// TestReadersAppend: what the caller's slice has already stays, and with nothing to append it is not noted as given.
func TestReadersAppend(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 2)
	have := []*Letter{{ID: 77 * 1024}}
	after, _ := s.After("ann", 1024, 100, 9, have)
	list, _, _ := s.List("ann", 1024, 100, 9, have)
	poll, _ := s.Poll("ann", 0, 100, 9, have)
	if !equal(numbers(after), []int{77, 2}) || !equal(numbers(list), []int{77, 2}) || !equal(numbers(poll), []int{77}) {
		t.Errorf("%v %v %v", numbers(after), numbers(list), numbers(poll))
	}
	if poll, _ = s.Poll("ann", 100, 100, 10, have); !equal(numbers(poll), []int{77, 1, 2}) {
		t.Errorf("%v", numbers(poll))
	}
}

// TestTaking acknowledges and deletes out of five letters.
func TestTaking(t *testing.T) {
	const k = 1024
	for _, c := range []struct {
		name string
		take func(s *Boxes) int
		n    int
		left []int
		why  Counts
	}{
		{"up to none", func(s *Boxes) int { return s.Ack("ann", k-1, 9) }, 0, []int{1, 2, 3, 4, 5}, Counts{}},
		{"up to the second", func(s *Boxes) int { return s.Ack("ann", 2*k, 9) }, 2, []int{3, 4, 5}, Counts{Acknowledged: 2}},
		{"between two", func(s *Boxes) int { return s.Ack("ann", 2*k+1, 9) }, 2, []int{3, 4, 5}, Counts{Acknowledged: 2}},
		{"all", func(s *Boxes) int { return s.Ack("ann", 1<<60, 9) }, 5, nil, Counts{Acknowledged: 5}},
		{"only the second", func(s *Boxes) int { return s.AckOnly("ann", []uint64{2 * k}, 9) }, 1, []int{1, 3, 4, 5}, Counts{Acknowledged: 1}},
		{"some, in any order, one twice", func(s *Boxes) int { return s.AckOnly("ann", []uint64{4 * k, k, 4 * k, 77}, 9) }, 2, []int{2, 3, 5}, Counts{Acknowledged: 2}},
		{"unknown ones", func(s *Boxes) int { return s.AckOnly("ann", []uint64{0, 77, 1 << 60}, 9) }, 0, []int{1, 2, 3, 4, 5}, Counts{}},
		{"deleted", func(s *Boxes) int { return s.Delete("ann", []uint64{5 * k, 3 * k}, 9) }, 2, []int{1, 2, 4}, Counts{Deleted: 2}},
		{"all deleted", func(s *Boxes) int { return s.DeleteAll("ann", 9) }, 5, nil, Counts{Deleted: 5}},
	} {
		s := New(roomy)
		fill(t, s, "ann", 5)
		n := c.take(s)
		letters, _ := s.After("ann", 0, 1000, 9, nil)
		got := s.Counts()
		if n != c.n || !equal(numbers(letters), c.left) || got.Acknowledged != c.why.Acknowledged || got.Deleted != c.why.Deleted {
			t.Errorf("%s: %d, %v are left, %+v", c.name, n, numbers(letters), got)
		}
	}
}
