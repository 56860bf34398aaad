package channel

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkPublish: a small JSON message with history and one interested loop, on one channel and over many, by one
// goroutine and by four, with room and at the memory bound.
func BenchmarkPublish(b *testing.B) {
	for _, channels := range []int{1, 10_000} {
		for _, goroutines := range []int{1, 4} {
			for _, memory := range []int64{256 << 20, 2 << 20} {
				name := fmt.Sprintf("channels=%d/goroutines=%d/memory=%dM", channels, goroutines, memory>>20)
				b.Run(name, func(b *testing.B) { benchmarkPublish(b, channels, goroutines, memory) })
			}
		}
	}
}

// noSink takes everything.
type noSink struct{}

func (noSink) Busy(uint64) bool                    { return false }
func (noSink) Deliver(int, *Channel, *Publication) {}

func benchmarkPublish(b *testing.B, channels, goroutines int, memory int64) {
	s := NewStore(Config{Epoch: epochK, Length: 100, Age: 300_000, Memory: memory, Loops: 1, Sink: noSink{}})
	names := make([][]byte, channels)
	for i := range names {
		names[i] = fmt.Appendf(nil, "channel-%d", i)
		s.Subscribe(names[i], 0, From{}, Limit{}, 0, nil)
	}
	m := &Message{Event: "score", Data: []byte(`{"home":2,"guests":1,"minute":87,"scorer":"Encke","text":"a goal"}`), JSON: true}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(goroutines))
	b.ReportAllocs()
	b.SetParallelism(1)
	var starts atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		i := int(starts.Add(1)) * channels / 4
		for now := int64(0); pb.Next(); now++ {
			i++
			if _, err := s.Publish(names[i%channels], m, 1795224000000+now/1000); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSubscribe(b *testing.B) {
	s := NewStore(Config{Epoch: epochK, Length: 100, Loops: 4})
	for range 100 {
		s.Publish([]byte("a"), &Message{Data: []byte("data")}, 1)
	}
	replay := make([]*Publication, 0, 100)
	for _, from := range []From{{}, at(90), at(0)} {
		b.Run(fmt.Sprintf("missed=%d", min(100-from.Offset, 100*uint64(from.Kind))), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				j, _ := s.Subscribe([]byte("a"), i%4, from, Limit{}, 1, replay)
				s.Unsubscribe(j.Channel, i%4, 1)
			}
		})
	}
}

// BenchmarkSweep is one visit among a hundred thousand channels that stay.
func BenchmarkSweep(b *testing.B) {
	s := NewStore(Config{Epoch: epochK, Length: 100, Age: 1000, Loops: 1})
	for i := range 100_000 {
		s.Subscribe(fmt.Appendf(nil, "channel-%d", i), 0, From{}, Limit{}, 0, nil)
	}
	b.ResetTimer()
	for range b.N/1000 + 1 {
		s.Sweep(1, 1000)
	}
}

func BenchmarkParseSince(b *testing.B) {
	room, s := make([]From, 0, 4), []byte(epochK.String()+".17,4,,1234567")
	b.ReportAllocs()
	for range b.N {
		room, _ = ParseSince(room, s, 4)
	}
}
