package wire

import "testing"

func TestPayload(t *testing.T) {
	for _, size := range []int{MinSize, 35, 128, 4096} {
		want := Mark{255, 1<<32 - 1, 1795224000123456789, 77}
		b := AppendPayload(nil, want, size)
		if got, ok := ParsePayload(b, size, 77); len(b) != size || !ok || got != want {
			t.Fatalf("%d bytes: %v %v", size, got, ok)
		}
		if _, ok := ParsePayload(b, size, 78); ok {
			t.Errorf("%d bytes: another stream's was taken", size)
		}
		for i := range b {
			b[i] ^= 1
			if _, ok := ParsePayload(b, size, 77); ok {
				t.Errorf("%d bytes: byte %d changed and nobody noticed", size, i)
			}
			b[i] ^= 1
		}
		if _, ok := ParsePayload(b[:size-1], size, 77); ok {
			t.Errorf("%d bytes: the last one was missing and nobody noticed", size)
		}
	}
}
