package bench

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"encke/bench/fleet"
	"encke/bench/report"
)

// room is the channel that everybody joins and leaves.
const room = "b"

// mostMembers is up to how many a server lists.
const mostMembers = 10_000

const (
	batchEvery = 100 * time.Millisecond // in which all that happens is one event
	batchBytes = 30 << 10               // of those that a batch is split into at 32 KiB, all but the last have more
)

// checkPresence refuses what cannot be compared.
func (o *Options) checkPresence() error {
	switch {
	case o.Scenario != "presence":
		return nil
	case o.Presence != "members" && o.Presence != "off":
		return fmt.Errorf("cannot measure with presence %q: members or off", o.Presence)
	case min(o.Clients, o.Users) > mostMembers:
		return fmt.Errorf("cannot compare more than %d members (--clients, --users): servers list no more", mostMembers)
	case o.Grace <= 0 || o.Grace > time.Minute:
		return errors.New("cannot wait for such a --user-grace: above 0, and at most a minute")
	case o.Followers < 1 || o.Followers > 100:
		return fmt.Errorf("cannot have %d followers: 1 to 100", o.Followers)
	case o.Target.Processes > 1:
		return errors.New("cannot measure who is in a channel of several processes: each has its own")
	}
	return nil
}

// target is the target with what the scenario asks of a server that is started here.
func (o *Options) target() Target {
	t := o.Target
	if o.Scenario == "presence" {
		t.Args = append([]string{"--presence", o.Presence, "--user-grace", o.Grace.String()}, t.Args...)
	}
	return t
}

func (o *Options) describePresence() string {
	if o.Presence == "off" {
		return fmt.Sprintf("presence: %d users come and go, nobody keeps who is there", o.Clients)
	}
	return fmt.Sprintf("presence: %d users come and go, %d followers", o.Clients, o.Followers)
}

// gathering is people who come all at once and go all at once, and those who are told of it.
type gathering struct {
	r         *run
	followers []*follower
	rest      float64 // processors that the server takes when nobody comes or goes
	longest   struct{ seen, gone time.Duration }
}

// round is what one coming and going of n clients took.
type round struct {
	n          int
	cpu        time.Duration // of the server in seen, gone and the grace, without what it takes at rest
	seen, gone time.Duration // from the first connection until all are seen; from the first end until all are gone, less the grace
	events     uint64        // published
	refused    uint64        // that were put off, since loops were behind
	most       uint64        // events that would do
	bytes      uint64        // of events, to each follower
}

// errUntrue ends a run in which followers were told what is not so. That is in the report's faults.
var errUntrue = errors.New("who is there was told wrong")

// presence lets all clients join a channel as fast as they can, and leave it at once, and followers keep who is there: all
// of them once, and then some times over a tenth, three tenths and all of them, to see whether a member costs more among many.
func presence(r *run) error {
	g := &gathering{r: r}
	defer g.close()
	err := g.all()
	for _, f := range g.followers {
		faults, first := f.found()
		r.r.Faults.Add(faults)
		if first != "" {
			r.r.Note("%s", first)
		}
	}
	if errors.Is(err, errUntrue) {
		return nil // the report has it
	}
	return err
}

func (g *gathering) close() {
	for _, f := range g.followers {
		f.close()
	}
}

func (g *gathering) all() error {
	r := g.r
	n := r.o.Clients
	sizes := []int{max(n/10, 1), max(3*n/10, 1), n}
	if err := g.invite(sizes); err != nil {
		return err
	}
	first, err := g.round(n) // the server grows to what it needs: that is not what a join costs
	if err != nil {
		return err
	}
	g.remember(first)
	if err := g.idle(); err != nil {
		return err
	}
	sums := make([]round, len(sizes))
	for i, times := range []int{3, 2, 2} { // a small one is lost among what else the machine does
		for range times {
			one, err := g.round(sizes[i])
			if err != nil {
				return err
			}
			sums[i].add(one)
			if i == 2 {
				g.remember(one)
			}
		}
	}
	g.costs(sums)
	g.tell(sums[2], n)
	return nil
}

// costs notes what a join and a leave cost the server, among few and among many.
func (g *gathering) costs(sums []round) {
	if !g.r.servers.known() {
		return
	}
	each := func(i int) float64 { return micros(sums[i].cpu) / float64(sums[i].n) }
	g.r.r.Add("server processors busy at rest", "", g.rest)
	g.r.r.Add("server CPU per join+leave", "µs", each(2))
	for i, part := range []string{"a tenth", "three tenths"} {
		g.r.r.Add("server CPU per join+leave, of "+part, "µs", each(i))
	}
	if each(0) > 0 { // or they were so few that it is all rest
		g.r.r.Add("server CPU per join+leave, of all : of a tenth", "", each(2)/each(0))
	}
}

func (a *round) add(b round) {
	a.n += b.n
	a.cpu += b.cpu
	a.events += b.events
	a.refused += b.refused
	a.most += b.most
	a.bytes += b.bytes
}

