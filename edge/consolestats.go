package edge

import (
	"cmp"
	"encoding/json"
	gauges "runtime/metrics"
	"slices"
	"sync"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/netloop"
)

// ConsoleStats is what is published in $console.
type ConsoleStats struct {
	Uptime      float64           `json:"uptime_seconds"`
	Seconds     float64           `json:"seconds"`     // over which the rates are
	Connections map[string]int64  `json:"connections"` // by transport, and in all
	Users       int64             `json:"users"`       // online
	Channels    StatsChannels     `json:"channels"`
	Rates       ConsoleRates      `json:"rates"`
	Loops       []ConsoleLoop     `json:"loops"`
	Memory      ConsoleMemory     `json:"memory"`
	Top         ConsoleTop        `json:"top"`
	Readers     ConsoleReaders    `json:"readers"`
	Ended       map[string]uint64 `json:"ended"` // these four since the process began, as in Stats
	Refused     map[string]uint64 `json:"refused"`
	Dropped     map[string]uint64 `json:"dropped"`
	Skipped     map[string]uint64 `json:"skipped"`
	Site        StatsSite         `json:"site"`
}

// ConsoleRates are rates a second. What the console itself causes is left out of those of messages.
type ConsoleRates struct {
	Published   float64 `json:"published"`
	Delivered   float64 `json:"delivered"`
	BytesIn     float64 `json:"bytes_in"`
	BytesOut    float64 `json:"bytes_out"`
	Connections float64 `json:"connections"` // new ones, of both listeners
	Commands    float64 `json:"commands"`
	Requests    float64 `json:"requests"`
}

// ConsoleLoop is how one loop is doing.
type ConsoleLoop struct {
	Lag         float64 `json:"lag_ms"` // from when mail was posted until the loop acted on it
	Late        bool    `json:"late"`   // it has not yet: lag_ms is how long it has waited
	Connections int64   `json:"connections"`
	Delivered   float64 `json:"delivered"` // a second
	Backlog     int64   `json:"backlog_bytes"`
}

// ConsoleMemory is in bytes.
type ConsoleMemory struct {
	Used    int64  `json:"used"`   // resident set, and the kernel's part of the connections
	Budget  int64  `json:"budget"` // --memory; 0: none
	Heap    uint64 `json:"heap"`   // live objects and garbage
	Output  int64  `json:"output"` // that waits for readers, what many wait for once
	Input   int64  `json:"input"`
	Waiting int64  `json:"waiting"` // output that waits, for each reader
}

// ConsoleTop are the channels with the most of something.
type ConsoleTop struct {
	Subscribers  []ConsoleChannel `json:"subscribers"`
	Publications []ConsoleChannel `json:"publications"`
}

// ConsoleChannel is one of them.
type ConsoleChannel struct {
	Channel     string  `json:"channel"`
	Subscribers int     `json:"subscribers"`
	Rate        float64 `json:"rate"` // publications a second, over some seconds
}

// ConsoleReaders are those for whom output waits, and the slowest of them.
type ConsoleReaders struct {
	Waiting int             `json:"waiting"`
	Slowest []ConsoleReader `json:"slowest"`
}

// ConsoleReader is one of them.
type ConsoleReader struct {
	Address   string `json:"address"`
	User      string `json:"user,omitempty"`
	Transport string `json:"transport"` // "backend" for what came by that listener
	Waiting   int    `json:"waiting"`   // bytes
	Since     int64  `json:"since_ms"`  // how long the oldest of them has waited, or the reader has taken less than 16 KiB
	handle    netloop.Handle
}

// console publishes in $console while somebody is subscribed. Then there is one goroutine, which asks and waits; where nobody looks
// there is nothing at all.
//
// A look costs each loop one piece of mail, for which it walks over at most slowSample readers for whom output waits and asks the
// kernel for slowTop addresses: less than 1 µs where nobody waits, 15 µs with 100 readers, 80 µs with any number (BenchmarkReportFor),
// once a second. The goroutine takes some 35 µs for the figures (BenchmarkConsoleStats) and for the survey 30 µs with 100 channels, 7 ms
// with 20,000 of very many (BenchmarkSurvey).
type console struct {
	server *Server // immutable
	end    chan struct{}
	done   sync.WaitGroup // the goroutine

	mu      sync.Mutex
	running bool // guarded by mu
	over    bool // guarded by mu
}

const (
	consoleEvery = time.Second
	// consoleFirst is how soon the first figures come: rates need two looks.
	consoleFirst = 250 * time.Millisecond
	// consolePatience is how long is waited for loops to answer. Their lag is told all the same.
	consolePatience = 250 * time.Millisecond

	slowTop    = 10
	slowSample = 2000
)

func newConsole(s *Server) *console { return &console{server: s, end: make(chan struct{})} }

// wake is called by whoever has subscribed.
func (x *console) wake() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.running || x.over {
		return
	}
	x.running = true
	x.done.Add(1)
	go x.run() // owned by x; ends when nobody is subscribed any more, or with close
}

