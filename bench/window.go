package bench

import (
	"fmt"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
)

// window is a stretch of time over which work is measured.
type window struct {
	r      *run
	start  time.Time
	cpu    time.Duration
	stat   fleet.Stat
	stats  stats
	poster time.Duration
}

// begin opens a window. Latency counts from here.
func (r *run) begin() (w *window, err error) {
	w = &window{r: r}
	r.monitor.reset()
	if w.stats, err = r.servers.stats(); err != nil {
		return nil, err
	}
	if w.stat, err = r.monitor.now(); err != nil {
		return nil, err
	}
	w.cpu, w.poster, w.start = r.servers.cpu(), proc.OwnCPU(), time.Now()
	return w, nil
}

// end notes rates and costs for each thing delivered; singular and plural name it.
func (w *window) end(singular, plural string) error {
	now, err := w.r.monitor.now()
	if err != nil {
		return err
	}
	cpu := w.r.servers.cpu() - w.cpu
	n := float64(now.Delivered - w.stat.Delivered)
	if n == 0 {
		return fmt.Errorf("nothing was delivered")
	}
	took := time.Unix(0, now.Last).Sub(w.start).Seconds()
	rep := w.r.r
	rep.Add(plural+"/s", "/s", n/took)
	if w.r.servers.known() {
		rep.Add("server CPU per "+singular, "µs", micros(cpu)/n)
		rep.Add("server processors busy", "", cpu.Seconds()/took)
	}
	rep.Add("client CPU per "+singular, "µs", micros(now.CPU-w.stat.CPU)/n)
	if w.r.servers.kind == "encke" {
		s, err := w.r.servers.stats()
		if err != nil {
			return err
		}
		rep.Add("server sends per "+singular, "", float64(s.sends()-w.stats.sends())/n)
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// latencies notes percentiles since the last reset.
func (r *run) latencies() {
	r.monitor.mu.Lock()
	defer r.monitor.mu.Unlock()
	for _, q := range []float64{50, 99, 99.9, 100} {
		name := fmt.Sprintf("latency p%g", q)
		if q == 100 {
			name = "latency max"
		}
		r.r.Add(name, "ms", float64(r.monitor.latency.ValueAtQuantile(q))/1000)
	}
}
