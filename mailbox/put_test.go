package mailbox

import (
	"strings"
	"testing"

	"encke/codes"
)

// TestKeys puts with message ids, again and otherwise.
func TestKeys(t *testing.T) {
	s := New(with(func(c *Config) { c.IDAge = 100 }))
	first := map[string]uint64{} // by name: the id of the letter that was put under that name
	for i, c := range []struct {
		user, key string
		digest    uint64
		now       int64
		letter    string // its name; "" when it is refused
		repeated  bool
		code      codes.Code
	}{
		{"ann", "x", 1, 0, "A", false, 0},
		{"ann", "x", 1, 50, "A", true, 0},              // again
		{"ann", "x", 2, 50, "", false, codes.IDReused}, // another message
		{"bob", "x", 2, 50, "B", false, 0},             // another user
		{"ann", "y", 1, 60, "C", false, 0},             // another id
		{"ann", "x", 1, 100, "A", true, 0},             // for the last time
		{"ann", "x", 2, 101, "D", false, 0},            // forgotten
		{"ann", "x", 2, 150, "D", true, 0},             // remembered from then on
		{"ann", "", 1, 150, "E", false, 0},
		{"ann", "", 1, 150, "F", false, 0},
		{"ann", "x", 2, 201, "D", true, 0}, // the first one's end is not the second one's
	} {
		l, repeated, err := s.Put(c.user, []byte(c.key), c.digest, 0, wireOf(10), c.now)
		if code := codeOf(err); code != c.code || repeated != c.repeated {
			t.Errorf("case %d: repeated %v, %v", i, repeated, err)
		}
		if c.code != 0 {
			continue
		}
		if want, ok := first[c.letter]; ok != repeated || ok && l.ID != want {
			t.Errorf("case %d: letter %d, the first one had %d", i, l.ID, want)
		}
		first[c.letter] = l.ID
	}
	if got := s.Counts(); got.Put != 6 || got.Letters != 6 || got.Repeated != 4 || got.IDsForgotten != 0 {
		t.Errorf("%+v", got)
	}
}

func codeOf(err *codes.Error) codes.Code {
	if err == nil {
		return codes.None
	}
	return err.Code
}

// TestKeyOutlivesLetter: who puts again what was acknowledged is told its id, and the user does not get it twice.
func TestKeyOutlivesLetter(t *testing.T) {
	s := New(roomy)
	put := func() *Letter {
		l, _, err := s.Put("ann", []byte("x"), 1, 0, wireOf(10), 1)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := put()
	if again := put(); again != first {
		t.Errorf("%+v, want the letter itself", again)
	}
	s.Ack("ann", first.ID, 2)
	if again := put(); again.ID != first.ID || again.Time != 1 || again.Wire != nil {
		t.Errorf("%+v", again)
	}
	if got := s.Counts(); got.Boxes != 0 || got.Put != 1 || got.IDs != 1 {
		t.Errorf("%+v", got)
	}
}

// TestRefused: what is refused leaves no trace, not even its message id.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		conf   Config
		size   int
		detail string // "": it is taken
	}{
		{"as large as a box", with(func(c *Config) { c.Bytes = 100 }), 100, ""},
		{"larger than a box", with(func(c *Config) { c.Bytes = 100 }), 101, "--mailbox-bytes"},
		{"as large as all", with(func(c *Config) { c.Memory = boxCost + 3 + letterCost + 100 }), 100, ""},
		{"larger than all", with(func(c *Config) { c.Memory = boxCost + 3 + letterCost + 100 }), 101, "--mailbox-memory"},
	} {
		s := New(c.conf)
		_, _, err := s.Put("ann", []byte("x"), 1, 0, wireOf(c.size), 1)
		if c.detail == "" {
			if got := s.Counts(); err != nil || got.Letters != 1 {
				t.Errorf("%s: %v %+v", c.name, err, got)
			}
			continue
		}
		if codeOf(err) != codes.MessageTooLarge || !strings.Contains(err.Detail, c.detail) || s.Counts() != (Counts{}) {
			t.Errorf("%s: %v %+v", c.name, err, s.Counts())
		}
	}
}

// TestDrops fills boxes beyond each bound and says which letters are left and under which reason the others are counted.
func TestDrops(t *testing.T) {
	for _, c := range []struct {
		name  string
		conf  Config
		sizes []int // of the letters, one put each millisecond from 1 on
		look  int64 // when After is asked
		left  []int // sizes
		want  Counts
	}{
		{"nothing", roomy, []int{1, 2, 3}, 9, []int{1, 2, 3}, Counts{}},
		{"length", with(func(c *Config) { c.Length = 2 }), []int{1, 2, 3}, 9, []int{2, 3}, Counts{DroppedLength: 1}},
		{"bytes", with(func(c *Config) { c.Bytes = 9 }), []int{1, 2, 6, 3}, 9, []int{6, 3}, Counts{DroppedBytes: 2}},
		{"bytes of one large letter", with(func(c *Config) { c.Bytes = 9 }), []int{1, 2, 9}, 9, []int{9}, Counts{DroppedBytes: 2}},
		{"a moment before its age", with(func(c *Config) { c.Age = 5 }), []int{1, 2, 3}, 5, []int{1, 2, 3}, Counts{}},
		{"age", with(func(c *Config) { c.Age = 5 }), []int{1, 2, 3}, 7, []int{3}, Counts{DroppedAge: 2}},
		{"memory", with(func(c *Config) { c.Memory = boxCost + 3 + 2*letterCost + 60 }), []int{10, 20, 30}, 9, []int{20, 30}, Counts{DroppedMemory: 1}},
	} {
		s := New(c.conf)
		for i, size := range c.sizes {
			put(t, s, "ann", size, int64(i)+1)
		}
		letters, _ := s.After("ann", 0, 1<<20, c.look, nil)
		if got := sizesOf(letters); !equal(got, c.left) {
			t.Errorf("%s: %v are left, want %v", c.name, got, c.left)
		}
		got := s.Counts()
		if got.DroppedLength != c.want.DroppedLength || got.DroppedBytes != c.want.DroppedBytes || got.DroppedAge != c.want.DroppedAge || got.DroppedMemory != c.want.DroppedMemory {
			t.Errorf("%s: %+v", c.name, got)
		}
		conserved(t, got)
	}
}

