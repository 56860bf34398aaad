package model

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Scenario is a world for subscribers to live in.
type Scenario struct {
	Name  string
	Keeps uint64   // history length: Forever, then no gap may ever be told but for a kill
	Args  []string // flags of the server

	Channels   []string // named by what they are for, see message.go
	Most       int      // channels of a client
	Clients    int
	Publishers int
	Batch      int           // most lines of a batch
	Pause      time.Duration // of a publisher, at most
	Life       time.Duration // of a connection, at most

	Slow float64       // share of the connections that read with small buffers and long rests
	Rest time.Duration // the longest of these

	Lanes     int           // proxies before the public listener
	BackLanes int           // proxies before the backend listener
	Deflate   float64       // share of the WebSockets that offer compression; dear under the race detector
	Direct    float64       // share of the connections that go through no proxy
	KillEvery time.Duration // on average; 0: never
	Only      string        // the only transport; "" for all of them
	Lags      bool          // a reader may fall behind history and stay
	NotRaw    bool          // no encke.raw: it is not told of what slow readers are not given
	Unchunked bool          // HTTP/1.0 for every stream

	People    int           // users; 0: no client has a token
	Strangers float64       // share of the clients without a token then
	Grace     time.Duration // for which a user stays who has gone
	Age       time.Duration // for which users' own channels keep what was pushed; 0: as all
	Letters   float64       // share of the pushes to users that are kept until they are acknowledged
	Away      float64       // of those, share that is kept only when the user is away

	Weight int  // share of the whole time
	Tells  bool // gaps must be told, otherwise it shows nothing
}

// Run is a scenario that runs.
type Run struct {
	scenario *Scenario
	seed     uint64
	server   *Server
	truth    *Truth
	tally    *Tally

	lanes, backLanes []*lane
	ways             []string // addresses that are not the server's own, which clients go to

	dead  chan struct{} // closed when the server has ended by itself
	live  context.Context
	halt  func()           // ends live: everybody is to come to an end
	stop  <-chan struct{}  // closed then
	quiet chan struct{}    // closed when no publisher pushes and no proxy disturbs
	heads map[string]place // where every channel ends; read after quiet

	cleanup  func()    // removes what was written
	people   []*person // immutable
	present  present
	owed     map[string]uint64 // the newest letter that everybody is given, by user; read after quiet
	settled  sync.WaitGroup    // clients that are not where they stay yet
	called   chan struct{}     // closed when the roll has been called
	calledAt time.Time         // read after called
	final    map[string]*roll  // who is in every channel; read after called

	mu       sync.Mutex
	failures []Failure // guarded by mu
}

// Failure is a broken promise and what led to it.
type Failure struct {
	Err     error
	Journal string
}

// rng returns the random numbers of one part of a run.
func (r *Run) rng(part uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, part)) }

// NewRun makes a run of a scenario; everything in it follows from the seed, except the time that things take.
func NewRun(s *Scenario, seed uint64, binary string) (*Run, error) {
	r := &Run{scenario: s, seed: seed, tally: NewTally(), quiet: make(chan struct{}), dead: make(chan struct{}), heads: map[string]place{},
		cleanup: func() {}, owed: map[string]uint64{}, called: make(chan struct{}), final: map[string]*roll{},
		present: present{members: map[string]map[string]int{}, connections: map[string]int{}, users: map[string]int{}}}
	r.live, r.halt = context.WithCancel(context.Background())
	r.stop = r.live.Done()
	r.truth = NewTruth(s.Keeps, s.Channels)
	if err := r.populate(); err != nil {
		return nil, err
	}
	keeps := uint64(1 << 30)
	if s.Keeps != Forever {
		keeps = s.Keeps
	}
	args := append(s.peopleArgs(), "--loops", "3", "--history-length", fmt.Sprint(keeps), "--history-age", "24h", "--history-memory", "4000000000",
		"--message-id-memory", "1000000000", "--publish-timeout", "1m")
	args = append(args, s.Args...)
	if s.Age > 0 {
		file, err := r.writeRules()
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", file)
	}
	var err error
	if r.server, err = NewServer(binary, r.truth, r.rng(0), args...); err != nil {
		return nil, err
	}
	r.server.env = []string{"ENCKE_TOKEN_SECRET=" + secret}
	for i := range s.Lanes {
		l, err := newLane(fmt.Sprint("lane", i), r.server.Public, r.rng(1000+uint64(i)))
		if err != nil {
			return nil, err
		}
		r.lanes, r.ways = append(r.lanes, l), append(r.ways, l.address)
	}
	for i := range s.BackLanes {
		l, err := newLane(fmt.Sprint("backlane", i), r.server.Backend, r.rng(2000+uint64(i)))
		if err != nil {
			return nil, err
		}
		r.backLanes = append(r.backLanes, l)
	}
	return r, nil
}

