package chat

import (
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	n, now := newNames(2), time.Unix(1e9, 0)
	for _, step := range []struct {
		id, name string
		changed  bool
	}{{"a", "Ada", true}, {"b", "Bob", true}, {"a", "Ada", false}, {"a", "Ann", true}, {"c", "Cyd", true}} {
		if got := n.set(step.id, step.name, now); got != step.changed {
			t.Errorf("%v: changed is %v", step, got)
		}
	}
	for id, want := range map[string]string{"a": "Ann", "b": "", "c": "Cyd", "": ""} { // b was not heard of for longest
		if got, ok := n.get(id); got != want || ok != (want != "") {
			t.Errorf("%q is called %q, not %q", id, got, want)
		}
	}
	if len(n.people) != 2 || n.recent.Len() != 2 {
		t.Errorf("%d and %d of 2 are known", len(n.people), n.recent.Len())
	}
}

// TestNewNames: who has another name again and again keeps one, and may have another later.
func TestNewNames(t *testing.T) {
	n, now := newNames(10), time.Unix(1e9, 0)
	for i, step := range []struct {
		after   time.Duration
		changes int
	}{{0, 1 + renameBurst}, {0, 0}, {20 * time.Second, 2}, {time.Hour, renameBurst}} {
		now = now.Add(step.after)
		changes := 0
		for k := range 100 {
			if n.set("a", []string{"Ada", "Ann"}[k%2], now) {
				changes++
			}
		}
		if changes != step.changes {
			t.Errorf("step %d: %d changes, want %d", i, changes, step.changes)
		}
	}
}

func TestHowFast(t *testing.T) {
	n, now := newNames(10), time.Unix(1e9, 0)
	n.set("a", "Ada", now)
	many := func() (m int) {
		for range 100 {
			if n.may("a", now) {
				m++
			}
		}
		return m
	}
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{0, postBurst}, {0, 0}, {3 * time.Second, 3 * postRate}, {time.Hour, postBurst}} {
		now = now.Add(step.after)
		if got := many(); got != step.want {
			t.Errorf("step %d: %d, not %d", i, got, step.want)
		}
	}
	if n.may("nobody", now) {
		t.Error("somebody unknown may post")
	}
}

func TestWrong(t *testing.T) {
	id := "abcdefgh12"
	for _, c := range []struct {
		room, id, text string
		fine           bool
	}{
		{"lobby", id, "hello", true},
		{"b=C3=BCro", id, "two\nlines", true},
		{"lobby", id, strings.Repeat("ü", maxText), true},
		{"lobby", id, strings.Repeat("😀", maxText/2), true},
		{"lobby", id, strings.Repeat("😀", maxText/2) + "a", false},
		{"", id, "hello", false},
		{"a,b", id, "hello", false},
		{strings.Repeat("a", 101), id, "hello", false},
		{"lobby", "", "hello", false},
		{"lobby", "a:b c", "hello", false},
		{"lobby", id, " \n ", false},
		{"lobby", id, "a\x00b", false},
		{"lobby", id, "\xff", false},
	} {
		if got := (message{ID: c.id, Text: c.text}).wrong(c.room); (got == "") != c.fine {
			t.Errorf("%.20q %q %.20q: %q", c.room, c.id, c.text, got)
		}
	}
}