// TestOwnEnd: a letter goes when its own time is over though older ones stay, and one that comes too late displaces none.
func TestOwnEnd(t *testing.T) {
	s := New(with(func(c *Config) { c.Length, c.Age = 2, 100 }))
	ending := func(size int, ends, now int64) {
		if _, _, err := s.Put("ann", nil, 0, ends, wireOf(size), now); err != nil {
			t.Fatal(err)
		}
	}
	ending(1, 0, 1)
	ending(2, 50, 1)
	ending(3, 10, 10) // over as it comes
	for _, c := range []struct {
		now  int64
		left []int
	}{{49, []int{1, 2}}, {50, []int{1}}, {100, []int{1}}, {101, nil}} {
		letters, _ := s.After("ann", 0, 1<<20, c.now, nil)
		if got := sizesOf(letters); !equal(got, c.left) {
			t.Errorf("at %d: %v, want %v", c.now, got, c.left)
		}
	}
	if got := s.Counts(); got.DroppedAge != 3 || got.DroppedLength != 0 || got.Boxes != 0 || got.Bytes != 0 {
		t.Errorf("%+v", got)
	}
}

// TestNextEndIsKnown: a box is not gone through before something in it is over.
func TestNextEndIsKnown(t *testing.T) {
	s := New(roomy)
	for _, ends := range []int64{70, 50, 0, 60} {
		s.Put("ann", nil, 0, ends, wireOf(1), 1)
	}
	for _, c := range []struct{ now, next int64 }{{1, 50}, {49, 50}, {50, 60}, {65, 70}, {70, never}} {
		s.Sweep(c.now, 1)
		if got := s.shard("ann").byUser["ann"].next; got != c.next {
			t.Errorf("at %d: %d, want %d", c.now, got, c.next)
		}
	}
}

// TestOldestOfAllGoesFirst: a busy user and a silent one; what the bound takes is what is oldest, whoever has it.
func TestOldestOfAllGoesFirst(t *testing.T) {
	s := New(with(func(c *Config) { c.Memory = 100_000 }))
	put(t, s, "silent", 100, 1)
	for now := int64(2); s.Counts().DroppedMemory == 0; now++ {
		put(t, s, "busy", 100, now)
	}
	silent, _ := s.After("silent", 0, 1<<20, 9, nil)
	busy, _ := s.After("busy", 0, 1, 9, nil)
	if len(silent) != 0 || busy[0].Time != 2 {
		t.Errorf("%d of the silent one, the busy one's from %d on", len(silent), busy[0].Time)
	}
}

// TestEncodeMayPanic: nothing has happened then, and the shard is not locked for ever.
func TestEncodeMayPanic(t *testing.T) {
	s := New(roomy)
	func() {
		defer func() { _ = recover() }()
		s.Put("ann", []byte("x"), 1, 0, func(uint64) []byte { panic("no") }, 1)
	}()
	if _, repeated, _ := s.Put("ann", []byte("x"), 1, 0, wireOf(1), 1); repeated || s.Counts().Put != 1 {
		t.Errorf("repeated: %v, %+v", repeated, s.Counts())
	}
}

// TestEncodeIsGivenTheID: the letter's id can stand in its Wire.
func TestEncodeIsGivenTheID(t *testing.T) {
	given := uint64(0)
	l, _, _ := New(roomy).Put("ann", nil, 0, 0, func(id uint64) []byte { given = id; return []byte("wire") }, 1)
	if l.ID != given || l.Time != 1 || string(l.Wire) != "wire" {
		t.Errorf("%+v, was given %d", l, given)
	}
}

func TestNewWantsRoom(t *testing.T) {
	for _, c := range []Config{{Length: 0, Bytes: 1}, {Length: 1, Bytes: 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", c)
				}
			}()
			New(c)
		}()
	}
}

// TestKnows: a message id is known for its user as long as it is remembered, whatever has become of the letter.
func TestKnows(t *testing.T) {
	s := New(with(func(c *Config) { c.IDAge = 100 }))
	if _, _, err := s.Put("ann", []byte("a"), 1, 0, wireOf(10), 1000); err != nil {
		t.Fatal(err)
	}
	s.DeleteAll("ann", 1001)
	for _, c := range []struct {
		user, id string
		now      int64
		want     bool
	}{
		{"ann", "a", 1000, true}, {"ann", "a", 1100, true}, {"ann", "a", 1101, false},
		{"ann", "b", 1000, false}, {"bob", "a", 1000, false}, {"ann", "", 1000, false},
	} {
		if got := s.Knows(c.user, []byte(c.id), c.now); got != c.want {
			t.Errorf("%s %s at %d: %v", c.user, c.id, c.now, got)
		}
	}
}
