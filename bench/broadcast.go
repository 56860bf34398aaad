package bench

import (
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

var scenarios map[string]scenario

func init() {
	scenarios = map[string]scenario{
		"broadcast": {about: "one channel, many WebSocket clients", run: broadcast, floor: floorOfDeliveries},
		"sse":       {about: "the same over Server-Sent Events", defaults: transport("sse"), run: broadcast, floor: floorOfDeliveries},
		"stream":    {about: "the same over HTTP streaming", defaults: transport("stream"), run: broadcast, floor: floorOfDeliveries},
		"longpoll":  {about: "the same over long polls", defaults: transport("longpoll"), run: broadcast, floor: floorOfDeliveries},
		"poll":      {about: "the same over polls at an interval", defaults: transport("poll"), run: broadcast, floor: floorOfDeliveries},
		"mixed": {about: "the same over all transports at once", defaults: transport("ws=4,sse=2,stream=2,longpoll=1,poll=1"),
			run: broadcast, floor: floorOfDeliveries},
		"slow":     {about: "a share of the clients never reads; do the others notice?", defaults: func(o *Options) { o.Slow = 0.5 }, run: slow, floor: floorOfDeliveries},
		"targeted": {about: "many channels with one client each", defaults: func(o *Options) { o.Seconds, o.Publishers = 5, 32 }, run: targeted, floor: floorOfDeliveries},
		"users": {about: "many users with one client each, pushed to at random", run: users, floor: floorOfDeliveries,
			defaults: func(o *Options) { o.JSON, o.Users, o.Seconds, o.Publishers = true, 10000, 5, 32 }},
		"connect": {about: "WebSocket handshakes, each followed by a close", defaults: func(o *Options) { o.Clients = 20000 }, run: connect, floor: floorOfConnects},
		"idle":    {about: "memory of idle connections", defaults: func(o *Options) { o.Clients = 15000 }, run: idle, floor: floorOfMemory},
		"storm":   {about: "all clients drop and come back at once", defaults: func(o *Options) { o.JSON, o.Concurrency = true, 2000 }, run: storm, floor: floorOfStorm},
		"presence": {about: "users join one channel and leave it, all at once, and followers keep who is there", run: presence, floor: floorOfPresence,
			defaults: func(o *Options) { o.JSON, o.Users, o.Settle = true, 10000, 1 }},
		"churn": {about: "a soak: clients come and go; memory must return to its start", defaults: func(o *Options) { o.JSON, o.Seconds = true, 60 }, run: churn},
		"http":  {about: "small keep-alive requests", defaults: func(o *Options) { o.Seconds, o.Publishers = 3, 64 }, run: requests},
		"floor": {about: "what the kernel alone costs", run: nothing, floor: floorOfAll, bare: true},
		"million": {about: "as many WebSocket clients as this machine holds, up to --clients", defaults: millionDefaults,
			run: million, plan: planMillion},
	}
}

func transport(name string) func(o *Options) { return func(o *Options) { o.Transport = name } }

// broadcast pushes to one channel that all clients follow.
func broadcast(r *run) error {
	return r.broadcast(func() error { return r.addMix(r.o.Clients, "b", nil) })
}

func (r *run) broadcast(add func() error) error {
	if r.o.Saturate {
		r.publishers = r.o.Publishers
	}
	if err := r.muster(r.o.Clients, fleet.Config{}); err != nil {
		return err
	}
	if err := add(); err != nil {
		return err
	}
	took, err := r.connect(r.o.Clients)
	if err != nil {
		return err
	}
	r.r.Add("handshakes/s", "/s", float64(r.o.Clients)/took.Seconds())
	var counts push.Counts
	pubs, err := r.publishersOf(r.publishers, "b", &counts)
	if err != nil {
		return err
	}
	if err := r.monitor.sleep(500 * time.Millisecond); err != nil {
		return err
	}
	return r.measure(pubs, &counts, r.o.Clients)
}

// measure drives the load and notes what it cost.
func (r *run) measure(pubs []*push.Publisher, counts *push.Counts, clients int) error {
	w, err := r.begin()
	if err != nil {
		return err
	}
	if r.o.Saturate {
		err = r.saturate(pubs, counts, w.stat.Delivered, clients)
	} else {
		err = r.pace(pubs, counts, max(int(r.o.Rate*r.o.Seconds), 1), r.o.Rate)
	}
	if err != nil {
		return err
	}
	count := counts.Acknowledged.Load() / int64(len(r.servers.all))
	if err := r.arrive(w.stat.Delivered + uint64(count)*uint64(clients)); err != nil {
		return err
	}
	if err := w.end("delivery", "deliveries"); err != nil {
		return err
	}
	r.r.Add("messages/s", "/s", float64(count)/time.Since(w.start).Seconds())
	r.latencies()
	if n := counts.Refused.Load(); n > 0 {
		r.r.Note("%d pushes were refused with 503 or 429 and tried again", n)
	}
	return r.verify(sent(pubs, r.publishers), r.servers.kind == "encke" && len(r.servers.all) == 1)
}

// quiet is how long nothing may be delivered before what is missing is given up.
const quiet = 3 * time.Second

// arrive waits until clients have had so many messages, or nothing comes any more: then verify will tell.
func (r *run) arrive(want uint64) error {
	r.monitor.enter("arriving", float64(want), func(s *fleet.Stat) float64 { return float64(s.Delivered) })
	had, since := uint64(0), time.Now()
	err := r.monitor.until("deliveries", 2*time.Minute, func(s *fleet.Stat) bool {
		if s.Delivered != had {
			had, since = s.Delivered, time.Now()
		}
		return s.Delivered >= want || time.Since(since) > quiet+2*r.o.Interval
	})
	if err != nil {
		return err
	}
	return r.failed()
}

// verify adds to the report what clients found wrong, live and at the end. A gap that the server told of is a loss too,
// where nothing had to be lost.
func (r *run) verify(sent fleet.Sent, oneOrder bool) error {
	r.monitor.enter("verifying", 0, nil)
	v, err := r.crew.verify(sent, oneOrder)
	if err != nil {
		return err
	}
	s, err := r.monitor.now()
	if err != nil {
		return err
	}
	v.Faults.Add(s.Faults)
	if s.Gaps > 0 {
		r.r.Note("the server told clients of %d gaps", s.Gaps)
		v.Faults.Lost += s.Gaps
	}
	if s.Dropped > 0 {
		r.r.Note("%d connections were ended by the server, and made again", s.Dropped)
	}
	if missing := s.Clients - int(s.Here); missing > 0 && r.o.Scenario != "connect" {
		r.r.Note("%d clients had no connection in the end", missing)
		v.Faults.Lost += uint64(missing)
	}
	r.r.Faults.Add(v.Faults)
	return nil
}

// slow measures the clients that read, first alone and then beside those that do not.
func slow(r *run) error {
	deaf := int(float64(r.o.Clients) * r.o.Slow)
	good := r.o.Clients - deaf
	if err := r.muster(r.o.Clients, fleet.Config{}); err != nil {
		return err
	}
	if err := r.addMix(good, "b", nil); err != nil {
		return err
	}
	if _, err := r.connect(good); err != nil {
		return err
	}
	var counts push.Counts
	pubs, err := r.publishersOf(1, "b", &counts)
	if err != nil {
		return err
	}
	total := max(int(r.o.Rate*r.o.Seconds/2), 1)
	if err := r.phase(pubs, &counts, total, good, "alone"); err != nil {
		return err
	}
	if err := r.addMix(deaf, "b", func(g *fleet.Group) { g.Deaf = true }); err != nil {
		return err
	}
	before := r.servers.resident()
	if err := r.crew.all(fleet.Request{Connect: ptr(r.ramp())}); err != nil {
		return err
	}
	if err := r.monitor.until("slow clients to connect", time.Minute, func(s *fleet.Stat) bool { return int(s.Handshakes) >= r.o.Clients }); err != nil {
		return err
	}
	if err := r.phase(pubs, &counts, total, good, "beside slow clients"); err != nil {
		return err
	}
	r.r.Add("server memory for slow clients", "MiB", float64(r.servers.resident()-before)/(1<<20))
	s, err := r.monitor.now()
	if err != nil {
		return err
	}
	r.r.Add("slow clients disconnected", "", float64(s.Dropped))
	v, err := r.crew.verify(sent(pubs, 1), false)
	if err != nil {
		return err
	}
	v.Faults.Add(s.Faults)
	v.Faults.Lost += s.Gaps
	r.r.Faults.Add(v.Faults)
	return nil
}

// phase pushes and notes latency under a name.
func (r *run) phase(pubs []*push.Publisher, counts *push.Counts, total, clients int, name string) error {
	w, err := r.begin()
	if err != nil {
		return err
	}
	if err := r.pace(pubs, counts, total, r.o.Rate); err != nil {
		return err
	}
	if err := r.arrive(w.stat.Delivered + uint64(total*clients)); err != nil {
		return err
	}
	r.monitor.mu.Lock()
	defer r.monitor.mu.Unlock()
	for _, q := range []float64{50, 99} {
		r.r.Add(r.quantile(q)+" "+name, "ms", float64(r.monitor.latency.ValueAtQuantile(q))/1000)
	}
	return nil
}

func (*run) quantile(q float64) string {
	if q == 50 {
		return "latency p50"
	}
	return "latency p99"
}
