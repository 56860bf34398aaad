package bench

import (
	"os"
	"time"
)

// window is a stretch of time over which the server's work is measured.
type window struct {
	s         *server
	f         *fleet
	start     time.Time
	cpu, mine time.Duration
	delivered uint64
	stats     stats

	seconds float64 // valid after end
}

func begin(s *server, f *fleet) (*window, error) {
	m := &window{s: s, f: f, delivered: f.delivered()}
	var err error
	if s.kind == "encke" {
		if m.stats, err = s.stats(); err != nil {
			return nil, err
		}
	}
	m.cpu, m.start = s.cpu(), time.Now()
	m.mine, err = cpuOf(os.Getpid())
	return m, err
}

// end notes rates and costs per delivery.
func (m *window) end(r *Report, thing string) error {
	m.seconds = time.Since(m.start).Seconds()
	cpu := m.s.cpu() - m.cpu
	mine, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	n := float64(m.f.delivered() - m.delivered)
	if n == 0 {
		return nil
	}
	plural := map[string]string{"delivery": "deliveries", "request": "requests", "handshake": "handshakes", "publish": "publishes"}[thing]
	r.add(plural+"/s", "/s", n/m.seconds)
	if m.s.pid != 0 {
		r.add("server CPU per "+thing, "µs", float64(cpu.Nanoseconds())/1000/n)
		r.add("server processors busy", "", cpu.Seconds()/m.seconds)
	}
	r.add("client CPU per "+thing, "µs", float64((mine-m.mine).Nanoseconds())/1000/n)
	if m.s.kind == "encke" {
		now, err := m.s.stats()
		if err != nil {
			return err
		}
		r.add("server sends per "+thing, "", float64(now.sends()-m.stats.sends())/n)
	}
	return nil
}
