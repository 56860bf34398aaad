package bench

import (
	"fmt"
	"strings"
	"time"

	"encke/bench/fleet"
	"encke/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// draw adds a point to each curve and shows where the run is.
func (m *monitor) draw(interval *hdrhistogram.Histogram) {
	m.mu.Lock()
	now, rss, phase, goal, value := m.sum, m.rss, m.phase, m.goal, m.value
	m.mu.Unlock()
	took := time.Since(m.at).Seconds()
	m.at = time.Now()
	deliveries := float64(now.Delivered-m.before.Delivered) / took
	m.point("connections", "", float64(now.Here))
	m.point("handshakes/s", "/s", float64(now.Handshakes-m.before.Handshakes)/took)
	m.point("deliveries/s", "/s", deliveries)
	m.point("clients' processors", "processors", (now.CPU-m.before.CPU).Seconds()/took)
	m.point("clients' memory", "MiB", float64(rss)/(1<<20))
	if interval.TotalCount() > 0 {
		m.point("latency p50", "ms", float64(interval.ValueAtQuantile(50))/1000)
		m.point("latency p99", "ms", float64(interval.ValueAtQuantile(99))/1000)
	}
	if m.r.servers.known() && m.r.light() {
		cpu := m.r.servers.cpu()
		m.point("server's processors", "processors", (cpu-m.cpu).Seconds()/took)
		m.point("server's memory", "MiB", float64(m.r.servers.resident())/(1<<20))
		m.cpu = cpu
	}
	m.before = now
	if m.r.o.Progress != nil {
		m.show(status(&now, phase, goal, value, deliveries, interval, m.r.o.Terminal != nil))
	}
}

func (m *monitor) point(name, unit string, value float64) {
	for _, s := range m.curves {
		if s.Name == name {
			s.Points = append(s.Points, [2]float64{time.Since(m.begun).Seconds(), value})
			return
		}
	}
	m.curves = append(m.curves, &report.Series{Name: name, Unit: unit})
	m.point(name, unit, value)
}

// status is one line.
func status(s *fleet.Stat, phase string, goal float64, value func(*fleet.Stat) float64, rate float64, h *hdrhistogram.Histogram, bar bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", phase)
	if goal > 0 {
		part := min(value(s)/goal, 1)
		if bar {
			n := int(part * 20)
			fmt.Fprintf(&b, " [%s%s]", strings.Repeat("█", n), strings.Repeat("·", 20-n))
		}
		fmt.Fprintf(&b, " %3.0f %%", part*100)
	}
	fmt.Fprintf(&b, "  %d connected, %d handshakes", s.Here, s.Handshakes)
	if s.Delivered > 0 {
		fmt.Fprintf(&b, ", %d delivered (%s/s)", s.Delivered, report.Number(rate))
	}
	if h.TotalCount() > 0 {
		fmt.Fprintf(&b, ", p50 %.1f ms, p99 %.1f ms", float64(h.ValueAtQuantile(50))/1000, float64(h.ValueAtQuantile(99))/1000)
	}
	if err := s.Faults.Err(); err != nil {
		fmt.Fprintf(&b, ", %v", err)
	}
	return b.String()
}

// show replaces the line on a terminal; elsewhere it writes one every second.
func (m *monitor) show(text string) {
	if m.r.o.Terminal == nil {
		if time.Since(m.said) >= 900*time.Millisecond {
			m.said = time.Now()
			fmt.Fprintf(m.r.o.Progress, "%6.1f s  %s\n", time.Since(m.begun).Seconds(), text)
		}
		return
	}
	line := []rune(text)
	if width := m.r.o.Terminal(); width > 1 && len(line) >= width { // a line that wraps cannot be replaced
		line = line[:width-1]
	}
	fmt.Fprintf(m.r.o.Progress, "\r%s%s", string(line), strings.Repeat(" ", max(m.shown-len(line), 0)))
	m.shown = len(line)
}

// clear leaves the terminal's line empty.
func (m *monitor) clear() {
	if m.shown > 0 {
		fmt.Fprintf(m.r.o.Progress, "\r%s\r", strings.Repeat(" ", m.shown))
	}
}

// buckets turns a histogram of µs into bars of ms, ten a decade.
func buckets(h *hdrhistogram.Histogram) (bars []report.Bucket) {
	from, to := 0.0, 0.01
	for _, bar := range h.Distribution() {
		at := float64(bar.To) / 1000
		for at > to {
			from, to = to, to*1.258925411794167 // 10^(1/10)
		}
		if bar.Count == 0 {
			continue
		}
		if n := len(bars); n == 0 || bars[n-1].To != to {
			bars = append(bars, report.Bucket{From: from, To: to})
		}
		bars[len(bars)-1].Count += bar.Count
	}
	return bars
}
