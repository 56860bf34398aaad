package bench

import (
	"fmt"
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

// group is how the target's clients of a transport connect; path parameters come behind.
func (r *run) group(transport, channels string, count int) fleet.Group {
	encke := r.servers.kind == "encke"
	g := fleet.Group{Transport: transport, JSON: encke, Remotes: []string{r.servers.public.String()}, Count: count, Interval: r.o.Interval}
	switch transport {
	case "ws", "ws0":
		g.Transport, g.JSON = "ws", encke && r.o.JSON
		g.Path = "/ws?channels=" + channels
		if transport == "ws0" {
			g.Path = "/ws?channels="
		}
		if encke && !r.o.JSON {
			g.Subprotocol = "encke.raw"
		}
	case "longpoll", "poll":
		g.Path = "/poll?channels=" + channels
	default:
		g.Path = "/" + transport + "?channels=" + channels
	}
	g.Resume = g.JSON && len(r.servers.all) == 1
	if encke {
		g.Users, g.Own = r.o.Users, r.o.Users > 0 && transport == "ws0"
	}
	return g
}

// addMix adds n clients of all transports asked for, on one channel.
func (r *run) addMix(n int, channel string, change func(g *fleet.Group)) error {
	shares, err := r.o.mix()
	if err != nil {
		return err
	}
	total := 0.0
	for _, s := range shares {
		total += s.weight
	}
	first, before := 0, 0.0
	for _, s := range shares {
		before += s.weight
		count := int(before/total*float64(n)+0.5) - first
		g := r.group(s.transport, channel, count)
		g.First = first
		if change != nil {
			change(&g)
		}
		if g.Count > 0 {
			if err := r.crew.add(g); err != nil {
				return err
			}
		}
		first += count
	}
	return nil
}

// publishersOf connects n publishers of a channel to each server process. Each process gets every message.
func (r *run) publishersOf(n int, channel string, counts *push.Counts) (pubs []*push.Publisher, err error) {
	if r.posters, err = push.New(1); err != nil {
		return nil, err
	}
	for _, s := range r.servers.all {
		var posters []*push.Poster
		for i := range n {
			p := push.NewPublisher(i, channel, r.o.Size, counts)
			pubs = append(pubs, p)
			posters = append(posters, &p.Poster)
		}
		if err := r.posters.Dial(s.backend, posters); err != nil {
			return nil, err
		}
	}
	return pubs, nil
}

// failed is what went wrong with clients, servers or posters.
func (r *run) failed() error {
	if err := r.monitor.failed(); err != nil {
		return err
	}
	return r.posters.Err()
}

// answered waits until no push is under way any more and cond holds.
func (r *run) answered(posters int, cond func() bool) error {
	end := time.Now().Add(30 * time.Second)
	for !cond() || r.posters.Idle() < posters {
		if err := r.failed(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("gave up after 30 s waiting for pushes to be answered")
		}
		time.Sleep(time.Millisecond)
	}
	return r.failed()
}

// pace pushes total messages on schedule, whether the last one was answered or not: a push that is late counts as late.
// Every publisher pushes every message.
func (r *run) pace(pubs []*push.Publisher, counts *push.Counts, total int, rate float64) error {
	start := time.Now()
	r.monitor.enter("pushing", float64(total), func(*fleet.Stat) float64 { return time.Since(start).Seconds() * rate })
	before := counts.Acknowledged.Load()
	for i := range total {
		at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if err := r.monitor.sleep(time.Until(at)); err != nil {
			return err
		}
		for _, p := range pubs {
			p.Schedule(at.UnixNano())
		}
	}
	return r.answered(len(pubs), func() bool { return counts.Acknowledged.Load()-before == int64(total*len(pubs)) })
}

// saturate lets publishers push as fast as they are answered, as long as clients are not too far behind: beyond the
// machine's TCP memory (tcp_mem) it would be the kernel that is measured.
func (r *run) saturate(pubs []*push.Publisher, counts *push.Counts, before uint64, clients int) error {
	start := time.Now()
	end := start.Add(seconds(r.o.Seconds))
	r.monitor.enter("saturating", r.o.Seconds, func(*fleet.Stat) float64 { return time.Since(start).Seconds() })
	for time.Now().Before(end) {
		had, err := r.crew.delivered()
		if err != nil {
			return err
		}
		limit := int64((had-before)/uint64(clients)) + int64(r.o.Window)
		open := func() bool {
			return time.Now().Before(end) && (r.o.Window == 0 || counts.Acknowledged.Load() < limit)
		}
		for _, p := range pubs {
			p.Saturate(open)
		}
		time.Sleep(time.Millisecond)
		if err := r.failed(); err != nil {
			return fmt.Errorf("after %d messages, of which the average client has had %d: %w", counts.Acknowledged.Load(), (had-before)/uint64(clients), err)
		}
	}
	return r.answered(len(pubs), func() bool { return true })
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// sent is what each publisher number had acknowledged.
func sent(pubs []*push.Publisher, publishers int) (s fleet.Sent) {
	for _, p := range pubs[:publishers] {
		s.Publishers = append(s.Publishers, p.Acknowledged())
	}
	return s
}