// idle measures what the server takes when nobody comes or goes.
func (g *gathering) idle() error {
	g.r.monitor.enter("resting", 0, nil)
	start, cpu := time.Now(), g.r.servers.cpu()
	if err := g.r.monitor.sleep(seconds(g.r.o.Settle)); err != nil {
		return err
	}
	g.rest = (g.r.servers.cpu() - cpu).Seconds() / time.Since(start).Seconds()
	return nil
}

// spent is what the server has spent since, on more than being there.
func (g *gathering) spent(start time.Time, cpu time.Duration) time.Duration {
	return g.r.servers.cpu() - cpu - seconds(g.rest*time.Since(start).Seconds())
}

// remember keeps the longest times.
func (g *gathering) remember(one round) {
	g.longest.seen, g.longest.gone = max(g.longest.seen, one.seen), max(g.longest.gone, one.gone)
}

// tell notes what was seen of rounds of all n.
func (g *gathering) tell(sum round, n int) {
	r := g.r.r
	if g.r.o.Presence == "off" {
		r.Add("time until all are seen", "s", g.longest.seen.Seconds()) // by their handshakes
		return
	}
	r.Add("time until all are seen", "s", g.longest.seen.Seconds())
	r.Add("time until all are gone, beyond the grace", "s", g.longest.gone.Seconds())
	m := g.r.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Add("time from join to being seen p50", "ms", float64(m.latency.ValueAtQuantile(50))/1000)
	r.Add("time from join to being seen p99", "ms", float64(m.latency.ValueAtQuantile(99))/1000)
	times := float64(sum.n / n)
	r.Add("presence events per storm", "", float64(sum.events)/times)
	r.Add("presence events that would do", "", float64(sum.most)/times)
	r.Add("presence events put off per storm", "", float64(sum.refused)/times)
	r.Add("presence bytes per join+leave", "B", float64(sum.bytes)/float64(sum.n))
}

// invite makes clients of all sizes, each spread over all workers, and followers.
func (g *gathering) invite(sizes []int) error {
	r := g.r
	if err := r.muster(r.o.Clients, fleet.Config{}); err != nil {
		return err
	}
	before := 0
	for _, n := range sizes {
		first := before
		if err := r.addMix(n-before, room, func(group *fleet.Group) { group.First += first; group.Resume = false }); err != nil {
			return err
		}
		before = n
	}
	if r.o.Presence == "off" {
		return nil
	}
	for i := range r.o.Followers {
		token, err := fleet.Pass(r.o.Target.TokenSecret, "follower"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		f, err := newFollower(i, r.servers.public, room, token)
		if err != nil {
			return err
		}
		g.followers = append(g.followers, f)
	}
	return nil
}

// round lets n clients come and go.
func (g *gathering) round(n int) (one round, err error) {
	one.n = n
	before, err := g.published()
	if err != nil {
		return one, err
	}
	if err := g.come(&one); err != nil {
		return one, err
	}
	if err := g.leave(&one); err != nil {
		return one, err
	}
	now, err := g.published()
	if err != nil {
		return one, err
	}
	one.events, one.refused, one.bytes = now.events-before.events, now.refused-before.refused, now.bytes-before.bytes
	one.most = one.bound(g.r.o.Grace)
	return one, g.bounded(&one)
}

// come lets all connect and waits until everybody knows of all.
func (g *gathering) come(one *round) error {
	r := g.r
	for _, f := range g.followers {
		f.aim(one.n)
	}
	start, cpu := time.Now(), r.servers.cpu()
	r.monitor.enter("joining", float64(one.n), func(s *fleet.Stat) float64 { return float64(s.Here) })
	ramp := r.ramp()
	ramp.Below = one.n
	if err := r.crew.all(fleet.Request{Connect: &ramp}); err != nil {
		return err
	}
	last := int64(0)
	if err := r.monitor.until(fmt.Sprintf("%d clients to connect", one.n), 2*time.Minute, func(s *fleet.Stat) bool {
		last = s.LastHere
		return s.Here >= int64(one.n)
	}); err != nil {
		return err
	}
	known, err := g.known(r.o.who(one.n), 10*time.Second)
	if err != nil {
		return err
	}
	one.cpu += g.spent(start, cpu)
	one.seen = time.Unix(0, max(last, known)).Sub(start)
	if err := g.listed(r.o.who(one.n)); err != nil {
		return err
	}
	return g.latencies(one.n)
}

// leave lets all end their connections and waits until, beyond the grace, nobody knows of anybody.
func (g *gathering) leave(one *round) error {
	r := g.r
	start, cpu := time.Now(), r.servers.cpu()
	r.monitor.enter("leaving", 0, nil)
	if err := r.crew.all(fleet.Request{Leave: &struct{}{}}); err != nil {
		return err
	}
	if err := r.monitor.until("clients to leave", time.Minute, func(s *fleet.Stat) bool { return s.Here == 0 }); err != nil {
		return err
	}
	if err := r.monitor.sleep(time.Until(start.Add(r.o.Grace))); err != nil {
		return err
	}
	known, err := g.known(nil, 10*time.Second)
	if err != nil {
		return err
	}
	one.cpu += g.spent(start, cpu)
	one.gone = time.Unix(0, known).Sub(start) - r.o.Grace
	return g.listed(nil)
}

// who are the users of n clients.
func (o *Options) who(n int) map[string]bool {
	users := map[string]bool{}
	for i := range min(n, o.Users) {
		users["u"+strconv.Itoa(i)] = true
	}
	return users
}

// settled is how long the same storm without presence is looked at when all have come, or gone: what it costs comes late
// there too.
const settled = 2 * batchEvery

// known waits until each follower knows of those users and of nobody else, and returns when the last one did, Unix ns.
func (g *gathering) known(users map[string]bool, limit time.Duration) (last int64, err error) {
	if len(g.followers) == 0 {
		return 0, g.r.monitor.sleep(settled)
	}
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		late := time.Now().After(end)
		all := true
		for _, f := range g.followers {
			if err := f.look(func(m *roster) {
				last = max(last, m.changed)
				switch {
				case late && m.waits():
					m.fault(&m.faults.Untrue, 1, "of the lists it asked for %d did not come, or are ahead of all events", max(m.asked, 1))
				case len(m.members) == len(users) && !m.waits() || late:
					if text := differ(m.members, users); text != "" {
						m.fault(&m.faults.Untrue, 1, "in the end it %s", text)
					}
				default:
					all = false
				}
			}); err != nil {
				return 0, err
			}
			if _, first := f.found(); first != "" {
				return 0, errUntrue
			}
		}
		if err := g.r.monitor.failed(); err != nil || all {
			return last, err
		}
	}
}

