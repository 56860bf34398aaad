package wsframe

import "math/bits"

const (
	smallestShift = 9  // 512 B
	largestShift  = 16 // 64 KiB; larger buffers are left to the garbage collector
	keepBytes     = 256 << 10
)

// buffers keeps spare buffers by size, each a power of two. It is owned by one Decoder, so it needs no lock. It holds
// on to at most keepBytes of each size, 2 MiB in all.
type buffers struct {
	spare [largestShift - smallestShift + 1][][]byte
}

// take returns an empty buffer with room for n bytes, at most twice that (or the smallest size).
func (f *buffers) take(n int) []byte {
	shift := max(bits.Len(uint(max(n, 1)-1)), smallestShift)
	if shift > largestShift {
		return make([]byte, 0, 1<<shift)
	}
	spare := &f.spare[shift-smallestShift]
	if last := len(*spare) - 1; last >= 0 {
		b := (*spare)[last]
		(*spare)[last] = nil
		*spare = (*spare)[:last]
		return b
	}
	return make([]byte, 0, 1<<shift)
}

// put gives a buffer back that take or grow returned; nil is fine.
func (f *buffers) put(b []byte) {
	shift := bits.Len(uint(cap(b))) - 1
	if shift < smallestShift || shift > largestShift {
		return
	}
	if spare := &f.spare[shift-smallestShift]; len(*spare) < keepBytes>>shift {
		*spare = append(*spare, b[:0])
	}
}

// grow returns b with room for n more bytes, having put the old buffer if there is a new one.
func (f *buffers) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := append(f.take(len(b)+n), b...)
	f.put(b)
	return larger
}

// append appends more to b. Its cost is linear over all calls, since the sizes double.
func (f *buffers) append(b, more []byte) []byte {
	return append(f.grow(b, len(more)), more...)
}
