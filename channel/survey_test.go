package channel_test

import (
	"fmt"
	"testing"

	"encke/channel"
)

// TestSurvey: a survey sees every channel once each time round, however much it looks at in one go, and not what is gone.
func TestSurvey(t *testing.T) {
	const channels = 3000
	s := channel.NewStore(channel.Config{Epoch: 1, Length: 1, Loops: 1})
	for i := range channels {
		for range i%3 + 1 {
			if _, err := s.Publish([]byte(fmt.Sprint("c", i)), &channel.Message{Data: []byte("x")}, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Subscribe([]byte("c7"), 0, channel.From{}, channel.Limit{}, 1, nil); err != nil {
		t.Fatal(err)
	}
	for _, each := range []int{1, 7, 511, 513, 1024, channels - 1, channels, 10 * channels} {
		v := s.NewSurvey()
		seen := map[string]int{}
		for n := 0; n < channels; n += each {
			for _, x := range v.Next(nil, min(each, max(channels-n, 1))) {
				seen[x.Channel.Name()]++
				var i int
				_, _ = fmt.Sscanf(x.Channel.Name(), "c%d", &i)
				if x.Head != uint64(i%3+1) || x.Subscribers != map[bool]int{true: 1}[i == 7] {
					t.Fatalf("%s: %+v", x.Channel.Name(), x)
				}
			}
		}
		if len(seen) != channels {
			t.Errorf("%d at a time: %d channels seen of %d", each, len(seen), channels)
		}
		for name, n := range seen {
			if n != 1 {
				t.Errorf("%d at a time: %s was seen %d times", each, name, n)
			}
		}
	}
	all := s.NewSurvey().Next(nil, channels)
	for i := range channels {
		s.Delete([]byte(fmt.Sprint("c", i)), 1)
	}
	for _, x := range all {
		if _, ok := x.Channel.Sight(); ok != (x.Channel.Name() == "c7") {
			t.Errorf("%s is there: %v", x.Channel.Name(), ok)
		}
	}
	if left := s.NewSurvey().Next(nil, channels); len(left) != 1 {
		t.Errorf("%d are left, want 1", len(left))
	}
}

func BenchmarkSurvey(b *testing.B) {
	s := channel.NewStore(channel.Config{Epoch: 1, Length: 1, Loops: 1})
	for i := range 200_000 {
		_, _ = s.Publish([]byte(fmt.Sprint("channel-", i)), &channel.Message{Data: []byte("x")}, 1)
	}
	v := s.NewSurvey()
	var dst []channel.Sight
	b.ReportAllocs()
	for b.Loop() {
		dst = v.Next(dst[:0], 20_000)
	}
}
