package mailbox

import (
	"slices"
	"testing"
)

// roomy is a Config that none of the tests which use it comes up against.
var roomy = Config{Length: 1000, Bytes: 1 << 20, IDAge: 1000, IDMemory: 1 << 20}

// with returns roomy after change.
func with(change func(c *Config)) Config {
	c := roomy
	change(&c)
	return c
}

// wireOf returns an encode function for a Wire of that size.
func wireOf(size int) func(uint64) []byte {
	return func(uint64) []byte { return make([]byte, size) }
}

// put puts a letter of that size without a key, and returns its id.
func put(t *testing.T, s *Boxes, user string, size int, now int64) uint64 {
	t.Helper()
	l, repeated, err := s.Put(user, nil, 0, 0, wireOf(size), now)
	if err != nil || repeated {
		t.Fatal(repeated, err)
	}
	return l.ID
}

func idsOf(letters []*Letter) (ids []uint64) {
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	return ids
}

// conserved checks that no letter is lost without a reason that is counted.
func conserved(t *testing.T, c Counts) {
	t.Helper()
	if c.Put != c.Acknowledged+c.Deleted+c.Dropped()+uint64(c.Letters) {
		t.Errorf("letters are lost, or counted twice: %+v", c)
	}
}

func sizesOf(letters []*Letter) (sizes []int) {
	for _, l := range letters {
		sizes = append(sizes, len(l.Wire))
	}
	return sizes
}

func equal(a, b []int) bool { return slices.Equal(a, b) }
