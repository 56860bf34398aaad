package edge

import (
	"slices"
	"sync/atomic"

	"encke/codes"
	"encke/netloop"
)

// The budget of memory: Config.Memory is split over what grows with use, and each part is bounded where it is asked for more.
//
//	connections  1/2   so many are admitted at most (MostConnections); the kernel's part of them counts
//	history      1/8   the oldest goes (channel.Store); of it joins and leaves have a quarter, and beyond that their oldest goes: who
//	                   subscribes to ever new channels makes some with each, and should put out nobody's messages
//	output       1/8   that waits for readers: from three quarters on each reader may have less of it, at the whole publishers wait
//	input        1/16  requests and messages of which a part has come: the one that asks for more is refused
//	             1/32  commands that wait for the site's backend: the one that asks for more is refused
//	message ids  1/64  the oldest are forgotten
//	mailboxes    1/32  the oldest letters go
//	people       1/16  users' records, who is in which channel, and what the site's backend is yet to be told, beyond 2 KiB for each
//	                   connection, which has room for those in its own part: new connections are refused
//
// The rest is for the runtime and for what is in passing. New connections are refused while output, people, or the whole as measured, is
// spent; what is connected is served all the same.
const (
	historyShare  = 8
	presenceShare = 4 // of history
	outputShare   = 8
	inputShare    = 16
	idShare       = 64
	mailboxShare  = 32
	peopleShare   = 16

	// connectionMemory is what a connection is reckoned at, kernel included: 4.2 KB idle (tools/doctor), and a message or two
	// on its way.
	connectionMemory = 8 << 10
	// kernelMemory is what the kernel takes for an idle one of them.
	kernelMemory = 4100
	// connectionPeople is how much of its memory may be what is known of its user.
	connectionPeople = 2 << 10
	// leastPending is what may wait for one connection when output has spent its part.
	leastPending = 16 << 10
)

// MostConnections returns how many connections fit into a budget of memory.
func MostConnections(memory int64) int { return int(memory / 2 / connectionMemory) }

// budget watches the parts that are measured. Loop 0 looks at them at every tick; anybody may ask.
type budget struct {
	// immutable; 0: any amount
	total, output, input, people int64
	maxPending                   int64

	// atomic
	pending atomic.Int64 // bytes that may wait for one connection now
	full    atomic.Bool  // the whole, as measured
	crowded atomic.Bool  // people have spent their part
	used    atomic.Int64 // the whole, as measured

	// owned by loop 0
	measureAt int64
	waited    bool // publishers have had to wait for output
}

func newBudget(c *Config) *budget {
	b := &budget{total: c.Memory, output: c.Memory / outputShare, input: c.Memory / inputShare, people: c.Memory / peopleShare, maxPending: int64(c.MaxPending)}
	b.pending.Store(b.maxPending)
	return b
}

// split gives history and ids their parts of the budget where no bound of their own is set.
func (c *Config) split() {
	if c.HistoryMemory == 0 {
		c.HistoryMemory = c.Memory / historyShare
	}
	if c.IDMemory == 0 {
		c.IDMemory = c.Memory / idShare
	}
	if c.MailboxMemory == 0 {
		c.MailboxMemory = c.Memory / mailboxShare
	}
	if c.IDMemory == 0 { // no budget: ids alone must not grow without end
		c.IDMemory = 64 << 20
	}
	if c.MailboxMemory == 0 { // nor letters
		c.MailboxMemory = 64 << 20
	}
}

// look holds the parts against what is used now.
func (b *budget) look(s *Server, now int64) {
	if b.total == 0 {
		return
	}
	output := s.heldOutput()
	b.pending.Store(b.perConnection(output))
	waited := b.waited
	if b.waited = output > b.output; waited && !b.waited {
		s.wakeStalled()
	}
	if now >= b.measureAt {
		b.measureAt = now + 1000
		open := s.engine.Open()
		used := measured(open)
		b.used.Store(used)
		b.full.Store(used > b.total)
		b.crowded.Store(b.people > 0 && s.heldPeople() > b.people+open*connectionPeople)
	}
}

// perConnection is what may wait for one connection: less and less from three quarters of the output's part on.
func (b *budget) perConnection(output int64) int64 {
	squeezed := b.output / 4 * 3
	if output <= squeezed {
		return b.maxPending
	}
	left := max(b.output-output, 0)
	return max(int64(float64(b.maxPending)*float64(left)/float64(b.output-squeezed)), min(leastPending, b.maxPending))
}

// spent says whether no new connection is to be served. Input does not count: who sends a whole request needs none of it, and
// who does not is refused then.
func (s *Server) spent() bool {
	return s.budget.full.Load() || s.budget.crowded.Load() || s.outputSpent()
}

// outputSpent says whether no publication is to be taken, since output that waits has spent its part.
func (s *Server) outputSpent() bool { return s.budget.output > 0 && s.heldOutput() > s.budget.output }

// inputSpent says whether no connection may have more of a request or message buffered.
func (s *Server) inputSpent() bool { return s.budget.input > 0 && s.heldInput() > s.budget.input }

// askedSpent says whether no command of that size may wait for the site's backend: those may take half as much as input.
func (s *Server) askedSpent(size int) bool {
	return s.budget.input > 0 && s.figures.asked.Load()+int64(size) > s.budget.input/2
}

