package presence

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

func manyUsers(n int) []string {
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user%06d", i)
	}
	return users
}

// BenchmarkEnterLeave is an Enter and a Leave in one channel with 10,000 members, by one loop and by four: of another
// connection of a member, of a member's only connection, which begins a grace and ends it, and of somebody new, who is gone
// at once.
func BenchmarkEnterLeave(b *testing.B) {
	users := manyUsers(10_000)
	strangers := make([]string, len(users))
	for i := range strangers {
		strangers[i] = fmt.Sprintf("stranger%06d", i)
	}
	for _, c := range []struct {
		name string
		f    func(ch *Channel, i int)
	}{
		{"another", func(ch *Channel, i int) {
			ch.Enter(users[i], nil)
			ch.Leave(users[i], 0, false)
		}},
		{"grace", func(ch *Channel, i int) {
			ch.Leave(users[i], int64(i), false)
			ch.Enter(users[i], nil)
		}},
		{"new", func(ch *Channel, i int) {
			ch.Enter(strangers[i], nil)
			ch.Leave(strangers[i], 0, true)
		}},
	} {
		for _, loops := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/loops=%d", c.name, loops), func(b *testing.B) { benchmarkEnterLeave(b, users, loops, c.f) })
		}
	}
}

func benchmarkEnterLeave(b *testing.B, users []string, loops int, f func(ch *Channel, i int)) {
	book := silent(10_000)
	ch := book.Open("a", Members)
	for _, u := range users {
		ch.Enter(u, nil)
	}
	book.Flush(0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(loops))
	b.ReportAllocs()
	b.SetParallelism(1)
	b.ResetTimer()
	var starts atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		part := len(users) / loops
		first := int(starts.Add(1)-1) * part // a loop has users of its own
		for i := 0; pb.Next(); i++ {
			f(ch, first+i%part)
			if i%part == 0 {
				book.Flush(1 << 40) // departures do not pile up
			}
		}
	})
}

// BenchmarkFlush is the first after 10,000 joins, and after their leaves.
func BenchmarkFlush(b *testing.B) {
	users, info := manyUsers(10_000), []byte(`{"name":"Ann","avatar":"https://example.com/a.png"}`)
	for _, size := range []int{0, len(info)} {
		book := silent(0)
		ch := book.Open("a", Members)
		flush := func(b *testing.B) {
			b.StartTimer()
			book.Flush(0)
			b.StopTimer()
		}
		b.Run(fmt.Sprintf("joins/info=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.StopTimer()
			for range b.N {
				for _, u := range users {
					ch.Enter(u, info[:size])
				}
				flush(b)
				for _, u := range users {
					ch.Leave(u, 0, true)
				}
				book.Flush(0)
			}
		})
		b.Run(fmt.Sprintf("leaves/info=%d", size), func(b *testing.B) {
			b.StopTimer()
			for range b.N {
				for _, u := range users {
					ch.Enter(u, info[:size])
				}
				book.Flush(0)
				for _, u := range users {
					ch.Leave(u, 0, true)
				}
				flush(b)
			}
		})
	}
}

// BenchmarkFlushIdle is one with nothing to do, beside 10,000 channels with a member each.
func BenchmarkFlushIdle(b *testing.B) {
	book := silent(0)
	for _, name := range manyUsers(10_000) {
		book.Open(name, Members).Enter("a", nil)
	}
	book.Flush(0)
	b.ReportAllocs()
	for b.Loop() {
		book.Flush(0)
	}
}

// BenchmarkSnapshot lists 10,000 members.
func BenchmarkSnapshot(b *testing.B) {
	book := silent(0)
	ch := book.Open("a", Members)
	for _, u := range manyUsers(10_000) {
		ch.Enter(u, nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		book.Snapshot("a", Members, 0, true)
	}
}

// BenchmarkMember is the first Enter of each of so many users; bytes and allocations are a member's.
func BenchmarkMember(b *testing.B) {
	users := manyUsers(100_000)
	book := silent(0)
	ch := book.Open("a", Members)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(users) == 0 {
			b.StopTimer()
			book = silent(0)
			ch = book.Open("a", Members)
			b.StartTimer()
		}
		ch.Enter(users[i%len(users)], nil)
	}
}
