package mailbox

import (
	"fmt"
	"runtime"
	"testing"
)

// names returns the names of n users.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("user-", i)
	}
	return all
}

func wire200(uint64) []byte { return make([]byte, 200) }

// BenchmarkPut: a letter of 200 bytes to one user and to many, with and without a message id, with room and at the bounds.
func BenchmarkPut(b *testing.B) {
	for _, users := range []int{1, 100_000} {
		for _, keyed := range []bool{false, true} {
			for _, memory := range []int64{0, 16 << 20} {
				b.Run(fmt.Sprintf("users=%d/key=%v/memory=%dM", users, keyed, memory>>20), func(b *testing.B) { benchmarkPut(b, users, keyed, memory) })
			}
		}
	}
}

func benchmarkPut(b *testing.B, users int, keyed bool, memory int64) {
	s := New(Config{Length: 100, Bytes: 1 << 20, Memory: memory, IDAge: 60_000, IDMemory: 16 << 20})
	all, key := names(users), make([]byte, 0, 32)
	b.ReportAllocs()
	for i := range b.N {
		if keyed {
			key = fmt.Appendf(key[:0], "message-%d", i)
		}
		if _, _, err := s.Put(all[i%users], key, 1, 0, wire200, 1_795_224_000_000+int64(i)/1000); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutTogether is Put by one goroutine for each processor.
func BenchmarkPutTogether(b *testing.B) {
	s := New(Config{Length: 10, Bytes: 1 << 20, IDAge: 60_000, IDMemory: 16 << 20})
	all := names(10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			s.Put(all[i*7919%len(all)], nil, 1, 0, wire200, 1_795_224_000_000)
		}
	})
}

// BenchmarkAfter: nothing new, the last ten, and all of a hundred letters.
func BenchmarkAfter(b *testing.B) {
	s := New(Config{Length: 100, Bytes: 1 << 20})
	var ids []uint64
	for range 100 {
		l, _, _ := s.Put("ann", nil, 0, 0, wire200, 1)
		ids = append(ids, l.ID)
	}
	dst := make([]*Letter, 0, 100)
	for _, c := range []struct {
		news  int
		after uint64
	}{{0, ids[99]}, {10, ids[89]}, {100, 0}} {
		b.Run(fmt.Sprint("new=", c.news), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s.After("ann", c.after, 1<<20, 1, dst)
			}
		})
	}
}

// BenchmarkPutAck is the life of a letter whose user is there: it is put, read, acknowledged, and its box goes.
func BenchmarkPutAck(b *testing.B) {
	s := New(Config{Length: 100, Bytes: 1 << 20})
	dst := make([]*Letter, 0, 1)
	b.ReportAllocs()
	for range b.N {
		l, _, _ := s.Put("ann", nil, 0, 0, wire200, 1)
		s.After("ann", l.ID-1, 1000, 1, dst)
		s.Ack("ann", l.ID, 1)
	}
}

// BenchmarkAckOnly acknowledges every second of a hundred letters; Put is a part of it.
func BenchmarkAckOnly(b *testing.B) {
	s := New(Config{Length: 100, Bytes: 1 << 20})
	ids := make([]uint64, 100)
	for range b.N {
		for i := range ids {
			l, _, _ := s.Put("ann", nil, 0, 0, wire200, 1)
			ids[i/2+i%2*50] = l.ID
		}
		s.AckOnly("ann", ids[:50], 1)
		s.AckOnly("ann", ids[50:], 1)
	}
}

// BenchmarkSweep is one visit among a hundred thousand boxes that stay.
func BenchmarkSweep(b *testing.B) {
	s := New(Config{Length: 100, Bytes: 1 << 20, Age: 1000})
	for _, user := range names(100_000) {
		s.Put(user, nil, 0, 0, wire200, 1)
	}
	b.ResetTimer()
	for range b.N/1000 + 1 {
		s.Sweep(2, 1000)
	}
}

// BenchmarkBytesPerLetter says what a letter takes on the heap besides its Wire, its part of box and map included, and what
// is counted for it.
func BenchmarkBytesPerLetter(b *testing.B) {
	for _, each := range []int{1, 3, 10, 100} {
		b.Run(fmt.Sprint("letters=", each), func(b *testing.B) {
			const letters, size = 100_000, 256 // a size of the allocator's, so that none is lost to rounding
			all := names(letters / each)
			for range b.N {
				before := heap()
				s := New(Config{Length: 100, Bytes: 1 << 20})
				for i := range letters {
					s.Put(all[i%len(all)], nil, 0, 0, wireOf(size), 1)
				}
				b.ReportMetric(float64(heap()-before)/letters-size, "heap-B/letter")
				b.ReportMetric(float64(s.bytes.Load())/letters-size, "counted-B/letter")
				runtime.KeepAlive(s)
			}
		})
	}
}