// measured is what the process takes, with the kernel's part of its connections. What is on its way in TCP's buffers is not
// to be had for one process: /proc/net/sockstat counts those of the whole machine.
func measured(open int64) int64 { return int64(rss()) + open*kernelMemory }

// heldOutput is the memory that output takes which waits for readers.
func (s *Server) heldOutput() (n int64) {
	for _, l := range s.engine.Loops() {
		n += l.Counts().Held.Load()
	}
	return n
}

// heldInput is the memory that requests and messages take of which a part has come.
func (s *Server) heldInput() int64 {
	n := s.figures.partial.Load()
	for _, l := range s.engine.Loops() {
		n += l.Counts().Untaken.Load()
	}
	return n
}

// heldPeople is the memory that users' records, presence and changes take that wait to be told, estimated. It takes the mutexes of all
// users, one after the other.
func (s *Server) heldPeople() int64 {
	n := s.users.bytes() + s.presence.Bytes()
	if s.sender != nil {
		n += s.sender.Counts().Bytes
	}
	return n
}

// maxPending is how many bytes may wait for one connection, as of the last tick.
func (r *reactor) maxPending() int { return int(r.server.budget.pending.Load()) }

// room is how many bytes of history one connection may be given at once, as of this moment: a burst of requests is served
// between two ticks. 0: nothing now.
func (r *reactor) room() int {
	b := r.server.budget
	if b.output == 0 {
		return min(replayPiece, r.server.config.MaxPending)
	}
	held := r.server.heldOutput()
	if held > b.output {
		return 0
	}
	return min(replayPiece, int(b.perConnection(held)))
}

// squeeze ends the readers for whom more waits than is allowed now, when output is running out of memory; and where that does not
// help, since many have a little waiting, those with most of it.
func (r *reactor) squeeze() {
	most := r.maxPending()
	if most >= r.server.config.MaxPending {
		r.spentTicks = 0
		return
	}
	r.loop.EachWaiting(func(c netloop.ID, waiting int) {
		if waiting > most {
			r.giveUpReader(c)
		}
	})
	if !r.server.outputSpent() {
		r.spentTicks = 0
	} else if r.spentTicks++; r.spentTicks >= patience {
		b := r.server.budget
		r.evict(r.loop.Counts().Held.Load(), r.server.heldOutput(), b.output, r.loop.EachWaiting, r.giveUpReader)
	}
}

// patience is for how many ticks a part of the budget may be spent before those who hold most of it are ended: other means
// come first, and publishers can wait that long.
const patience = 3

// giveUpReader ends one of those for whom output waits. The backend's answers are not given up.
func (r *reactor) giveUpReader(c netloop.ID) {
	cl := r.clients.at(c)
	switch {
	case cl.flags&onBackend != 0:
	case r.loop.Finishing(c): // its last words may have to wait as long as others' output
		r.loop.Close(c, reasonOf(codes.SlowConsumer))
	default:
		r.end(c, cl, codes.SlowConsumer)
	}
}

// evict ends this loop's largest holders of a part of the budget, until its share of what is above three quarters is free.
func (r *reactor) evict(mine, all, budget int64, each func(func(netloop.ID, int)), giveUp func(netloop.ID)) {
	need := float64(all-budget/4*3) * float64(mine) / float64(max(all, 1))
	type holder struct {
		c    netloop.ID
		size int
	}
	var holders []holder
	each(func(c netloop.ID, size int) { holders = append(holders, holder{c, size}) })
	slices.SortFunc(holders, func(a, b holder) int { return b.size - a.size })
	for _, x := range holders {
		if need <= 0 {
			return
		}
		need -= float64(x.size)
		giveUp(x.c)
	}
}

// relieve does so for input. First come clients that have sent more although an answer is still owed to them: they can wait, and
// nobody else is to wait for them. The backend's requests are not given up.
func (r *reactor) relieve() {
	if !r.server.inputSpent() {
		r.inputTicks = 0
		return
	}
	r.loop.EachUntaken(func(c netloop.ID, _ int) {
		cl := r.clients.at(c)
		if cl.flags&onBackend == 0 && (cl.transport == overPoll || r.loop.Waiting(c) > 0) {
			r.loop.Close(c, reasonOf(codes.Overloaded))
		}
	})
	if r.inputTicks++; r.inputTicks < patience {
		return
	}
	mine := r.loop.Counts().Untaken.Load()
	each := func(f func(netloop.ID, int)) {
		r.loop.EachUntaken(f)
		for c, p := range r.partial {
			mine += int64(p.Size())
			f(c, p.Size())
		}
	}
	r.evict(mine, r.server.heldInput(), r.server.budget.input, each, func(c netloop.ID) {
		switch cl := r.clients.at(c); {
		case cl.flags&onBackend != 0 || r.loop.Finishing(c):
		case cl.transport.websocket():
			r.closeWS(c, cl, codes.Overloaded.Close(), codes.Overloaded)
		default:
			r.refuse(c, cl, codes.New(codes.Overloaded, "its memory for requests is spent"))
		}
	})
}

// smallInput is what a request in several pieces may have buffered although input has spent its part.
const smallInput = 2 << 10
