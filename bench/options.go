package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"encke/bench/report"
	"encke/bench/wire"
)

// Options say what is measured.
type Options struct {
	Scenario string
	Target   Target

	// clients
	Clients     int
	Transport   string        // ws, ws0 (no channel), sse, stream, longpoll, poll; several with weights: "ws=4,sse=1"
	JSON        bool          // WebSocket clients speak encke.json instead of encke.raw
	Ramp        float64       // new connections a second; 0: as fast as handshakes are answered
	Concurrency int           // handshakes under way at a time
	Interval    time.Duration // of interval polls
	Slow        float64       // share of clients that never read
	ChurnRate   float64       // arrivals, departures and subscriptions a second
	Users       int           // whose tokens clients bring, client i that of user i modulo so many; 0: no tokens

	// load
	Channels   int     // targeted: channels, each with one client
	Size       int     // bytes of a message
	Rate       float64 // messages a second
	Saturate   bool    // push as fast as it is acknowledged
	Publishers int     // connections that push
	Window     int     // with Saturate: messages that may be under way to the average client; 0: any number
	Batch      int     // targeted: JSON lines of each push; 0: one message a push
	Messages   int     // million: how many are pushed
	Seconds    float64 // how long the load lasts
	Settle     float64 // idle, churn: seconds over which the smallest figures are taken; presence: over which the server rests
	From       int     // idle: connections at the first measurement
	Tolerance  float64 // churn: share by which memory may have grown

	// presence
	Presence  string        // what the server keeps of who is there: members, or off for the same storm without
	Grace     time.Duration // for which users stay when their connections have gone
	Followers int           // who are told of comings and goings

	// workers
	Workers     int      // processes on this machine, at least; 0: as many as the load and descriptors ask for
	WorkerLoops int      // event loops, and processors, of each; 0: one
	Remote      []string // addresses of encke-bench worker on other machines; none: workers on this machine
	Secret      string   // shared with them
	Sources     []string // local addresses or prefixes of clients

	Runs      int
	Floor     bool
	TimeLimit time.Duration // of all runs together
	Progress  io.Writer     // live figures; nil: none
	Terminal  func() int    // the width of the terminal that Progress is; nil: it is none
	Command   []string      // for the report
	Commit    string        // for the report
}

// Defaults returns the settings of a scenario where nothing is said.
func Defaults(scenario string) Options {
	o := Options{Scenario: scenario, Target: Target{Kind: "encke", Loops: 4, Processes: 1}, Clients: 10000, Transport: "ws",
		Concurrency: 200, Interval: time.Second, ChurnRate: 1000, Channels: 10000, Size: 128, Rate: 5, Publishers: 16,
		Window: 256, Seconds: 10, Settle: 5, From: 1000, Tolerance: 0.05, Runs: 1, Floor: true, TimeLimit: 10 * time.Minute,
		Presence: "members", Grace: time.Second, Followers: 3}
	if s, ok := scenarios[scenario]; ok && s.defaults != nil {
		s.defaults(&o)
	}
	return o
}

// scenario is a kind of measurement.
type scenario struct {
	about    string
	defaults func(o *Options)
	run      func(r *run) error
	floor    func(r *run) error                         // what it is compared with; nil: nothing
	plan     func(o *Options, rep *report.Report) error // looks at what is free, before anything is started
	bare     bool                                       // there is no server
}

// Scenarios returns the names, sorted, with what each measures.
func Scenarios() (lines []string) {
	for name, s := range scenarios {
		lines = append(lines, fmt.Sprintf("%-10s %s", name, s.about))
	}
	slices.Sort(lines)
	return lines
}

// Check refuses what cannot be measured.
func (o *Options) Check() error {
	s, ok := scenarios[o.Scenario]
	switch {
	case !ok:
		return fmt.Errorf("unknown scenario %q; there are:\n  %s", o.Scenario, strings.Join(Scenarios(), "\n  "))
	case s.run == nil:
		return errors.New("BUG: a scenario without a run")
	case o.Size < wire.MinSize || o.Size > 1<<20:
		return fmt.Errorf("cannot use messages of %d bytes: %d to 1048576", o.Size, wire.MinSize)
	case o.Publishers < 1 || o.Publishers > 256:
		return fmt.Errorf("cannot use %d publishers: 1 to 256", o.Publishers)
	case o.Clients < 1 || o.Channels < 1 || o.Concurrency < 1 || o.Messages < 0 || o.Batch < 0 || o.Window < 0:
		return errors.New("cannot use fewer than one client, channel or handshake at a time, nor a negative number of anything")
	case o.Seconds <= 0 || o.Seconds > 86400 || o.Rate <= 0 || o.Rate > 1e6 || o.Ramp < 0 || o.ChurnRate < 0:
		return errors.New("cannot use these times and rates: seconds above 0 and at most a day, messages above 0 and at most a million a second")
	case o.Slow < 0 || o.Slow >= 1:
		return fmt.Errorf("cannot let a share of %g read nothing: 0 or more, and less than 1", o.Slow)
	case o.Runs < 1 || o.Runs > 100 || o.TimeLimit <= 0:
		return errors.New("cannot make fewer than one run or more than 100, nor without a time limit")
	case o.Workers < 0 || o.Workers > 1000 || o.WorkerLoops < 0 || o.WorkerLoops > 64:
		return errors.New("cannot use so many workers or loops: at most 1000, with 64 loops each")
	case o.Interval < 10*time.Millisecond:
		return errors.New("cannot poll more often than every 10 ms")
	case len(o.Remote) > 0 && o.Secret == "":
		return errors.New("cannot use workers on other machines without the secret that they share")
	}
	if err := errors.Join(o.checkUsers(), o.checkPresence()); err != nil {
		return err
	}
	_, err := o.mix()
	return err
}

// share is a transport's part of the clients.
type share struct {
	transport string
	weight    float64
}

// mix reads Transport.
func (o *Options) mix() (shares []share, err error) {
	known := []string{"ws", "ws0", "sse", "stream", "longpoll", "poll"}
	for item := range strings.SplitSeq(o.Transport, ",") {
		name, weight, weighted := strings.Cut(item, "=")
		s := share{name, 1}
		if weighted {
			if _, err := fmt.Sscan(weight, &s.weight); err != nil || s.weight <= 0 || s.weight > 1e6 {
				return nil, fmt.Errorf("cannot use the weight of transport %q: a number above 0", item)
			}
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("cannot use transport %q: %s", name, strings.Join(known, ", "))
		}
		shares = append(shares, s)
	}
	return shares, nil
}