// way chooses how a client reaches the server.
func (r *Run) way(rng *rand.Rand) (address string, faulty bool) {
	if len(r.ways) == 0 || rng.Float64() < r.scenario.Direct || r.stopping() {
		return r.server.Public, false
	}
	return r.ways[rng.IntN(len(r.ways))], true
}

// backWay chooses how a publisher reaches the server.
func (r *Run) backWay(rng *rand.Rand) (address string) {
	if len(r.backLanes) == 0 || rng.Float64() < r.scenario.Direct || r.stopping() {
		return r.server.Backend
	}
	return r.backLanes[rng.IntN(len(r.backLanes))].address
}

func (r *Run) stopping() bool { return r.live.Err() != nil }

// fail notes a broken promise; the run comes to its end.
func (r *Run) fail(err error, journal string) {
	r.mu.Lock()
	r.failures = append(r.failures, Failure{err, journal})
	r.mu.Unlock()
	r.halt()
}

func (r *Run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

// Go runs for a while, brings everything to rest, and returns what was broken.
func (r *Run) Go(d time.Duration) []Failure {
	if err := r.server.Launch(); err != nil {
		return []Failure{{Err: err}}
	}
	var lanes, publishers, clients sync.WaitGroup
	for _, l := range append(r.lanes, r.backLanes...) {
		r.start(&lanes, func() error { return l.live(r.stop) }, nil)
	}
	for _, p := range r.publishers() {
		r.start(&publishers, p.live, &p.journal)
	}
	r.start(&publishers, r.censor, nil)
	for i := range r.scenario.Clients {
		c := r.client(i)
		r.settled.Add(1)
		c.settled = sync.OnceFunc(r.settled.Done)
		r.start(&clients, c.live, &c.journal)
	}
	r.reign(d)
	r.halt()
	lanes.Wait()
	publishers.Wait()
	if err := r.rest(); err != nil && !r.gone() {
		r.fail(err, "")
	}
	close(r.quiet)
	r.settled.Wait()
	if err := r.callRoll(); err != nil && !r.gone() && !r.failed() {
		r.fail(fmt.Errorf("at rest: %w", err), "")
	}
	r.calledAt = time.Now()
	close(r.called)
	clients.Wait()
	r.audit()
	if err := r.server.End(false); err != nil && !r.gone() {
		r.fail(err, "")
	}
	return r.failures
}

// gone says whether the server has ended by itself, which is known then.
func (r *Run) gone() bool {
	select {
	case <-r.dead:
		return true
	default:
		return false
	}
}

// start runs part of the world in a goroutine, which the caller waits for.
func (r *Run) start(wg *sync.WaitGroup, live func() error, j *journal) {
	if j != nil {
		j.began = time.Now()
	}
	wg.Go(func() {
		err := live()
		switch {
		case err != nil && j != nil:
			r.fail(err, j.String())
		case err != nil:
			r.fail(err, "")
		}
	})
}

// publishers deals the channels out.
func (r *Run) publishers() (list []*publisher) {
	for i := range r.scenario.Publishers {
		list = append(list, &publisher{run: r, name: fmt.Sprint("publisher ", i), rng: r.rng(3000 + uint64(i))})
	}
	channels := slices.Clone(r.scenario.Channels)
	for _, p := range r.people {
		channels = append(channels, p.own)
	}
	for i, name := range channels {
		p := list[i%len(list)]
		p.outlets = append(p.outlets, &outlet{Stream: r.truth.streams[name]})
	}
	return list
}

func (r *Run) client(i int) *client {
	c := &client{run: r, name: fmt.Sprint("client ", i), rng: r.rng(10000 + uint64(i)), sub: NewSubscriber(r.truth)}
	n := 1 + c.rng.IntN(r.scenario.Most)
	if c.rng.IntN(3) == 0 {
		n = 1
	}
	for _, k := range c.rng.Perm(len(r.scenario.Channels))[:n] {
		c.channels = append(c.channels, r.scenario.Channels[k])
	}
	r.identify(c)
	return c
}

// reign lets time pass, and kills the server where the scenario says so.
func (r *Run) reign(d time.Duration) {
	rng := r.rng(1)
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if r.scenario.KillEvery == 0 {
			r.watch(left)
			return
		}
		turn := between(rng, r.scenario.KillEvery/2, r.scenario.KillEvery*3/2)
		if turn > left {
			r.watch(left)
			return
		}
		if r.watch(turn) {
			return
		}
		if err := r.killed(rng); err != nil {
			r.fail(err, "")
			return
		}
	}
}

