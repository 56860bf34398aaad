package edge

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/mailbox"
	"encke/netloop"
	"encke/presence"
	"encke/token"
	"encke/webhook"

	"github.com/panjf2000/ants/v2"
)

// Listener indexes of netloop.
const (
	publicListener  = 0
	backendListener = 1
)

// Server is one edge process.
type Server struct {
	// immutable after New
	config     Config
	store      *channel.Store
	engine     *netloop.Engine
	pool       *ants.Pool // for what may block
	verifiers  *ants.Pool // for tokens whose signatures are dear to check
	reactors   []*reactor
	began      time.Time
	metrics    *metrics
	admission  *admission
	budget     *budget
	tokens     *token.Verifier
	refusals   refusals
	users      *users
	presence   *presence.Book
	script     *script      // nil: none is served
	page       *consolePage // nil: none is served
	console    *console
	mailboxes  *mailbox.Boxes
	occupancy  *occupancy      // nil: nobody is told
	sender     *webhook.Sender // nil: nobody is told
	asker      *webhook.Asker  // nil: nobody is asked
	askers     *ants.Pool      // nil, or where it is
	policies   []policy        // of the rules, in their order
	common     policy          // for channels without a rule
	revoked    revoked
	allowances allowances
	origins    originRules
	proxies    []netip.Prefix

	namedLocally bool // requests of the backend listener have to name this machine: there are no keys

	due   chan int64    // ticks for sweep: loop 0 sends, and does not wait
	over  chan struct{} // closed when sweep is to end
	swept chan struct{} // closed when it has

	started  bool // by Start, before anything else happens
	stopOnce sync.Once
	stopErr  error

	stalled      atomic.Uint64 // loops on which pushes wait
	returnWithin atomic.Int64  // ms: the window of comebacks, from the shutdown on
	ending       atomic.Bool   // Stop has been called: the first loop may drain a moment before the last
	figures      figures

	// owned by loop 0
	statsAt   int64
	statsSent online

	leftover leftover // owned by sweep
}

// New makes a server that does not listen yet.
func New(config Config) (*Server, error) {
	return newServer(config, func(s channel.Sink) channel.Sink { return s })
}

// newServer lets a test come between the store and the loops.
func newServer(config Config, between func(channel.Sink) channel.Sink) (*Server, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.Log == nil {
		config.Log = func(string, ...any) {}
	}
	config.split()
	all, rules, common, policies, err := config.rules()
	if err != nil {
		return nil, err
	}
	rules, policies = append([]channel.Rule{consoleRule}, rules...), append([]policy{consolePolicy}, policies...)
	s := &Server{config: config, began: time.Now(), admission: newAdmission(&config), budget: newBudget(&config), users: newUsers(&config),
		due: make(chan int64, 1), over: make(chan struct{}), swept: make(chan struct{}), refusals: refusals{byCode: map[codes.Code]*refusal{}}, leftover: newLeftover(), common: common, policies: policies,
		namedLocally: len(config.BackendKeys) == 0 && onLoopback(config.Backend)}
	s.figures.perLoop = make([]loopFigures, config.Loops)
	s.store = channel.NewStore(channel.Config{
		Epoch: newEpoch(), Length: all.Length, Age: all.Age, Slow: all.Slow, Rules: rules,
		Memory: config.HistoryMemory, Aside: presencePrefix, AsideMax: config.HistoryMemory / presenceShare, IDAge: config.IDAge.Milliseconds(), IDMemory: config.IDMemory,
		Loops: config.Loops, MaxMessage: config.MaxMessage, Sink: between(s), Latent: s.users, Watcher: s.watcher(),
	})
	s.presence = newPresence(s)
	s.script = newScript(config.Script)
	s.page = newConsolePage(config.Console)
	s.console = newConsole(s)
	s.mailboxes = newMailboxes(&s.config)
	s.users.wake = func(loop int, w *woken) { s.engine.Loops()[loop].Post(netloop.Mail{Kind: mailWoken, Val: w}) }
	if err = s.openSite(); err != nil {
		return nil, err
	}
	if s.proxies, err = parseProxies(config.ProxyFrom); err != nil {
		return nil, err
	}
	if s.origins, err = parseOrigins(config.Origins); err != nil {
		return nil, err
	}
	if config.Tokens.Failed == nil {
		config.Tokens.Failed = func(err error) { config.Log("cannot fetch the key set: %v", err) }
	}
	if s.tokens, err = token.New(config.Tokens); err != nil {
		return nil, fmt.Errorf("cannot verify tokens: %w", err)
	}
	// A full pool refuses at once, so that a loop never waits for it.
	if s.pool, err = ants.NewPool(64, ants.WithNonblocking(true), ants.WithDisablePurge(true)); err != nil {
		return nil, fmt.Errorf("cannot make the worker pool: %w", err)
	}
	if s.verifiers, err = ants.NewPool(runtime.GOMAXPROCS(0), ants.WithNonblocking(true), ants.WithDisablePurge(true)); err != nil {
		return nil, fmt.Errorf("cannot make the pool for tokens: %w", err)
	}
	defer func() {
		if err != nil {
			s.tokens.Close()
		}
	}()
	s.engine, err = netloop.New(netloop.Config{
		Loops: config.Loops, Silence: config.PingInterval, HardLimit: config.MaxConnections + spareConnections,
		New: func(l *netloop.Loop) netloop.Handler {
			r := newReactor(s, l)
			s.reactors = append(s.reactors, r)
			return r
		},
	})
	if err != nil {
		return nil, err
	}
	s.metrics = newMetrics(s)
	return s, nil
}

