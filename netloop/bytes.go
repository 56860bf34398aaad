package netloop

import "sync"

// Input that has to wait lives in pooled buffers of five sizes. A connection owns its buffer from takeBytes to
// putBytes; larger ones are left to the garbage collector.
var pools [5]sync.Pool

var poolSizes = [5]int{512, 2 << 10, 8 << 10, 32 << 10, 128 << 10}

func takeBytes(n int) []byte {
	for i, size := range poolSizes {
		if n <= size {
			if b, ok := pools[i].Get().(*[]byte); ok {
				return (*b)[:0]
			}
			return make([]byte, 0, size)
		}
	}
	return make([]byte, 0, n)
}

func putBytes(b []byte) {
	for i, size := range poolSizes {
		if cap(b) == size {
			b = b[:0]
			pools[i].Put(&b)
			return
		}
	}
}