// wanted says whether somebody is subscribed. When it says no there has to be a wake for more.
func (x *console) wanted() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running = x.server.store.Subscribers([]byte(consoleChannel)) > 0
	return x.running
}

// watched says whether there is a goroutine.
func (x *console) watched() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.running
}

// close ends it for good.
func (x *console) close() {
	x.mu.Lock()
	over := x.over
	x.over = true
	x.mu.Unlock()
	if !over {
		close(x.end)
	}
	x.done.Wait()
}

func (x *console) run() {
	defer x.done.Done()
	g := newGathering(x.server)
	next := time.NewTimer(consoleFirst)
	defer next.Stop()
	for {
		select {
		case <-x.end:
			return
		case <-next.C:
		}
		next.Reset(consoleEvery)
		if !x.wanted() {
			return
		}
		g.publish(x.end)
	}
}

// gathering is what the goroutine remembers from one look to the next. All of it is the goroutine's.
type gathering struct {
	server *Server
	survey survey
	at     time.Time // of the last look
	was    counted
	own    counted // what the console has caused
	perOf  []uint64
	heap   []gauges.Sample

	reports  chan loopReport
	asked    []time.Time // by loop: when it was asked what it has not answered yet; zero: it has answered all
	lags     []time.Duration
	readers  [][]ConsoleReader // by loop
	waiting  []int
	complain sync.Once
}

// counted are the counts of which rates are made.
type counted struct{ published, delivered, in, out, accepted, commands, requests uint64 }

// loopReport is a loop's answer.
type loopReport struct {
	loop    int
	lag     time.Duration
	waiting int
	slowest []ConsoleReader
}

func newGathering(s *Server) *gathering {
	n := len(s.engine.Loops())
	g := &gathering{server: s, survey: survey{all: s.store.NewSurvey()}, at: time.Now(), perOf: make([]uint64, n),
		heap: []gauges.Sample{{Name: "/memory/classes/heap/objects:bytes"}}, reports: make(chan loopReport, n),
		asked: make([]time.Time, n), lags: make([]time.Duration, n), readers: make([][]ConsoleReader, n), waiting: make([]int, n)}
	g.was = g.counts()
	g.survey.look(1)
	return g
}

func (g *gathering) counts() (c counted) {
	s := g.server
	c.published = s.store.Totals().Published - g.own.published
	c.commands, c.requests = s.figures.commands.Load(), s.figures.requests.Load()
	for i, l := range s.engine.Loops() {
		n := l.Counts()
		g.perOf[i] = s.figures.perLoop[i].delivered.Load()
		c.delivered += g.perOf[i]
		c.in += n.BytesIn.Load()
		c.out += n.BytesOut.Load()
		c.accepted += n.Accepted.Load()
	}
	c.delivered -= min(c.delivered, g.own.delivered)
	return c
}

// publish looks and tells. When the loops are too far behind to take it, or output has spent its part of memory, that second is left
// out; the next rates are over both.
func (g *gathering) publish(end <-chan struct{}) {
	g.ask(end)
	data, err := json.Marshal(g.stats())
	if err != nil {
		panic("BUG: " + err.Error())
	}
	res, refused := g.server.store.Publish([]byte(consoleChannel), &channel.Message{Data: data, JSON: true}, time.Now().UnixMilli())
	switch {
	case refused == nil:
		g.own.published++
		g.own.delivered += uint64(res.Subscribers)
	case refused.Code == codes.MessageTooLarge:
		g.complain.Do(func() {
			g.server.config.Log("cannot publish in %s: %v; --max-message-size is too small for it", consoleChannel, refused)
		})
	}
}

// ask asks the loops how they are, those that have answered before, and waits for the answers as long as it has patience.
func (g *gathering) ask(end <-chan struct{}) {
	missing := 0
	for i, l := range g.server.engine.Loops() {
		missing++
		if !g.asked[i].IsZero() {
			continue
		}
		at, was := time.Now(), g.readers[i]
		g.asked[i] = at
		l.Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
			g.reports <- r.reportFor(at, was) // there is room: one a loop
		}})
	}
	patience := time.NewTimer(consolePatience)
	defer patience.Stop()
	for ; missing > 0; missing-- {
		select {
		case r := <-g.reports:
			g.asked[r.loop], g.lags[r.loop], g.waiting[r.loop], g.readers[r.loop] = time.Time{}, r.lag, r.waiting, r.slowest
		case <-patience.C:
			return
		case <-end:
			return
		}
	}
}