// listed holds what the backend listener says of who is there against who is.
func (g *gathering) listed(users map[string]bool) error {
	if len(g.followers) == 0 {
		return nil
	}
	var l listing
	s := g.r.servers.all[0]
	if err := get("http://"+s.backend.String()+"/channels/"+room+"/presence", s.key, &l); err != nil {
		return fmt.Errorf("cannot ask the server who is in a channel: %w", err)
	}
	check := newRoster("")
	check.adopt(&l, 0)
	if text := differ(check.members, users); text != "" || l.Users != len(users) {
		check.fault(&check.faults.Untrue, 1, "the list counts %d users and %s", l.Users, text)
	}
	if check.wrong == "" {
		return nil
	}
	g.r.r.Faults.Add(check.faults)
	g.r.r.Note("backend listener: %s", check.wrong)
	return errUntrue
}

// latencies notes for each follower how long after each user had begun to connect it saw the join.
func (g *gathering) latencies(n int) error {
	if n < g.r.o.Clients || len(g.followers) == 0 {
		return nil
	}
	begun, err := g.r.crew.begun()
	if err != nil {
		return err
	}
	first := map[string]int64{}
	for number, at := range begun {
		user := "u" + strconv.Itoa(int(number)%g.r.o.Users)
		if was, ok := first[user]; !ok || at < was {
			first[user] = at
		}
	}
	m := g.r.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range g.followers {
		if err := f.look(func(l *roster) {
			for user, at := range first {
				_ = m.latency.RecordValue(min(max((l.seen[user]-at)/1000, 1), 120e6))
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// published is what was published ever, and the bytes of it that a follower was sent.
func (g *gathering) published() (now round, err error) {
	if len(g.followers) == 0 {
		return now, nil
	}
	s, err := g.r.servers.stats()
	if err != nil {
		return now, err
	}
	now.events, now.refused = s.Users.Presence.Published, s.Users.Presence.Refused
	return now, g.followers[0].look(func(m *roster) { now.bytes = m.bytes })
}

// bound is how many events a coming and going may be: one for all that happens in a tenth of a second, more where that is
// split, and one for each question of the backend listener who is there.
func (one *round) bound(grace time.Duration) uint64 {
	const questions, begun = 2, 2 // tenths of a second that were begun when all came and when they went
	return uint64((one.seen+one.gone+grace)/batchEvery) + one.bytes/batchBytes + questions + begun
}

// bounded is an error where the server published more than that.
func (g *gathering) bounded(one *round) error {
	if one.events > one.most {
		return fmt.Errorf("the server published %d presence events (%d bytes) when %d users came and went, in %v and %v beyond the grace: %d would do",
			one.events, one.bytes, one.n, one.seen.Round(time.Millisecond), one.gone.Round(time.Millisecond), one.most)
	}
	return nil
}

// floorOfPresence is the same storm where nobody keeps who is there.
func floorOfPresence(r *run) error {
	if r.o.Presence == "off" {
		return nil
	}
	if r.o.Target.Public != "" {
		r.r.Note("no storm without presence beside it: the server was not started here")
		return nil
	}
	o := *r.o
	o.Presence = "off"
	sub := &run{o: &o, ctx: r.ctx, r: &report.Report{}, publishers: r.publishers, size: r.size}
	if err := sub.once(histogram()); err != nil {
		return err
	}
	for _, f := range sub.r.Figures {
		r.r.AddFloor(f.Name, f.Unit, f.Median)
	}
	return nil
}
