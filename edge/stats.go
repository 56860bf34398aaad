package edge

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
)

// Stats is the answer of GET /stats.
type Stats struct {
	Uptime      float64           `json:"uptime_seconds"`
	Epoch       string            `json:"epoch"`
	Connections map[string]int64  `json:"connections"` // by transport, and in all
	Channels    StatsChannels     `json:"channels"`
	Messages    StatsMessages     `json:"messages"`
	Users       StatsUsers        `json:"users"`
	Site        StatsSite         `json:"site"`
	Ended       map[string]uint64 `json:"ended"`   // connections, by reason
	Refused     map[string]uint64 `json:"refused"` // requests, commands and pushes, by code
	Dropped     map[string]uint64 `json:"dropped"` // publications that history lost, by reason
	Skipped     map[string]uint64 `json:"skipped"` // publications that slow readers were not given, and told so, by policy
	Bytes       StatsBytes        `json:"bytes"`
	Loops       []StatsLoop       `json:"loops"`
	Memory      StatsMemory       `json:"memory"`
}

// StatsChannels are the figures of the channel store.
type StatsChannels struct {
	Channels      int64 `json:"channels"`
	Subscriptions int64 `json:"subscriptions"`
	Publications  int64 `json:"history_publications"`
	Bytes         int64 `json:"history_bytes"`
}

// StatsMessages count messages since the start.
type StatsMessages struct {
	Published    uint64 `json:"published"`
	Repeated     uint64 `json:"repeated"`      // pushes made again under their id, not stored again
	Forgotten    uint64 `json:"ids_forgotten"` // before their time, for want of memory
	Delivered    uint64 `json:"delivered"`
	Replayed     uint64 `json:"replayed"`
	Gaps         uint64 `json:"gaps_told"`
	Commands     uint64 `json:"commands"`
	Requests     uint64 `json:"requests"`
	Stalls       uint64 `json:"pushes_delayed"`
	Shed         uint64 `json:"answers_shed"`
	Inconsistent uint64 `json:"inconsistent"`
	ByClients    uint64 `json:"published_by_clients"`
}

// StatsBytes count bytes since the start; Waiting is output that waits now.
type StatsBytes struct {
	In        uint64 `json:"in"`
	Out       uint64 `json:"out"`
	Published uint64 `json:"published"`
	Waiting   int64  `json:"waiting"`
}

// StatsLoop are the figures of one loop.
type StatsLoop struct {
	Connections int64  `json:"connections"`
	Accepted    uint64 `json:"accepted"`
	Sends       uint64 `json:"sends"`
	Shorts      uint64 `json:"short_sends"`
	Turns       uint64 `json:"turns"`
	Halts       uint64 `json:"accept_halts"`
	Backlog     int64  `json:"backlog_bytes"`
	Delivered   uint64 `json:"delivered"`
}

// StatsMemory is in bytes.
type StatsMemory struct {
	RSS        uint64 `json:"rss"`
	Heap       uint64 `json:"heap"`
	Objects    uint64 `json:"heap_objects"`
	GCs        uint32 `json:"gc_cycles"`
	Goroutines int    `json:"goroutines"`
	Used       int64  `json:"used"`   // resident set, and the kernel's part of the connections; measured once a second
	Budget     int64  `json:"budget"` // --memory
	Output     int64  `json:"output"` // that waits for readers
	Input      int64  `json:"input"`  // requests and messages of which a part has come
	People     int64  `json:"people"` // users, who is in which channel, and what waits for --webhook; estimated
}