// spareConnections are kept for the backend listener and for telling clients over the limit that they are.
const spareConnections = 32

// newEpoch draws the identity of this process's streams: 35 bits, so 7 characters.
func newEpoch() channel.Epoch {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return channel.Epoch(binary.LittleEndian.Uint64(b[:])>>29 | 1)
}

// Start listens and serves. It returns the addresses of the two listeners.
func (s *Server) Start() (public, backend netip.AddrPort, err error) {
	o := netloop.ListenOptions{Share: s.config.SharePort, PeerTimeout: s.config.PingInterval + s.config.WriteTimeout,
		Unsent: s.config.Unsent}
	if public, err = s.engine.Listen(publicListener, s.config.Listen, o); err != nil {
		return
	}
	if backend, err = s.engine.Listen(backendListener, s.config.Backend, o); err != nil {
		return
	}
	if s.sender != nil {
		s.sender.Start()
	}
	if err = s.engine.Start(); err == nil {
		go s.sweep()
		s.started = true
	}
	return public, backend, err
}

// Stop ends every connection in its own order (close frames, last chunks, answers to parked polls), waits until they have
// gone or ctx is done, and then ends the loops. Only the first call does so; others wait for it and return the same.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

func (s *Server) stop(ctx context.Context) error {
	s.console.close()
	s.returnWithin.Store(s.returnWindow().Milliseconds())
	s.ending.Store(true)
	for _, l := range s.engine.Loops() {
		l.Post(netloop.Mail{Kind: mailDrain})
	}
	wait := time.NewTicker(5 * time.Millisecond)
	defer wait.Stop()
	for s.engine.Open() > 0 && ctx.Err() == nil {
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	left := s.engine.Open()
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.engine.Stop(end)
	if s.started {
		close(s.over)
		<-s.swept
	}
	s.closeSite(ctx)
	s.pool.Release()
	s.verifiers.Release()
	s.tokens.Close()
	if err == nil && left > 0 {
		err = fmt.Errorf("%d connections had to be cut off", left)
	}
	return err
}

// Busy implements channel.Sink.
func (s *Server) Busy(loops uint64) bool {
	if s.outputSpent() {
		return true
	}
	all := s.engine.Loops()
	for i := range all {
		if loops&(1<<i) != 0 && all[i].Backlog().Load() > int64(s.config.MaxBacklog) {
			return true
		}
	}
	return false
}

// Deliver implements channel.Sink.
func (s *Server) Deliver(loop int, ch *channel.Channel, p *channel.Publication) {
	l := s.engine.Loops()[loop]
	l.Backlog().Add(publicationCost(p))
	l.Post(netloop.Mail{Kind: mailPublication, N: ch.ID(), Val: p})
}

// wakeStalled lets loops with pushes that wait try them again.
func (s *Server) wakeStalled() {
	loops := s.stalled.Swap(0)
	for i, l := range s.engine.Loops() {
		if loops&(1<<i) != 0 {
			l.Post(netloop.Mail{Kind: mailWake})
		}
	}
}

// sweepEach is how many channels are looked at in each tick.
const sweepEach = 2000

// sweep carries out what is due of departures, presence and letters, and gives memory back: in a goroutine of its own, since after a
// cut network that may be a hundred thousand departures. It ends when over is closed, which Stop does.
func (s *Server) sweep() {
	defer close(s.swept)
	for {
		select {
		case now := <-s.due:
			s.users.sweep(now, s.budget.crowded.Load())
			s.presence.Flush(now)
			s.mailboxes.Sweep(now, sweepEach)
			s.occupancy.sweep(now)
			s.giveBack(now)
		case <-s.over:
			return
		}
	}
}

// housekeep runs on loop 0 at every tick.
func (s *Server) housekeep(now int64) {
	s.store.Sweep(now, sweepEach)
	s.budget.look(s, now)
	select {
	case s.due <- now:
	default: // the last tick's is under way
	}
	if now >= s.statsAt {
		s.statsAt = now + 1000
		s.publishStats(now)
		s.revoked.sweep(now / 1000)
		s.allowances.sweep(now)
	}
}
