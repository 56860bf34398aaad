package bench

import (
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

// direct says whether each message is for one client.
func (o *Options) direct() bool { return o.Scenario == "targeted" || o.Scenario == "users" }

// targeted pushes to many channels, each of which one client follows.
func targeted(r *run) error {
	n := r.atLeastPublishers(r.o.Channels, "channels")
	return r.direct(r.group("ws", "t#", n), push.NewTargeted(n, r.o.Publishers, r.o.Batch, r.o.Size))
}

// users pushes to many users at random, each of whom is here once and follows nothing but its own channel.
func users(r *run) error {
	n := r.atLeastPublishers(r.o.Users, "users")
	g := r.group("ws0", "", n)
	g.Users = n
	return r.direct(g, push.NewToUsers(n, r.o.Publishers, r.o.Batch, r.o.Size))
}

// atLeastPublishers is n, or more so that each publisher has one of what is called a name.
func (r *run) atLeastPublishers(n int, name string) int {
	if n < r.o.Publishers {
		n = r.o.Publishers
		r.r.Note("%d %s, so that each publisher has one", n, name)
	}
	return n
}

// direct connects a group and pushes to each of its clients what is meant for it alone.
func (r *run) direct(g fleet.Group, t *push.Targeted) (err error) {
	if err := r.muster(g.Count, fleet.Config{}); err != nil {
		return err
	}
	g.Streams = true
	if err := r.crew.add(g); err != nil {
		return err
	}
	if _, err := r.connect(g.Count); err != nil {
		return err
	}
	if r.posters, err = push.New(2); err != nil {
		return err
	}
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
