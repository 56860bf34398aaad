package model

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

var binary string // of the server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "encke-model")
		if err == nil {
			defer os.RemoveAll(dir)
			binary, err = Build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// names makes n names of channels.
func names(what string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(what, i))
	}
	return list
}

// scenarios are the worlds that the promise is held against.
var scenarios = []Scenario{
	{Name: "kept", Keeps: Forever, Channels: append(names("k", 8), "k:@x=~$+!", "k.-_"), Most: 8, Clients: 150,
		Publishers: 5, Batch: 8, Pause: 40 * time.Millisecond, Life: 3 * time.Second, Slow: 0.1, Rest: 500 * time.Millisecond,
		Lanes: 6, BackLanes: 2, Direct: 0.2, Deflate: 0.1, Weight: 2, Args: []string{"--ping-interval", "1s"}},
	{Name: "short", Keeps: 15, Channels: names("s", 6), Most: 6, Clients: 150,
		Publishers: 3, Batch: 8, Pause: 30 * time.Millisecond, Life: time.Second, Slow: 0.1, Rest: 500 * time.Millisecond,
		Lanes: 6, BackLanes: 2, Direct: 0.2, Deflate: 0.1, Weight: 2, Tells: true},
	{Name: "slow", Keeps: 40, Channels: names("l", 4), Most: 3, Clients: 60,
		Publishers: 4, Batch: 10, Pause: 30 * time.Millisecond, Life: 8 * time.Second, Slow: 0.4, Rest: 3 * time.Second,
		Lanes: 3, BackLanes: 1, Direct: 0.8, Weight: 2, Tells: true,
		Args: []string{"--max-pending", "65536", "--ping-interval", "10s", "--write-timeout", "5s"}},
	{Name: "drop-oldest", Lags: true, Keeps: 40, Channels: names("h", 4), Most: 3, Clients: 24,
		Publishers: 4, Batch: 8, Pause: 60 * time.Millisecond, Life: 6 * time.Second, Slow: 0.5, Rest: 4 * time.Second,
		Lanes: 3, BackLanes: 1, Direct: 0.8, Weight: 2, Tells: true,
		Args: []string{"--slow-readers", "drop-oldest", "--max-pending", "65536"}},
	{Name: "latest", Keeps: 40, Channels: names("h", 4), Most: 3, Clients: 24, NotRaw: true,
		Publishers: 4, Batch: 8, Pause: 60 * time.Millisecond, Life: 6 * time.Second, Slow: 0.5, Rest: 4 * time.Second,
		Lanes: 3, BackLanes: 1, Direct: 0.8, Weight: 2, Tells: true,
		Args: []string{"--slow-readers", "latest", "--max-pending", "65536"}},
	{Name: "brief", Keeps: Forever, Channels: names("t", 6), Most: 6, Clients: 100,
		Publishers: 3, Batch: 8, Pause: 30 * time.Millisecond, Life: time.Second, Slow: 0.1, Rest: 500 * time.Millisecond,
		Lanes: 6, BackLanes: 2, Direct: 0.4, Weight: 2, Tells: true},
	{Name: "kills", Keeps: Forever, Channels: names("k", 12), Most: 12, Clients: 120,
		Publishers: 3, Batch: 8, Pause: 20 * time.Millisecond, Life: time.Second, Slow: 0.1, Rest: 500 * time.Millisecond,
		Lanes: 4, BackLanes: 1, Direct: 0.4, Weight: 3, Tells: true, KillEvery: 1500 * time.Millisecond,
		Args: []string{"--drain-timeout", "500ms"}},
	{Name: "people", Keeps: Forever, Channels: append(names("p", 4), "p:@x=~$+!"), Most: 3, Clients: 90, People: 40, Strangers: 0.2,
		Grace: 1500 * time.Millisecond, Letters: 0.6, Away: 0.3,
		Publishers: 4, Batch: 6, Pause: 20 * time.Millisecond, Life: 3 * time.Second, Slow: 0.05, Rest: 300 * time.Millisecond,
		Lanes: 5, BackLanes: 2, Direct: 0.5, Deflate: 0.05, Weight: 2},
	{Name: "silence", Keeps: Forever, Channels: names("p", 4), Most: 2, Clients: 60, People: 45,
		Grace: 1500 * time.Millisecond, Letters: 0.3, Age: time.Second,
		Publishers: 4, Batch: 4, Pause: 40 * time.Millisecond, Life: 4 * time.Second,
		Lanes: 4, BackLanes: 1, Direct: 0.5, Weight: 3, Tells: true},
	{Name: "people-kills", Keeps: Forever, Channels: names("p", 4), Most: 3, Clients: 70, People: 30, Strangers: 0.2,
		Grace: 1500 * time.Millisecond, Letters: 0.6,
		Publishers: 3, Batch: 6, Pause: 20 * time.Millisecond, Life: 2 * time.Second,
		Lanes: 4, BackLanes: 1, Direct: 0.5, Weight: 3, Tells: true, KillEvery: 2 * time.Second,
		Args: []string{"--drain-timeout", "500ms"}},
	{Name: "throughput", Keeps: 500, Channels: names("b", 40), Most: 30, Clients: 100,
		Publishers: 3, Batch: 200, Pause: 30 * time.Millisecond, Life: 8 * time.Second, Slow: 0.1, Rest: 500 * time.Millisecond,
		Lanes: 2, Direct: 0.95, Weight: 3},
}

// number reads a number from the environment.
func number(name string, otherwise int64) int64 {
	n, err := strconv.ParseInt(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// longest is how long a scenario runs before the next has its turn: what is kept for ever takes memory.
const longest = time.Minute

// TestTorture runs the scenarios, in turn, for TORTURE_SECONDS and until TORTURE_CHECKS deliveries have been checked.
// TORTURE_SEED replays a run as far as the machine lets it.
func TestTorture(t *testing.T) {
	seed := uint64(number("TORTURE_SEED", time.Now().UnixNano()))
	whole := time.Duration(number("TORTURE_SECONDS", 38)) * time.Second
	checks := number("TORTURE_CHECKS", 0)
	t.Logf("TORTURE_SEED=%d", seed)
	total, weights := NewTally(), 0
	for _, s := range scenarios {
		weights += s.Weight
	}
	for end := time.Now().Add(whole); !t.Failed(); seed++ {
		for i := range scenarios {
			s := &scenarios[i]
			t.Run(s.Name, func(t *testing.T) {
				total.Merge(torture(t, s, seed, min(longest, whole*time.Duration(s.Weight)/time.Duration(weights))))
			})
		}
		if time.Now().After(end) && total.checked.Load() >= checks {
			break
		}
	}
	t.Logf("in all: %s", total)
}

func torture(t *testing.T, s *Scenario, seed uint64, d time.Duration) *Tally {
	r, err := NewRun(s, seed, binary)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	failures := r.Go(d)
	for i, f := range failures[:min(3, len(failures))] {
		t.Errorf("TORTURE_SEED=%d: failure %d of %d: %v\n%s", seed, i+1, len(failures), f.Err, f.Journal)
	}
	t.Logf("TORTURE_SEED=%d, %v: %s", seed, time.Since(began).Round(time.Millisecond), r.tally)
	if gaps := r.tally.Sum("gaps/"); r.tally.checked.Load() < 100 || s.Tells && gaps == 0 {
		t.Errorf("%d gaps, %s: this shows nothing", gaps, r.tally)
	}
	return r.tally
}