// watch waits, and says whether the run is at its end.
func (r *Run) watch(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-r.stop:
	case <-r.server.Ended():
		close(r.dead)
		r.fail(fmt.Errorf("encke ended by itself: %v\n%s", r.server.err, r.server.log), "")
	}
	return true
}

func (r *Run) killed(rng *rand.Rand) error {
	if err := r.consistent(); err != nil {
		return err
	}
	end, how := r.server.Kill, "kills/SIGKILL"
	if rng.IntN(3) == 0 {
		end, how = func() error { return r.server.End(true) }, "kills/SIGTERM"
	}
	if err := end(); err != nil {
		return err
	}
	r.tally.Add(how, 1)
	pause(r.stop, between(rng, 0, 300*time.Millisecond))
	return r.server.Launch()
}

func (r *Run) consistent() error {
	f, err := r.server.figures()
	if err == nil && f.Messages.Inconsistent > 0 {
		err = fmt.Errorf("%d inconsistencies inside the server", f.Messages.Inconsistent)
	}
	for reason, n := range f.Ended {
		r.tally.Add("ended/"+reason, int64(n))
	}
	r.tally.Add("stored once", int64(f.Messages.Repeated))
	r.tally.Add("ids forgotten", int64(f.Messages.IDsForgotten))
	return err
}

// rest holds the server against the publishers: every channel ends with the last message that was pushed.
func (r *Run) rest() error {
	f, err := r.server.figures()
	if err != nil {
		return err
	}
	if err := r.oweLetters(); err != nil {
		return err
	}
	for name, stream := range r.truth.streams {
		if stream.roster != nil {
			continue
		}
		head, ok, err := r.server.Head(name)
		if err != nil {
			return err
		}
		want := place{epoch: f.Epoch}
		if g := stream.current(); g != nil && g.epoch == f.Epoch {
			want.offset = g.answered.Load()
		}
		if !ok {
			head = place{epoch: f.Epoch}
		}
		if stream.box != nil || r.truth.forgets() {
			if head, err = r.server.Stands(name); err != nil {
				return err
			}
			if want.offset == 0 {
				want.offset = head.offset // nobody knows where it begins
			}
		}
		if head != want && !r.failed() {
			return fmt.Errorf("%s ends at %s, pushed up to %s", name, head, want)
		}
		r.heads[name] = head
	}
	return nil
}

// audit reads all the history there is, and asks the server whether it has noticed something itself.
func (r *Run) audit() {
	if r.failed() {
		return
	}
	if err := r.consistent(); err != nil {
		r.fail(err, "")
	}
	if err := r.letters(); err != nil {
		r.fail(err, "")
	}
	for name := range r.truth.streams {
		if r.truth.streams[name].roster != nil {
			continue
		}
		if err := r.history(name); err != nil {
			r.fail(fmt.Errorf("history: %w", err), "")
			return
		}
	}
}

// history reads what is kept of a channel, page by page.
func (r *Run) history(channel string) error {
	s := NewSubscriber(r.truth).NewSession(false)
	if err := s.Join(ask{channel: channel, knows: fromStart}); err != nil {
		return err
	}
	for since := "0"; ; since = s.Holds(channel) {
		var page struct {
			Publications []json.RawMessage
			Position     string
			Recovered    bool
		}
		status, err := r.server.get("/channels/"+url.PathEscape(channel)+"/history?limit=1000&since="+since, &page)
		if err != nil || status != 200 || !page.Recovered && !fleetingIn(channel) {
			return fmt.Errorf("%s: status %d, recovered %v: %v", channel, status, page.Recovered, err)
		}
		for _, text := range page.Publications {
			if err := s.Take(text); err != nil {
				return err
			}
		}
		if err := s.Told(channel, page.Position); err != nil {
			return err
		}
		if len(page.Publications) == 0 {
			r.tally.Checked("history", s.Checked)
			at, _ := s.At(channel)
			if at != r.heads[channel] {
				return fmt.Errorf("%s ends at %s, is at %s", channel, r.heads[channel], at)
			}
			return nil
		}
	}
}
