package bench

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"encke/bench/fleet"
	"encke/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// monitor asks the workers for their figures all the time, keeps the sums, draws curves and shows progress.
type monitor struct {
	// immutable
	r     *run
	begun time.Time
	every time.Duration
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	news    *sync.Cond              // of mu: a new round of figures
	sum     fleet.Stat              // guarded by mu: of all workers
	rss     int64                   // guarded by mu: of all workers
	err     error                   // guarded by mu: what went wrong first
	latency *hdrhistogram.Histogram // guarded by mu: µs, since reset
	connect *hdrhistogram.Histogram // guarded by mu: µs, since reset
	phase   string                  // guarded by mu
	goal    float64                 // guarded by mu: clients or deliveries that the phase is to reach; 0: none
	value   func(s *fleet.Stat) float64

	// owned by the watching goroutine
	curves []*report.Series
	before fleet.Stat
	at     time.Time
	cpu    time.Duration
	shown  int       // length of the line on the terminal
	said   time.Time // when a line was written that is on no terminal
}

func histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 120e6, 3) }

func newMonitor(r *run) *monitor {
	m := &monitor{r: r, begun: time.Now(), every: 100 * time.Millisecond, stop: make(chan struct{}), done: make(chan struct{}),
		latency: histogram(), connect: histogram(), at: time.Now()}
	if len(r.crew.members) > 8 {
		m.every = 500 * time.Millisecond
	}
	m.news = sync.NewCond(&m.mu)
	go m.watch() // ends with close
	return m
}

func (m *monitor) close() {
	close(m.stop)
	<-m.done
}

func (m *monitor) watch() {
	defer close(m.done)
	ticker := time.NewTicker(m.every)
	defer ticker.Stop()
	drawn, interval := time.Now(), histogram()
	for {
		m.round(interval)
		if time.Since(drawn) >= max(m.every, 500*time.Millisecond) {
			drawn = time.Now()
			m.draw(interval)
			interval.Reset()
		}
		select {
		case <-m.stop:
			m.clear()
			return
		case <-ticker.C:
		}
	}
}

// round asks all workers once.
func (m *monitor) round(interval *hdrhistogram.Histogram) {
	stats := make([]fleet.Stat, len(m.r.crew.members))
	err := m.r.crew.each(func(i int, w *member) error {
		a, err := w.call(fleet.Request{Stat: &struct{}{}})
		if err == nil && a.Stat == nil {
			err = errors.New("a worker gave no figures")
		}
		if err == nil {
			stats[i] = *a.Stat
		}
		return err
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		err = m.add(stats, interval)
	}
	if err == nil {
		err = m.r.servers.err()
	}
	if m.err == nil {
		m.err = err
	}
	m.news.Broadcast()
}

// add sums the figures up.
func (m *monitor) add(stats []fleet.Stat, interval *hdrhistogram.Histogram) error {
	var sum fleet.Stat
	m.rss = 0
	for _, s := range stats {
		sum.Clients += s.Clients
		sum.Here += s.Here
		sum.Handshakes += s.Handshakes
		sum.Left += s.Left
		sum.Dropped += s.Dropped
		sum.Refused += s.Refused
		sum.Delivered += s.Delivered
		sum.Requests += s.Requests
		sum.Gaps += s.Gaps
		sum.CPU += s.CPU
		sum.Faults.Add(s.Faults)
		sum.Last, sum.LastHere = max(sum.Last, s.Last), max(sum.LastHere, s.LastHere)
		m.rss += s.RSS
		if s.Error != "" {
			return errors.New(s.Error)
		}
		if err := merge(s.Latency, m.latency, interval); err != nil {
			return err
		}
		if err := merge(s.Connect, m.connect); err != nil {
			return err
		}
	}
	m.sum = sum
	return nil
}

func merge(b []byte, into ...*hdrhistogram.Histogram) error {
	if len(b) == 0 {
		return nil
	}
	h, err := hdrhistogram.Decode(b)
	if err != nil {
		return fmt.Errorf("cannot read a worker's histogram: %w", err)
	}
	for _, to := range into {
		to.Merge(h)
	}
	return nil
}

// now returns a round of figures that was begun after the call.
func (m *monitor) now() (s fleet.Stat, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range 2 {
		m.news.Wait()
	}
	return m.sum, m.err
}

// until waits for cond, with an error when something failed, time is up or the run is to end.
func (m *monitor) until(what string, limit time.Duration, cond func(s *fleet.Stat) bool) error {
	end := time.Now().Add(limit)
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		m.news.Wait()
		switch {
		case m.err != nil:
			return m.err
		case m.r.ctx.Err() != nil:
			return m.r.why()
		case cond(&m.sum):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("gave up after %v waiting for %s", limit.Round(time.Second), what)
		}
	}
}

// failed returns what went wrong, if anything has.
func (m *monitor) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil && m.r.ctx.Err() != nil {
		return m.r.why()
	}
	return m.err
}

// fail ends what waits for the monitor.
func (m *monitor) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
	m.news.Broadcast()
}

// sleep waits, unless something goes wrong.
func (m *monitor) sleep(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(min(10*time.Millisecond, time.Until(end))) {
		if err := m.failed(); err != nil {
			return err
		}
	}
	return m.failed()
}

// reset begins histograms anew: what comes from now on counts.
func (m *monitor) reset() {
	_, _ = m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latency.Reset()
	m.connect.Reset()
}

// enter begins a phase that is over when value has reached goal.
func (m *monitor) enter(phase string, goal float64, value func(s *fleet.Stat) float64) {
	m.mu.Lock()
	m.phase, m.goal, m.value = phase, goal, value
	m.mu.Unlock()
}