// reportFor tells how late it is and who reads slowest here; was is what it told the last time.
func (r *reactor) reportFor(asked time.Time, was []ConsoleReader) loopReport {
	out := loopReport{loop: r.loop.Index(), lag: time.Since(asked)}
	seen := make(map[netloop.ID]int, 2*slowTop)
	note := func(c netloop.ID, waiting int) {
		if len(out.slowest) == slowTop && out.slowest[slowTop-1].Waiting >= waiting {
			return
		}
		if _, twice := seen[c]; twice {
			return
		}
		seen[c] = waiting
		if len(out.slowest) == slowTop {
			out.slowest = out.slowest[:slowTop-1]
		}
		out.slowest = insertReader(out.slowest, ConsoleReader{Waiting: waiting, handle: r.loop.Handle(c)})
	}
	for _, x := range was { // of very many the sample would show others each time
		if c, ok := r.loop.Resolve(x.handle); ok && r.loop.Waiting(c) > 0 {
			note(c, r.loop.Waiting(c))
		}
	}
	out.waiting = r.loop.SomeWaiting(slowSample, note)
	for i := range out.slowest {
		r.describe(&out.slowest[i])
	}
	return out
}

// insertReader puts a reader into its place among others, the slowest first.
func insertReader(all []ConsoleReader, x ConsoleReader) []ConsoleReader {
	at := len(all)
	for at > 0 && all[at-1].Waiting < x.Waiting {
		at--
	}
	return slices.Insert(all, at, x)
}

func (r *reactor) describe(x *ConsoleReader) {
	c := x.handle.ID()
	cl := r.clients.at(c)
	x.Address, x.Since = r.address(c).String(), r.loop.WaitingSince(c).Milliseconds()
	x.Transport = transportNames[cl.transport]
	if cl.flags&onBackend != 0 {
		x.Transport = "backend"
	}
	if claims := r.identities.of(c).claims; claims != nil {
		x.User = claims.Subject
	}
}

// stats puts together what is told.
func (g *gathering) stats() *ConsoleStats {
	s, totals, now := g.server, g.server.store.Totals(), time.Now()
	perWas := slices.Clone(g.perOf)
	was, is := g.was, g.counts()
	dt := max(now.Sub(g.at).Seconds(), 0.001)
	g.at, g.was = now, is
	rate := func(is, was uint64) float64 { return rounded(float64(is-min(is, was)) / dt) }
	out := &ConsoleStats{
		Uptime: rounded(now.Sub(s.began).Seconds()), Seconds: rounded(dt), Connections: map[string]int64{}, Users: s.users.online.Load(),
		Channels: StatsChannels{totals.Channels, totals.Subscriptions + s.users.following.Load(), totals.Publications, totals.Bytes},
		Rates: ConsoleRates{rate(is.published, was.published), rate(is.delivered, was.delivered), rate(is.in, was.in), rate(is.out, was.out),
			rate(is.accepted, was.accepted), rate(is.commands, was.commands), rate(is.requests, was.requests)},
		Memory: g.memory(), Ended: s.ended(), Refused: s.figures.refusedByCode(), Dropped: dropped(&totals), Skipped: s.figures.skippedByPolicy(), Site: s.statsSite(),
	}
	for t := range numTransports {
		n := s.figures.connections[t].Load()
		out.Connections[transportNames[t]] = n
		out.Connections["total"] += n
	}
	for i, l := range s.engine.Loops() {
		lag, late := g.lags[i], !g.asked[i].IsZero()
		if late {
			lag = time.Since(g.asked[i])
		}
		out.Loops = append(out.Loops, ConsoleLoop{float64(lag.Microseconds()) / 1000, late, l.Counts().Open.Load(),
			rate(g.perOf[i], perWas[i]), l.Backlog().Load()})
	}
	g.survey.look(dt)
	out.Top = ConsoleTop{topOf(g.survey.bySubs), topOf(g.survey.byPub)}
	out.Readers.Slowest = []ConsoleReader{}
	for i, all := range g.readers {
		out.Readers.Waiting += g.waiting[i]
		out.Readers.Slowest = append(out.Readers.Slowest, all...)
	}
	slices.SortStableFunc(out.Readers.Slowest, func(a, b ConsoleReader) int { return cmp.Compare(b.Waiting, a.Waiting) })
	out.Readers.Slowest = out.Readers.Slowest[:min(len(out.Readers.Slowest), slowTop)]
	return out
}

// memory does not stop the world for a look at the heap, as runtime.ReadMemStats does.
func (g *gathering) memory() ConsoleMemory {
	s := g.server
	gauges.Read(g.heap)
	m := ConsoleMemory{Used: s.budget.used.Load(), Budget: s.budget.total, Heap: g.heap[0].Value.Uint64(), Output: s.heldOutput(), Input: s.heldInput()}
	if m.Used == 0 { // where there is no budget nobody measures, and nobody has yet in the first second
		m.Used = measured(s.engine.Open())
	}
	for _, l := range s.engine.Loops() {
		m.Waiting += l.Counts().Waiting.Load()
	}
	return m
}

func topOf(all []ranked) []ConsoleChannel {
	out := make([]ConsoleChannel, 0, surveyTop)
	for _, x := range all[:min(len(all), surveyTop)] {
		out = append(out, ConsoleChannel{x.Channel.Name(), x.Subscribers, rounded(x.rate)})
	}
	return out
}

// rounded keeps what a reader can use: three digits behind the point.
func rounded(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }
