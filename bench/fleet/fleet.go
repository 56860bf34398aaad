package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"encke/bench/proc"
	"encke/bench/report"
	"encke/bench/wire"
	"encke/netloop"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Config is what all clients of a fleet have in common.
type Config struct {
	Loops      int      `json:"loops"`
	Sources    []string `json:"sources,omitempty"` // local addresses or prefixes, taken in turn; none: 127.0.0.0/8 towards loopback
	Size       int      `json:"size"`              // bytes of a payload; 0: messages are only counted
	Publishers int      `json:"publishers"`        // whose messages a client gets, numbered from 0
	Offset     int64    `json:"offset"`            // ns to add to this machine's clock to get the publishers'
	Forgiving  bool     `json:"forgiving"`         // a connection that ends is counted and made again, not a failure
	Secret     string   `json:"-"`                 // HS256, of clients' tokens; it is never sent
}

// Fleet is a set of clients. Its methods may be called by one goroutine at a time.
type Fleet struct {
	// immutable
	config  Config
	engine  *netloop.Engine
	loops   []*loop
	sources []netip.Addr
	began   time.Time

	// owned by the caller
	groups  []Group
	clients int

	// atomic
	next    atomic.Uint32 // source address
	closing atomic.Bool

	mu  sync.Mutex
	err error // guarded by mu: what went wrong first
}

// longest is what a histogram holds, µs; what took longer counts as that.
const longest = 120e6

// histogram is of microseconds up to two minutes, to three digits.
func histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

// New starts the loops. Close ends them.
func New(c Config) (*Fleet, error) {
	if c.Loops < 1 {
		return nil, errors.New("cannot run a fleet without a loop")
	}
	if c.Publishers < 1 || c.Publishers > 256 || c.Size != 0 && c.Size < wire.MinSize {
		return nil, fmt.Errorf("cannot verify %d publishers' messages of %d bytes: 1 to 256, and at least %d bytes", c.Publishers, c.Size, wire.MinSize)
	}
	f := &Fleet{config: c, began: time.Now()}
	f.next.Store(uint32(f.began.UnixMicro())) // not the addresses of the run before: their ports are in TIME_WAIT
	var err error
	if f.sources, err = parseSources(c.Sources); err != nil {
		return nil, err
	}
	f.engine, err = netloop.New(netloop.Config{Loops: c.Loops, Silence: time.Hour, New: func(l *netloop.Loop) netloop.Handler {
		w := newLoop(f, l)
		f.loops = append(f.loops, w)
		return w
	}})
	if err != nil {
		return nil, err
	}
	return f, f.engine.Start()
}

// Close ends all clients, without a word to the server.
func (f *Fleet) Close() {
	f.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = f.engine.Stop(ctx)
}

// Add makes clients that do not connect yet, and their tokens.
func (f *Fleet) Add(g Group) error {
	if transports[g.Transport] == nil {
		return fmt.Errorf("cannot use transport %q: ws, sse, stream, longpoll or poll", g.Transport)
	}
	if len(f.groups) == 256 {
		return errors.New("cannot have more than 256 groups of clients")
	}
	if !g.Visit { // of those that leave at once only few are there at a time
		if err := proc.NeedDescriptors(f.clients + g.Count); err != nil {
			return err
		}
	}
	var remotes []netip.AddrPort
	for _, text := range g.Remotes {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return fmt.Errorf("cannot use the address %q: %w", text, err)
		}
		remotes = append(remotes, a)
	}
	if len(remotes) == 0 {
		return errors.New("cannot connect clients to nothing")
	}
	before, after, _ := strings.Cut(g.Path, "#")
	kind := kind{Group: g, transport: transports[g.Transport], remotes: remotes, before: before, after: after,
		numbered: strings.Contains(g.Path, "#")}
	var err error
	if kind.tokens, err = mint(f.config.Secret, g.First, g.Count, g.Users); err != nil {
		return fmt.Errorf("cannot make clients' tokens: %w", err)
	}
	index := uint8(len(f.groups))
	f.groups = append(f.groups, g)
	f.clients += g.Count
	f.each(func(at int, l *loop) { l.add(kind, index, at, len(f.loops)) })
	return nil
}

// each runs do on every loop's goroutine, on all at once, and returns when all have done it.
func (f *Fleet) each(do func(at int, l *loop)) {
	var all sync.WaitGroup
	for i, l := range f.loops {
		all.Add(1)
		l.net.Post(netloop.Mail{Val: func() { do(i, l); all.Done() }})
	}
	all.Wait()
}

// fail notes what went wrong first.
func (f *Fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// Err returns what went wrong first.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Stat is what a fleet has done. Counters count from its beginning.
type Stat struct {
	Clients    int           `json:"clients"`
	Here       int64         `json:"here"`       // clients that are connected now
	Handshakes uint64        `json:"handshakes"` // ever
	Left       uint64        `json:"left"`       // connections that clients ended
	Dropped    uint64        `json:"dropped"`    // connections that the server ended, or the network
	Refused    uint64        `json:"refused"`    // handshakes that were refused or failed, to be tried again
	Delivered  uint64        `json:"delivered"`
	Requests   uint64        `json:"requests"` // polls answered
	Gaps       uint64        `json:"gaps"`     // losses that the server told of
	Faults     report.Faults `json:"faults"`
	LastHere   int64         `json:"last_here"` // Unix ns of the publishers' clock: of the last handshake
	Last       int64         `json:"last"`      // of the last delivery
	Latency    []byte        `json:"latency"`   // µs, since the Stat before; HDR histogram, V2 compressed
	Connect    []byte        `json:"connect"`   // µs from dial to answer, the same way
	CPU        time.Duration `json:"cpu"`
	RSS        int64         `json:"rss"`
	Error      string        `json:"error,omitempty"`
}

// Delivered returns how many messages have been delivered until a moment ago. It costs next to nothing.
func (f *Fleet) Delivered() (n uint64) {
	for _, l := range f.loops {
		n += l.shown.Load()
	}
	return n
}

// Stat collects the figures, and begins new histograms.
func (f *Fleet) Stat() Stat {
	s := Stat{Clients: f.clients, CPU: proc.OwnCPU()}
	latency, connect := histogram(), histogram()
	var mu sync.Mutex
	f.each(func(_ int, l *loop) {
		mu.Lock()
		defer mu.Unlock()
		l.figures.addTo(&s)
		latency.Merge(l.latency)
		connect.Merge(l.connect)
		l.latency.Reset()
		l.connect.Reset()
	})
	s.Latency, s.Connect = encode(latency), encode(connect)
	if err := f.Err(); err != nil {
		s.Error = err.Error()
	}
	return s
}

func encode(h *hdrhistogram.Histogram) []byte {
	if h.TotalCount() == 0 {
		return nil
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("BUG: cannot encode a histogram: " + err.Error())
	}
	return b
}

// Begun is when clients began to connect, the last time, by their numbers: Unix ns of the publishers' clock.
type Begun map[uint32]int64

// Begun tells it of clients that are here.
func (f *Fleet) Begun() Begun {
	b := Begun{}
	var mu sync.Mutex
	f.each(func(_ int, l *loop) {
		mu.Lock()
		defer mu.Unlock()
		l.begun(b)
	})
	return b
}

func (l *loop) begun(b Begun) {
	for i := range l.clients {
		if c := &l.clients[i]; c.state == here {
			ago := time.Duration(l.clock()-c.began) * time.Microsecond // of a clock that wraps
			b[c.number] = l.now() - int64(ago)
		}
	}
}

// Sent is what was published: by each publisher, or where each client has a channel of its own, to each client number.
type Sent struct {
	Publishers []uint32 `json:"publishers,omitempty"`
	Numbers    []uint32 `json:"numbers,omitempty"`
	First      int      `json:"first,omitempty"` // the number that Numbers begins with
}

// Verdict is what Verify finds.
type Verdict struct {
	Faults report.Faults     `json:"faults"`
	Orders map[uint64]uint64 `json:"orders"` // how many whole clients saw deliveries in which order
}

// Verify holds every client that is here, and not deaf, against what was published.
func (f *Fleet) Verify(sent Sent) Verdict {
	v := Verdict{Orders: map[uint64]uint64{}}
	var mu sync.Mutex
	f.each(func(_ int, l *loop) {
		mu.Lock()
		defer mu.Unlock()
		l.verify(&sent, &v)
	})
	return v
}