// Stats collects the figures. It may be called by anybody; it takes about a hundred microseconds.
func (s *Server) Stats() Stats {
	f, totals := &s.figures, s.store.Totals()
	out := Stats{
		Uptime: time.Since(s.began).Seconds(), Epoch: s.store.Epoch().String(),
		Connections: map[string]int64{"total": s.engine.Open()},
		Channels:    StatsChannels{totals.Channels, totals.Subscriptions + s.users.following.Load(), totals.Publications, totals.Bytes},
		Messages: StatsMessages{Published: totals.Published, Repeated: totals.Repeated, Forgotten: totals.IDsForgotten, Replayed: f.replayed.Load(), Gaps: f.gaps.Load(),
			Commands: f.commands.Load(), Requests: f.requests.Load(), Stalls: f.stalls.Load(), Shed: f.shed.Load(),
			Inconsistent: f.inconsistent.Load(), ByClients: f.published.Load()},
		Dropped: dropped(&totals),
		Users:   s.statsUsers(), Site: s.statsSite(),
		Skipped: f.skippedByPolicy(),
		Refused: f.refusedByCode(),
		Bytes:   StatsBytes{Published: f.bytesPublished.Load()},
	}
	for t := range numTransports {
		out.Connections[transportNames[t]] = f.connections[t].Load()
	}
	for i, l := range s.engine.Loops() {
		c := l.Counts()
		delivered := f.perLoop[i].delivered.Load()
		out.Loops = append(out.Loops, StatsLoop{c.Open.Load(), c.Accepted.Load(), c.Sends.Load(), c.Shorts.Load(),
			c.Turns.Load(), c.AcceptHalt.Load(), l.Backlog().Load(), delivered})
		out.Messages.Delivered += delivered
		out.Bytes.In += c.BytesIn.Load()
		out.Bytes.Out += c.BytesOut.Load()
		out.Bytes.Waiting += c.Waiting.Load()
	}
	out.Ended = s.ended()
	out.Memory = memory()
	out.Memory.Used, out.Memory.Budget = s.budget.used.Load(), s.budget.total
	out.Memory.Output, out.Memory.Input, out.Memory.People = s.heldOutput(), s.heldInput(), s.heldPeople()
	return out
}

// dropped counts publications that history lost, by why.
func dropped(t *channel.Totals) map[string]uint64 {
	return map[string]uint64{"length": t.EvictedLength, "age": t.EvictedAge, "memory": t.EvictedMemory, "deleted": t.Deleted}
}

// ended counts connections by why they ended.
func (s *Server) ended() map[string]uint64 {
	sum := func(why netloop.Reason) (n uint64) {
		for _, l := range s.engine.Loops() {
			n += l.Counts().Closed[why].Load()
		}
		return n
	}
	m := byCode(func(c codes.Code) uint64 { return sum(reasonOf(c)) })
	for why, name := range map[netloop.Reason]string{netloop.ReasonPeer: "peer", netloop.ReasonReset: "reset",
		netloop.ReasonLinger: "linger", netloop.ReasonStop: "stop"} {
		if n := sum(why); n > 0 {
			m[name] = n
		}
	}
	return m
}

func memory() StatsMemory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return StatsMemory{RSS: rss(), Heap: m.HeapAlloc, Objects: m.HeapObjects, GCs: m.NumGC, Goroutines: runtime.NumGoroutine()}
}

// rss returns the resident set in bytes, 0 where /proc does not tell.
func rss() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

func (s *Server) statsAnswer() longpoll.Response {
	body, err := json.Marshal(s.Stats())
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return longpoll.Response{Status: 200, Type: "application/json", Body: append(body, '\n')}
}

// answer is a response made outside the loop.
type answer struct {
	response longpoll.Response
	keep     bool
}

// elsewhere lets the pool make an answer: it would hold the loop up. Until it is there the connection takes no further
// request. A full pool is told to the client at once.
func (r *reactor) elsewhere(q *request, work func() longpoll.Response) {
	h := r.loop.Handle(q.c)
	a := &answer{keep: q.keep}
	close10, head := q.keep10, q.head
	err := r.server.pool.Submit(func() {
		a.response = work()
		a.response.Close, a.response.KeepAlive10, a.response.Head = !a.keep, close10, head
		r.loop.Post(netloop.Mail{To: h, Kind: mailAnswer, Val: a})
	})
	if err != nil {
		r.server.figures.shed.Add(1)
		r.fail(q, codes.New(codes.Overloaded, "the worker pool is full"))
		return
	}
	q.cl.flags |= isBusy
	r.loop.StopTimer(q.c)
}

// answered sends an answer made elsewhere.
func (r *reactor) answered(m netloop.Mail) {
	c, ok := r.loop.Resolve(m.To)
	if !ok {
		return
	}
	cl, a := r.clients.at(c), m.Val.(*answer)
	cl.flags &^= isBusy
	a.response.Close = a.response.Close || r.draining
	r.scratch = a.response.Append(r.scratch[:0], r.clock(cl))
	r.loop.Send(c, r.scratch)
	if a.response.Close {
		r.loop.Finish(c, netloop.ReasonPeer)
		return
	}
	r.loop.SetTimer(c, timerIdle, r.server.config.IdleTimeout)
	r.loop.Resume(c)
}
