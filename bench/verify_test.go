package bench

import (
	"fmt"
	"testing"
)

func TestPayload(t *testing.T) {
	for _, size := range []int{MinSize, 35, 128, 4096} {
		want := mark{255, 1<<32 - 1, 1795224000123456789}
		b := appendPayload(nil, want, size)
		if got, ok := parsePayload(b, size); len(b) != size || !ok || got != want {
			t.Fatalf("%d bytes: %v %v", size, got, ok)
		}
		for i := range b {
			b[i] ^= 1
			if _, ok := parsePayload(b, size); ok {
				t.Errorf("%d bytes: byte %d changed and nobody noticed", size, i)
			}
			b[i] ^= 1
		}
		if _, ok := parsePayload(b[:size-1], size); ok {
			t.Errorf("%d bytes: the last one was missing and nobody noticed", size)
		}
	}
}

// TestVerifier feeds one subscriber what it might be sent when 1 to 4 were published.
func TestVerifier(t *testing.T) {
	const broken = -1
	for _, c := range []struct {
		name string
		got  []int
		want Faults
	}{
		{"in order", []int{1, 2, 3, 4}, Faults{}},
		{"lost in between", []int{1, 3, 4}, Faults{Lost: 1}},
		{"lost at the start", []int{2, 3, 4}, Faults{Lost: 1}},
		{"lost at the end", []int{1, 2}, Faults{Lost: 2}},
		{"nothing came", nil, Faults{Lost: 4}},
		{"duplicated", []int{1, 2, 2, 3, 4}, Faults{Duplicated: 1}},
		{"duplicated later", []int{1, 2, 3, 4, 1}, Faults{Duplicated: 1}},
		{"reordered", []int{1, 3, 2, 4}, Faults{Reordered: 1}},
		{"reordered and duplicated", []int{1, 3, 2, 2, 4}, Faults{Reordered: 1, Duplicated: 1}},
		{"corrupted", []int{1, 2, broken, 4}, Faults{Lost: 1, Corrupted: 1}},
	} {
		v := verifier{last: make([]uint32, 1)}
		for _, n := range c.got {
			b := appendPayload(nil, mark{0, uint32(max(n, 3)), 1}, 64)
			if n > 0 {
				b = appendPayload(nil, mark{0, uint32(n), 1}, 64)
			} else {
				b[50] ^= 1
			}
			v.deliver(b, 64)
		}
		got := v.end([]uint32{4})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if (got.Err() != nil) != (c.want != Faults{}) {
			t.Errorf("%s: error %v", c.name, got.Err())
		}
	}
}

func TestUnknownPublisherIsCorrupted(t *testing.T) {
	v := verifier{last: make([]uint32, 1)}
	v.deliver(appendPayload(nil, mark{1, 1, 1}, 64), 64)
	if v.faults.Corrupted != 1 {
		t.Errorf("%+v", v.faults)
	}
}

func TestDisordered(t *testing.T) {
	feed := func(order ...uint8) *verifier {
		v := &verifier{last: make([]uint32, 3)}
		for _, p := range order {
			v.deliver(appendPayload(nil, mark{p, v.last[p] + 1, 1}, 64), 64)
		}
		return v
	}
	for want, all := range [][]*verifier{
		{feed(0, 1, 2), feed(0, 1, 2), feed(0, 1, 2)},
		{feed(0, 1, 2), feed(0, 2, 1), feed(0, 1, 2)},
	} {
		if got := disordered(all); got != uint64(want) {
			t.Errorf("%d saw another order, want %d", got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	r := &Report{}
	for _, v := range []float64{9, 1, 5, 2} {
		r.add("x", "s", v)
	}
	if f := r.Figures[0]; fmt.Sprint(f.Median, f.Min, f.Max) != "3.5 1 9" {
		t.Errorf("%+v", f)
	}
}
