package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// lane is a proxy in front of a listener, at an address that stays. It lives through eras: in each it does something else
// to connections, at the end it cuts them all, and sometimes it refuses new ones for a while.
type lane struct {
	name, address, upstream string
	rng                     *rand.Rand
	server                  *toxiproxy.ApiServer
}

func newLane(name, upstream string, rng *rand.Rand) (*lane, error) {
	port, err := freePort(rng)
	if err != nil {
		return nil, err
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // a toxic logs to the global logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	return &lane{name, "127.0.0.1:" + port, upstream, rng, server}, nil
}

// live goes through eras until stop is closed.
func (l *lane) live(stop <-chan struct{}) error {
	for {
		p, err := l.era()
		for end := time.Now().Add(liveness); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); p, err = l.era() {
			if pause(stop, 100*time.Millisecond) { // between two eras anybody on this machine may have taken it
				return nil
			}
		}
		if err != nil {
			return err
		}
		over := pause(stop, between(l.rng, 300*time.Millisecond, 3*time.Second))
		p.Stop()
		if over || l.rng.IntN(3) == 0 && pause(stop, between(l.rng, 0, 300*time.Millisecond)) {
			return nil
		}
	}
}

// era starts a proxy with other toxics. Those of a running proxy are not changed: toxiproxy would interrupt them, which
// waits for whatever they wait for, and a black hole that is interrupted may let through what follows what it swallowed.
func (l *lane) era() (*toxiproxy.Proxy, error) {
	p := toxiproxy.NewProxy(l.server, l.name, l.address, l.upstream)
	n := 0
	add := func(t toxic) error {
		n++
		t.Name = fmt.Sprintf("%s%d", t.Type, n)
		text, err := json.Marshal(t)
		if err != nil {
			return err
		}
		_, err = p.Toxics.AddToxicJson(bytes.NewReader(text))
		return err
	}
	for _, direction := range []string{"downstream", "upstream"} {
		list := []toxic{{Type: "patience"}}
		for _, t := range l.toxics(direction) {
			list = append(list, t, toxic{Type: "patience"})
		}
		for _, t := range list {
			t.Stream = direction
			if t.Toxicity == 0 {
				t.Toxicity = 1
			}
			if err := add(t); err != nil {
				return nil, fmt.Errorf("cannot add toxic %v: %w", t, err)
			}
		}
	}
	return p, p.Start()
}

// toxic is one as toxiproxy's API takes it.
type toxic struct {
	Type       string           `json:"type"`
	Name       string           `json:"name"`
	Stream     string           `json:"stream"`
	Toxicity   float64          `json:"toxicity"` // share of the connections that it meets
	Attributes map[string]int64 `json:"attributes,omitempty"`
}

// toxics chooses what an era does to one direction; requests are left alone more often than answers.
func (l *lane) toxics(direction string) (list []toxic) {
	n := l.rng.IntN(3)
	if direction == "upstream" {
		n = l.rng.IntN(2)
	}
	for range n {
		list = append(list, l.toxic())
	}
	return list
}

func (l *lane) toxic() toxic {
	n := func(low, high int64) int64 { return low + l.rng.Int64N(high-low) }
	few := 0.2 + 0.6*l.rng.Float64()
	switch l.rng.IntN(8) {
	case 0:
		latency := n(1, 60)
		return toxic{Type: "latency", Attributes: map[string]int64{"latency": latency, "jitter": n(0, latency+1)}}
	case 1: // down to single bytes; those take long, in seconds a kilobyte
		return toxic{Type: "slicer", Toxicity: few, Attributes: map[string]int64{"average_size": 1, "delay": n(0, 50)}}
	case 2:
		size := n(2, 600)
		return toxic{Type: "slicer", Attributes: map[string]int64{"average_size": size, "size_variation": n(0, size), "delay": n(0, 200)}}
	case 3:
		return toxic{Type: "reset_peer", Toxicity: few, Attributes: map[string]int64{"timeout": n(0, 600)}}
	case 4: // a black hole
		return toxic{Type: "timeout", Toxicity: few, Attributes: map[string]int64{"timeout": n(0, 2) * n(10, 1000)}}
	case 5:
		return toxic{Type: "limit_data", Toxicity: few, Attributes: map[string]int64{"bytes": 1 << n(0, 17)}}
	case 6:
		return toxic{Type: "bandwidth", Attributes: map[string]int64{"rate": n(4, 400)}}
	}
	return toxic{Type: "slow_close", Attributes: map[string]int64{"delay": n(1, 800)}}
}

// between returns a random time.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)+1))
}

// pause waits for a time that is part of what somebody does, and says whether stop was closed before.
func pause(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return true
	case <-timer.C:
		return false
	}
}
