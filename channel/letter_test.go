package channel

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"encke/codes"
)

// TestLetterWire: a letter is the object of a publication with a number in place of offset and position, for every kind of data, and
// it leaves nothing in the store.
func TestLetterWire(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1})
	for _, m := range []Message{
		{Data: []byte(`{"a": 1}`), JSON: true},
		{Data: []byte(`{"a":` + "\n" + `1}`), JSON: true},
		{Data: []byte("text")},
		{Data: []byte("a \"quoted\"\n text"), Type: []byte("text/markdown"), Event: "ev\"ent\xff"},
		{Data: []byte("\xff\xfe")},
		{Data: []byte("abc"), Type: []byte("image/png"), Event: "e"},
		{Data: []byte("x"), User: "7"},
	} {
		for _, name := range []string{"user:4", "user:" + strings.Repeat("x", 120)} {
			for _, number := range []uint64{0, 1, 1838309376123904, math.MaxUint64} {
				l, err := s.NewLetter(name, &m, 1795224000123)
				if err != nil {
					t.Fatalf("%q: %v", m.Data, err)
				}
				wire := l.Wire(number)
				other := NewStore(Config{Epoch: 35, Length: 1})
				if _, err := other.Publish([]byte(name), &m, 1795224000123); err != nil {
					t.Fatal(err)
				}
				head := `{"channel":"` + name + `",`
				place := `"offset":1,"position":"` + other.epoch + `.1"`
				want := strings.Replace(string(kept(other, name)[0].Wire), head+place, head+`"mail":`+decimal(number), 1)
				if string(wire) != want || !json.Valid(wire) {
					t.Errorf("%q under %d:\n got %s\nwant %s", m.Data, number, wire, want)
				}
			}
		}
	}
	if got := s.Totals(); got.Channels != 0 || got.Published != 0 || s.Where([]byte("user:4")) != 0 {
		t.Errorf("letters are in the store: %+v", got)
	}
}

func decimal(n uint64) string { b, _ := json.Marshal(n); return string(b) }

// TestLetterEnds: a letter's own time begins when it is made.
func TestLetterEnds(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1})
	for ttl, want := range map[int64]int64{0: 0, 1: 1001, 30_000: 31_000} {
		if l, err := s.NewLetter("user:4", &Message{Data: []byte("x"), TTL: ttl}, 1000); err != nil || l.Ends() != want {
			t.Errorf("ttl %d: ends at %d, %v", ttl, l.Ends(), err)
		}
	}
}

// TestLetterRefusals: what Publish refuses is no letter either, with the same code.
func TestLetterRefusals(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1, MaxMessage: 10, IDAge: 1000, IDMemory: 1000})
	for _, m := range []Message{
		{}, {Data: []byte("more than ten bytes")}, {Data: []byte("x"), Event: "a\nb"}, {Data: []byte("x"), Event: strings.Repeat("x", 257)},
		{Data: []byte("x"), Type: []byte("a\rb")}, {Data: []byte("{"), Type: []byte("application/json")}, {Data: []byte("\"\xff\""), JSON: true},
		{Data: []byte("x"), ID: []byte("a b")}, {Data: []byte("x"), ID: []byte(strings.Repeat("x", 129))}, {Data: []byte("x"), ID: []byte("\x7f")},
		{Data: []byte("x"), ID: []byte(strings.Repeat("x", 128))}, {Data: []byte("ten bytes!")},
	} {
		_, letter := s.NewLetter("user:4", &m, 1)
		_, publication := s.Publish([]byte("user:4"), &m, 1)
		if codeOf(letter) != codeOf(publication) {
			t.Errorf("%.30q: %v as a letter, %v as a publication", m.Data, letter, publication)
		}
	}
}

func codeOf(err *codes.Error) codes.Code {
	if err == nil {
		return codes.None
	}
	return err.Code
}

// TestKnows: an id is known in its channel for as long as it is remembered.
func TestKnows(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1, IDAge: 100, IDMemory: 1 << 20})
	if s.Knows([]byte("user:4"), []byte("a"), 0) {
		t.Error("known before anything")
	}
	for _, name := range []string{"user:4", "user:5"} {
		if _, err := s.Publish([]byte(name), &Message{Data: []byte("x"), ID: []byte("a" + name)}, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, id string
		now      int64
		want     bool
	}{
		{"user:4", "auser:4", 1000, true}, {"user:4", "auser:4", 1100, true}, {"user:4", "auser:4", 1101, false},
		{"user:4", "auser:5", 1000, false}, {"user:5", "auser:5", 1000, true}, {"user:6", "auser:5", 1000, false}, {"user:4", "", 1000, false},
	} {
		if got := s.Knows([]byte(c.name), []byte(c.id), c.now); got != c.want {
			t.Errorf("%s %s at %d: %v", c.name, c.id, c.now, got)
		}
	}
}

// TestLetterDigest: of two messages under one id it is the content that counts.
func TestLetterDigest(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1})
	base := Message{Data: []byte("x"), Event: "e", Type: []byte("t"), ID: []byte("a"), TTL: 1}
	same, data, event, typ := base, base, base, base
	same.ID, same.TTL = []byte("b"), 2
	data.Data, event.Event, typ.Type = []byte("y"), "f", []byte("u")
	if s.Digest(&base) != s.Digest(&same) {
		t.Error("the same message has two digests")
	}
	for _, m := range []Message{data, event, typ, {Data: []byte("x"), Event: "et"}} {
		if s.Digest(&m) == s.Digest(&base) {
			t.Errorf("%+v has the digest of another", m)
		}
	}
}
