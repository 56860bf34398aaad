package bench

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
	"encke/bench/push"
	"encke/bench/report"
)

// What the plan reckons with, in bytes. The run measures what it really was; see BENCHMARKS.md.
const (
	planPair    = 11_000   // of both ends of a connection, kernel and user space
	planProcess = 25 << 20 // of a server or worker process with nobody connected
	planReserve = 1 << 30  // to be left free
)

func millionDefaults(o *Options) {
	o.Clients, o.Messages, o.Concurrency, o.Floor = 1_000_000, 5, 2000, false
	o.TimeLimit = 15 * time.Minute
}

// planMillion says what will be done, and with how many: as many as descriptors, files, memory and ports allow.
func planMillion(o *Options, rep *report.Report) error {
	if o.Target.Kind != "encke" || o.Target.Public != "" {
		return errors.New("cannot fill a machine with another server than the encke that is started here; see run --scenario broadcast")
	}
	limit := proc.Limit()
	// The kernel spreads connections by a hash over the processes that share the port, so that the fullest has some
	// standard deviations more than its share; and encke keeps 64 descriptors for itself.
	each := limit - 64 - int(5*math.Sqrt(float64(limit)))
	if each < 1 {
		return fmt.Errorf("cannot fill anything where a process may open %d descriptors (ulimit -n)", limit)
	}
	bounds := []struct {
		what string
		n    int
	}{
		{"--clients", o.Clients},
		{"memory that is available", int(max(proc.Available()-planReserve, 0) / (planPair + 2*planProcess/int64(each)))},
		{"files of this machine (fs.file-max)", freeFiles() / 2},
		{"200 server processes", 200 * each},
	}
	n, why := o.Clients, bounds[0].what
	for _, b := range bounds {
		if b.n < n {
			n, why = b.n, b.what
		}
	}
	if n < 1 {
		return fmt.Errorf("cannot connect anybody: %s leaves no room", why)
	}
	o.Clients = n
	o.Target.Processes = (n + each - 1) / each
	o.Target.Loops = 1
	if o.Target.Processes == 1 {
		o.Target.Loops = runtime.NumCPU()
	}
	workers := max(o.Workers, (n+limit-proc.Spare-1)/(limit-proc.Spare))
	plan := fmt.Sprintf("%d connections, bound by %s: %d server processes on one port and %d worker processes, %d descriptors each; about %.1f GiB of %.1f GiB that are available",
		n, why, o.Target.Processes, workers, limit, float64(int64(n)*planPair+int64(o.Target.Processes+workers)*planProcess)/(1<<30), float64(proc.Available())/(1<<30))
	rep.Note("%s", plan)
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "plan: %s; at most %v\n", plan, o.TimeLimit)
	}
	return nil
}

// freeFiles is how many files the machine can still open.
func freeFiles() int {
	nr := proc.Sysctl("fs/file-nr")
	if len(nr) < 3 {
		return math.MaxInt
	}
	return nr[2] - nr[0] - 10_000
}

// million connects as many as were planned, measures what they take, and pushes messages to all of them, one at a time.
func million(r *run) error {
	n := r.o.Clients
	if err := r.muster(n, fleet.Config{}); err != nil {
		return err
	}
	if err := r.addMix(n, "b", nil); err != nil {
		return err
	}
	before, err := r.takes()
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go r.guardMemory(stop) // ends with stop
	defer close(stop)
	took, err := r.connect(n)
	if err != nil {
		return err
	}
	r.r.Add("connections", "", float64(n))
	r.r.Add("time to connect all", "s", took.Seconds())
	r.r.Add("handshakes/s", "/s", float64(n)/took.Seconds())
	if err := r.monitor.sleep(3 * time.Second); err != nil {
		return err
	}
	after, err := r.takes()
	if err != nil {
		return err
	}
	r.noteMemory(before, after, float64(n))
	return r.pushToAll(n)
}

// taking is the memory of the machine, in bytes.
type taking struct{ server, clients, kernel, available int64 }

func (r *run) takes() (t taking, err error) {
	if _, err = r.monitor.now(); err != nil {
		return t, err
	}
	r.monitor.mu.Lock()
	t.clients = r.monitor.rss
	r.monitor.mu.Unlock()
	t.server, t.kernel, t.available = r.servers.resident(), proc.Slab(), proc.Available()
	return t, nil
}

func (r *run) noteMemory(a, b taking, n float64) {
	r.r.Add("server bytes per connection", "B", float64(b.server-a.server)/n)
	r.r.Add("client bytes per connection", "B", float64(b.clients-a.clients)/n)
	r.r.Add("client bytes per connection, with the processes themselves", "B", float64(b.clients)/n)
	r.r.Add("kernel slab bytes per connection, both ends", "B", float64(b.kernel-a.kernel)/n)
	r.r.Add("bytes per connection by MemAvailable, everything", "B", float64(a.available-b.available)/n)
	r.r.Add("server memory in all", "MiB", float64(b.server)/(1<<20))
}

// guardMemory ends the run before the machine runs out of memory.
func (r *run) guardMemory(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		if free := proc.Available(); free < planReserve/2 {
			r.monitor.fail(fmt.Errorf("memory ran out: %d MiB are left, of which %d are kept", free>>20, planReserve>>21))
			return
		}
	}
}

// pushToAll pushes one message after the other, each when all have had the one before: a million writes take seconds.
func (r *run) pushToAll(n int) error {
	var counts push.Counts
	pubs, err := r.publishersOf(1, "b", &counts)
	if err != nil {
		return err
	}
	w, err := r.begin()
	if err != nil {
		return err
	}
	for i := range r.o.Messages {
		start := time.Now()
		for _, p := range pubs {
			p.Schedule(start.UnixNano())
		}
		want := w.stat.Delivered + uint64(i+1)*uint64(n)
		r.monitor.enter(fmt.Sprintf("message %d", i+1), float64(n), func(s *fleet.Stat) float64 { return float64(s.Delivered) - float64(want) + float64(n) })
		last := int64(0)
		err := r.monitor.until("a message to reach all", 2*time.Minute, func(s *fleet.Stat) bool { last = s.Last; return s.Delivered >= want })
		if err != nil {
			return err
		}
		r.r.Add("time to the last delivery of a message", "s", time.Unix(0, last).Sub(start).Seconds())
		r.r.Add("deliveries/s", "/s", float64(n)/time.Unix(0, last).Sub(start).Seconds())
	}
	if r.o.Messages > 0 {
		now, err := r.monitor.now()
		if err != nil {
			return err
		}
		all := float64(now.Delivered - w.stat.Delivered)
		r.r.Add("server CPU per delivery", "µs", micros(r.servers.cpu()-w.cpu)/all)
		r.r.Add("client CPU per delivery", "µs", micros(now.CPU-w.stat.CPU)/all)
		r.r.Add("deliveries verified", "", all)
		r.latencies()
	}
	return r.verify(sent(pubs, 1), false)
}
