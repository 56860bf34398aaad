package channel

import (
	"math"
	"slices"
	"strings"
	"testing"

	"encke/codes"
)

const epochK = Epoch(1213939910)

func at(offset uint64) From { return From{FromPosition, epochK, offset} }

func TestParseSince(t *testing.T) {
	e := epochK.String()
	now, start := From{}, From{Kind: FromStart}
	good := func(s string, want ...From) {
		t.Helper()
		got, err := ParseSince(nil, []byte(s), len(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseSince(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	bad := func(s string, n int, detail string) {
		t.Helper()
		_, err := ParseSince(nil, []byte(s), n)
		if err == nil || err.Code != codes.BadSince || !strings.Contains(err.Detail, detail) {
			t.Errorf("ParseSince(%q) = %v, want bad_since with %q", s, err, detail)
		}
	}
	good("")
	good("", now)
	good("", now, now, now)
	good(",", now, now)
	good("0", start)
	good("0,0", start, start)
	good(e+".17", at(17))
	good(e+".0", at(0))
	good(e+".17,4", at(17), at(4))
	good(e+".17,0,4", at(17), start, at(4))
	good(e+".17,,4", at(17), now, at(4))
	good(","+e+".17", now, at(17))
	good(e+".1,zz.2,3", at(1), From{FromPosition, 35*36 + 35, 2}, From{FromPosition, 35*36 + 35, 3})
	good("1.18446744073709551615", From{FromPosition, 1, math.MaxUint64})
	good("3w5e11264sgsf.1", From{FromPosition, math.MaxUint64, 1})

	bad("17", 1, "item 1")
	bad("0,17", 2, "item 2")
	bad(e+".17", 2, "1 items for 2")
	bad(e+".17,4,", 2, "3 items for 2")
	bad("x", 0, "1 items for 0")
	for _, item := range []string{"x", e + ".", ".17", e + ".017", "0.1", "0" + e + ".1", strings.ToUpper(e) + ".1", e + ".-1",
		e + ".+1", e + ". 1", " 0", "00", e + ".1.2", "1.18446744073709551616", "3w5e11264sgsg.1", "1.a", "é.1", "\x00"} {
		bad(item, 1, "item 1")
		bad(e+".1,"+item, 2, "item 2")
	}
	bad(strings.Repeat("9", 10000), 1, "item 1")
}

func TestPositionsComeBack(t *testing.T) {
	if got := string(AppendPosition([]byte("x"), 35, 17)); got != "xz.17" {
		t.Error(got)
	}
	if got := string(AppendPositions(nil, 35, []uint64{17, 4})); got != "z.17,4" {
		t.Error(got)
	}
	// Offset 0 is no bare 0: that would be the beginning, and a gap would go untold.
	if got := string(AppendPositions(nil, 35, []uint64{0, 0, 5})); got != "z.0,z.0,5" {
		t.Error(got)
	}
	offsets := []uint64{3, 0, 1, math.MaxUint64, 0}
	got, err := ParseSince(nil, AppendPositions(nil, epochK, offsets), len(offsets))
	for i, offset := range offsets {
		if err != nil || got[i] != at(offset) {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

func TestParseSinceDoesNotAllocate(t *testing.T) {
	room := make([]From, 0, 4)
	s := []byte(epochK.String() + ".17,4,,0")
	if n := testing.AllocsPerRun(100, func() { room, _ = ParseSince(room, s, 4) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseSince(f *testing.F) {
	for _, s := range []string{"", "0", "k3f9zq.17", "k3f9zq.17,4", ",,", "a.0,0,1", "a.b"} {
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, s []byte, n int) {
		n &= 7
		got, err := ParseSince(nil, s, n)
		if err != nil {
			if err.Code != codes.BadSince || len(err.Detail) == 0 || len(err.Detail) > 300 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if len(got) != n {
			t.Fatalf("%q: %d items for %d", s, len(got), n)
		}
		for _, from := range got { // written on its own, each position reads as itself
			if from.Kind != FromPosition {
				continue
			}
			again, err := ParseSince(nil, AppendPosition(nil, from.Epoch, from.Offset), 1)
			if err != nil || again[0] != from {
				t.Fatalf("%v reads as %v, %v", from, again, err)
			}
		}
	})
}
