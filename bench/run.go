package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
	"encke/bench/push"
	"encke/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// run is one run of a scenario: a target, workers full of clients, and posters.
type run struct {
	o   *Options
	ctx context.Context
	r   *report.Report

	servers    *servers
	crew       *crew
	posters    *push.Posters
	monitor    *monitor
	publishers int // that clients verify
	size       int // of the payloads that clients verify; 0: they only count
}

// Run measures. The report is there even when there is an error; then it is marked as partial. An error that is about
// deliveries (Report.Faults) is no sign of a partial run.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	rep := &report.Report{Scenario: o.describe(), Target: o.Target.Name(), Command: o.Command, Started: time.Now(),
		Machine: report.Machine{Cores: runtime.NumCPU(), Memory: proc.Total(), Kernel: proc.Kernel(), Go: runtime.Version(), Commit: o.Commit}}
	if err := o.Check(); err != nil {
		return rep, err
	}
	if scenarios[o.Scenario].bare {
		rep.Target = "the kernel alone"
	}
	o.secretOfTokens()
	ctx, cancel := context.WithTimeoutCause(ctx, o.TimeLimit, fmt.Errorf("the time limit of %v has passed (--time-limit)", o.TimeLimit))
	defer cancel()
	sum := histogram()
	err := o.runs(ctx, rep, sum)
	rep.Scenario = o.describe() // a plan may have changed it
	rep.Seconds = time.Since(rep.Started).Seconds()
	rep.Latency = buckets(sum)
	if err != nil {
		rep.Partial = err.Error()
		return rep, err
	}
	return rep, rep.Faults.Err()
}

func (o *Options) runs(ctx context.Context, rep *report.Report, sum *hdrhistogram.Histogram) error {
	scenario := scenarios[o.Scenario]
	if scenario.plan != nil {
		if err := scenario.plan(o, rep); err != nil {
			return err
		}
	} else if err := o.try(); err != nil {
		return err
	}
	for range o.Runs {
		r := &run{o: o, ctx: ctx, r: rep, publishers: 1, size: o.Size}
		if scenario.floor != nil && o.Floor {
			if err := scenario.floor(r); err != nil {
				return fmt.Errorf("at the floor: %w", err)
			}
		}
		if scenario.bare {
			continue
		}
		if err := r.once(sum); err != nil {
			return err
		}
	}
	return nil
}

// try says at once what would otherwise show only after the floor was measured.
func (o *Options) try() error {
	if scenarios[o.Scenario].bare {
		return nil
	}
	s, err := o.target().open()
	if err == nil {
		s.close()
	}
	return err
}

// why says why a run that was told to end was.
func (r *run) why() error {
	if err := context.Cause(r.ctx); errors.Is(err, context.Canceled) {
		return errors.New("it was interrupted")
	} else {
		return err
	}
}

// once measures one run and leaves nothing behind.
func (r *run) once(sum *hdrhistogram.Histogram) (err error) {
	if r.servers, err = r.o.target().open(); err != nil {
		return err
	}
	defer r.servers.close()
	err = scenarios[r.o.Scenario].run(r)
	if r.monitor != nil {
		r.monitor.close()
		sum.Merge(r.monitor.latency)
		r.r.Series = nil
		for _, s := range r.monitor.curves {
			r.r.Series = append(r.r.Series, *s)
		}
		if err != nil {
			r.remains()
		}
	}
	if r.posters != nil {
		r.posters.Close()
	}
	if r.crew != nil {
		r.crew.close()
	}
	return err
}

// remains notes what a run that failed had done until then.
func (r *run) remains() {
	s := r.monitor.sum
	r.r.Note("when it ended: %d of %d clients connected, %d handshakes, %d deliveries", s.Here, s.Clients, s.Handshakes, s.Delivered)
	r.r.Faults.Add(s.Faults)
}

// muster starts workers for n clients and gives them a fleet, and begins to watch them.
func (r *run) muster(n int, c fleet.Config) (err error) {
	if r.crew, err = newCrew(r.o, n); err != nil {
		return err
	}
	c.Loops, c.Sources, c.Size = max(r.o.WorkerLoops, 1), r.o.Sources, r.size
	c.Publishers = r.publishers
	if err := r.crew.setup(c); err != nil {
		return err
	}
	if doubt, remote := r.crew.doubt(); remote {
		r.r.Note("workers on other machines: their clocks were compared with this one's; latencies may be off by ± %v", doubt.Round(time.Microsecond))
	}
	r.monitor = newMonitor(r)
	return nil
}

// ramp is how clients connect.
func (r *run) ramp() fleet.Ramp {
	n := max(len(r.crew.members), 1)
	return fleet.Ramp{Rate: r.o.Ramp / float64(n), Concurrency: max(r.o.Concurrency/n, 1)}
}

// connect brings all clients up that were added, and returns how long it took.
func (r *run) connect(n int) (took time.Duration, err error) {
	start := time.Now()
	r.monitor.enter("connecting", float64(n), func(s *fleet.Stat) float64 { return float64(s.Here) })
	if err := r.crew.all(fleet.Request{Connect: ptr(r.ramp())}); err != nil {
		return 0, err
	}
	limit := 60*time.Second + time.Duration(n)*200*time.Microsecond
	if r.o.Ramp > 0 {
		limit += time.Duration(float64(n) / r.o.Ramp * float64(time.Second))
	}
	last := int64(0)
	err = r.monitor.until(fmt.Sprintf("%d clients to connect", n), limit, func(s *fleet.Stat) bool {
		last = s.LastHere
		return s.Here >= int64(n)
	})
	if err != nil {
		return 0, fmt.Errorf("cannot connect %d clients: %w", n, err)
	}
	return time.Unix(0, last).Sub(start), nil
}

// light says whether the servers can be looked at often.
func (r *run) light() bool { return len(r.servers.all) <= 8 }

func ptr[T any](v T) *T { return &v }

// describe is the report's headline.
func (o *Options) describe() string {
	text := o.describeLoad()
	if o.Users > 0 && o.Scenario != "users" && o.Scenario != "presence" {
		text += fmt.Sprintf(", tokens of %d users", o.Users)
	}
	return text
}

// pushes is how pushes are made that go to one client each.
func (o *Options) pushes() string {
	if o.Batch > 0 {
		return fmt.Sprintf("%d JSON lines a POST", o.Batch)
	}
	return "one POST a message"
}

func (o *Options) describeLoad() string {
	switch o.Scenario {
	case "targeted":
		return fmt.Sprintf("targeted: %d channels, %d bytes, %s", o.Channels, o.Size, o.pushes())
	case "connect":
		return fmt.Sprintf("connect: %d handshakes, %d at a time", o.Clients, o.Concurrency)
	case "idle":
		return fmt.Sprintf("idle: %s, %d to %d connections", o.Transport, o.From, o.Clients)
	case "http":
		return "http: small keep-alive requests"
	case "churn":
		return fmt.Sprintf("churn: %d clients, %g comings and goings a second, %g s", o.Clients, o.ChurnRate, o.Seconds)
	case "presence":
		return o.describePresence()
	case "users":
		return fmt.Sprintf("users: %d users, %d bytes, %s", o.Users, o.Size, o.pushes())
	}
	load := fmt.Sprintf("%g/s", o.Rate)
	if o.Saturate {
		load = fmt.Sprintf("saturated by %d publishers", o.Publishers)
	}
	if o.Scenario == "million" {
		load = fmt.Sprintf("%d messages", o.Messages)
	}
	return fmt.Sprintf("%s: %s, %d clients, %d bytes, %s", o.Scenario, o.Transport, o.Clients, o.Size, load)
}
