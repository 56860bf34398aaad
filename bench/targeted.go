package bench

import (
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

// targeted pushes to many channels, each of which one client follows.
func targeted(r *run) (err error) {
	n := r.o.Channels
	if n < r.o.Publishers {
		n = r.o.Publishers
		r.r.Note("%d channels, so that each publisher has one", n)
	}
	if err := r.muster(n, fleet.Config{}); err != nil {
		return err
	}
	g := r.group("ws", "t#", n)
	g.Streams = true
	if err := r.crew.add(g); err != nil {
		return err
	}
	if _, err := r.connect(n); err != nil {
		return err
	}
	if r.posters, err = push.New(2); err != nil {
		return err
	}
	t := push.NewTargeted(n, r.o.Publishers, r.o.Batch, r.o.Size)
	if err := r.posters.Dial(r.servers.all[0].backend, t.Posters); err != nil {
		return err
	}
	w, err := r.begin()
	if err != nil {
		return err
	}
	r.monitor.enter("pushing", r.o.Seconds, func(*fleet.Stat) float64 { return time.Since(w.start).Seconds() })
	t.Start(w.start.Add(seconds(r.o.Seconds)))
	if err := r.monitor.sleep(seconds(r.o.Seconds)); err != nil {
		return err
	}
	if err := r.answered(len(t.Posters), func() bool { return true }); err != nil {
		return err
	}
	if err := r.arrive(w.stat.Delivered + uint64(t.Counts.Acknowledged.Load())); err != nil {
		return err
	}
	if err := w.end("delivery", "deliveries"); err != nil {
		return err
	}
	r.latencies()
	if n := t.Counts.Refused.Load(); n > 0 {
		r.r.Note("%d pushes were refused with 503 or 429 and tried again", n)
	}
	return r.verify(fleet.Sent{Numbers: t.Sent()}, false)
}
