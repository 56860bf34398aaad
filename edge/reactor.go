package edge

import (
	"net/netip"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
	"encke/wsframe"
)

// reactor is a loop's protocol: the netloop.Handler of everything that happens on it. All fields are owned by the loop.
type reactor struct {
	server *Server // immutable
	loop   *netloop.Loop

	epoch   string // immutable: the store's
	now     int64  // Unix time in milliseconds, as of this tick
	seconds uint32
	clocks  [2]longpoll.Clock // public, backend
	http    *longpoll.Assembler
	frames  *wsframe.Decoder
	sink    frameSink

	clients clients
	identities
	hooks
	claims   *token.Claims                     // of the client whose request or command is served, nil without a token
	progress map[netloop.ID]*longpoll.Progress // requests of which a part has come
	partial  map[netloop.ID]*wsframe.Partial   // messages of which a part has come
	many     map[netloop.ID][]uint32           // entries of connections with several channels
	batches  map[netloop.ID]*batch             // pushes of many lines that are under way
	origins  map[netloop.ID]netip.Addr         // of connections that admission counts
	proxied  map[netloop.ID]netip.Addr         // whose connections they are, where a proxy has said so
	paces    map[netloop.ID]pace               // of clients that have given commands lately
	stalled  []stall                           // pushes that wait for loops that are behind, or their turn
	waits    map[netloop.Handle]int64          // until when such a push may wait
	again    bool                              // one of them waits for its turn only
	deferred queue[netloop.Mail]               // what Turn acts on

	lags       map[netloop.ID][]lag  // subscriptions that are fed from history
	chased     queue[netloop.Handle] // connections whose lagging subscriptions are looked at next
	spentTicks int                   // for how long output has spent its part of the budget
	inputTicks int                   // and input
	checked    int                   // the last entry that checkEntries has looked at

	letters  map[netloop.ID]lettered // how far connections have been given letters, where they have been given any
	starved  map[netloop.ID]struct{} // to whom letters could not be given for want of memory
	listings map[string]listing      // who is in channels that clients have asked about lately

	entries     []*entry
	freeEntries []uint32
	byChannel   map[uint64]*entry
	active      queue[*entry] // those with something to fan out
	draining    bool

	// scratch, valid within one call
	scratch []byte
	body    []byte
	offsets []uint64
	one     [1]uint32
	replay  []*channel.Publication
	froms   []channel.From
	names   [][]byte
	begins  []uint64
	missing bool   // from what is being given
	mailed  uint64 // the last letter in a poll's answer that is being made
	later   []owed

	stalledSpare []stall
}

const (
	timerHeader netloop.TimerKind = iota + 1
	timerBody
	timerIdle
	timerPoll
	timerEnd
)

// Kinds of mail.
const (
	mailPublication uint32 = iota + 1 // N channel id, Val *channel.Publication
	mailAnswer                        // To, Val *answer: made outside the loop
	mailWake                          // look at stalled pushes
	mailDrain                         // end every connection in order
	mailVerified                      // To, Val *verified: a token that was verified outside of the loop
	mailRevoked                       // end connections whose tokens have been revoked
	mailEnd                           // To, N codes.Code: end this connection
	mailAsk                           // Val func(*reactor): a question from outside
	mailAsked                         // To, Val *asked: the site's backend has answered
	mailLetter                        // To: its user has letters
	mailWoken                         // Val *woken: a channel that connections follow latently has been made
)

// reasonOf is the netloop.Reason under which connections ended for that code are counted.
func reasonOf(c codes.Code) netloop.Reason { return netloop.ReasonUser + netloop.Reason(c) }

func newReactor(s *Server, l *netloop.Loop) *reactor {
	r := &reactor{
		server: s, loop: l, epoch: s.store.Epoch().String(), http: longpoll.NewAssembler(), frames: wsframe.NewDecoder(),
		progress: map[netloop.ID]*longpoll.Progress{}, partial: map[netloop.ID]*wsframe.Partial{},
		many: map[netloop.ID][]uint32{}, batches: map[netloop.ID]*batch{}, origins: map[netloop.ID]netip.Addr{}, proxied: map[netloop.ID]netip.Addr{}, waits: map[netloop.Handle]int64{},
		lags: map[netloop.ID][]lag{}, paces: map[netloop.ID]pace{}, byChannel: map[uint64]*entry{}, listings: map[string]listing{}, letters: map[netloop.ID]lettered{},
		starved: map[netloop.ID]struct{}{},
	}
	r.sink.r = r
	r.identities = newIdentities()
	r.hooks = newHooks()
	r.setClock(time.Now())
	return r
}

// Tick implements netloop.Handler.
func (r *reactor) Tick(now time.Time) {
	r.setClock(now)
	if r.loop.Index() == 0 {
		r.server.housekeep(r.now)
	}
	r.retryStalled()
	r.checkEntries()
	r.squeeze()
	r.relieve()
	r.forgetPaces()
	r.forgetListings()
	r.feedStarved()
	r.expire()
	r.identities.age(r.now)
	r.submitQueued()
	r.askQueued()
}

// setClock sets what is told of the time until the next tick.
func (r *reactor) setClock(now time.Time) {
	r.now = now.UnixMilli()
	if s := uint32(r.loop.Now() / time.Second); s != r.seconds || r.seconds == 0 {
		r.seconds = max(s, 1)
		for i := range r.clocks {
			r.clocks[i].Private = i == backendListener
			r.clocks[i].Set(now.Unix())
		}
	}
}

// Open implements netloop.Handler.
func (r *reactor) Open(c netloop.ID, listener int) {
	cl := r.clients.ensure(c)
	*cl = client{}
	if listener == backendListener {
		cl.flags = onBackend
	} else {
		r.server.figures.clients.Add(1)
	}
	r.server.figures.transport(overHTTP, 1)
	switch {
	case r.draining:
		r.loop.Close(c, reasonOf(codes.GoingAway))
	case listener != backendListener && r.server.engine.Open() > int64(r.server.config.MaxConnections):
		r.refuse(c, cl, codes.New(codes.TooManyConnections, ""))
	case listener != backendListener && r.server.spent():
		r.refuse(c, cl, codes.New(codes.Overloaded, "its memory is spent"))
	case listener != backendListener && r.behindProxy(c):
		cl.flags |= awaitsProxy
		r.loop.SetTimer(c, timerHeader, r.server.config.HeaderTimeout)
	case listener != backendListener && !r.admitted(c, cl):
	default:
		r.loop.SetTimer(c, timerHeader, r.server.config.HeaderTimeout)
	}
}

// Data implements netloop.Handler.
func (r *reactor) Data(c netloop.ID, b []byte) int {
	cl := r.clients.at(c)
	cl.flags &^= isPinged
	switch {
	case cl.transport.websocket():
		return r.dataWS(c, cl, b)
	case cl.transport == overHTTP:
		return r.dataHTTP(c, cl, b)
	case cl.transport == overPoll: // pipelined: waits until the answer is out
		if len(b) > r.server.config.MaxHeader {
			r.loop.Pause(c)
		}
		return 0
	}
	return len(b) // a stream's client has nothing more to say
}

// EOF implements netloop.Handler. A client that has sent FIN may still read: an answer that is owed is given. Endless
// answers are not owed; their client has gone.
func (r *reactor) EOF(c netloop.ID) {
	cl := r.clients.at(c)
	if cl.transport == overPoll { // it has gone, or wants no more than this answer: it gets it now
		if r.loop.Untaken(c) == 0 { // nor is another request behind it
			cl.flags &^= keepsAlive
		}
		r.answerEmpty(c, cl)
		return
	}
	if cl.flags&(isBusy|isStalled) != 0 {
		return
	}
	if cl.transport == overHTTP && r.loop.Waiting(c) > 0 && r.loop.Untaken(c) > 0 {
		return // pipelined requests wait; Drained goes on with them
	}
	r.loop.Finish(c, netloop.ReasonPeer)
}

// Drained implements netloop.Handler.
func (r *reactor) Drained(c netloop.ID) {
	cl := r.clients.at(c)
	if cl.flags&isLagging != 0 {
		r.chase(c)
	}
	if len(r.letters) > 0 && r.letters[c].more {
		r.giveLetters(c, cl)
	}
	if cl.transport == overHTTP && cl.flags&(isBusy|isStalled) == 0 {
		r.loop.Resume(c) // what was pipelined
	}
}

// Timeout implements netloop.Handler.
func (r *reactor) Timeout(c netloop.ID, kind netloop.TimerKind) {
	cl := r.clients.at(c)
	switch kind {
	case timerPoll:
		r.answerEmpty(c, cl)
	case timerEnd:
		r.loop.Close(c, reasonOf(codes.SlowConsumer)) // counted under the reason that Finish was given
	case timerIdle:
		r.loop.Finish(c, reasonOf(codes.Normal))
	case timerBody:
		if cl.transport.websocket() {
			r.end(c, cl, codes.MessageTimeout)
			return
		}
		fallthrough
	case timerHeader:
		if r.loop.Untaken(c) == 0 && cl.flags&isPartial == 0 {
			r.loop.Finish(c, reasonOf(codes.RequestTimeout)) // it never said a word: nobody to answer
			return
		}
		r.refuse(c, cl, codes.New(codes.RequestTimeout, ""))
	}
}

// Silent implements netloop.Handler.
func (r *reactor) Silent(c netloop.ID, silence time.Duration) {
	cl := r.clients.at(c)
	switch {
	case cl.transport.websocket():
		r.silentWS(c, cl, silence)
	case cl.transport == overSSE || cl.transport == overStream:
		r.heartbeat(c, cl)
	}
}

// Stalled implements netloop.Handler.
func (r *reactor) Stalled(c netloop.ID, _ int, age time.Duration) {
	switch {
	case age < r.server.config.WriteTimeout:
	case r.loop.Finishing(c):
		r.loop.Close(c, reasonOf(codes.WriteTimeout))
	default:
		r.end(c, r.clients.at(c), codes.WriteTimeout)
	}
}

// checkPending ends a connection for which too much output waits.
func (r *reactor) checkPending(c netloop.ID, cl *client) {
	if r.loop.Waiting(c) > r.maxPending() {
		r.end(c, cl, codes.SlowConsumer)
	}
}

// closeWait is how long a reader that is too slow may take to read as far as the close frame.
const closeWait = 2 * time.Second

// end ends a connection in its transport's way, counted under code. What waits for a reader that is too slow is dropped,
// but for a frame that has begun: the close frame must get through.
func (r *reactor) end(c netloop.ID, cl *client, code codes.Code) {
	switch {
	case cl.transport.websocket():
		r.loop.DropWaiting(c)
		r.closeWS(c, cl, code.Close(), code)
		if r.loop.Waiting(c) > 0 {
			r.loop.SetTimer(c, timerEnd, closeWait)
		}
	case r.loop.Waiting(c) > 0:
		r.loop.Close(c, reasonOf(code)) // cut off in the middle, so that the client sees that it is
	default:
		switch code {
		case codes.GoingAway, codes.TokenExpired, codes.TokenRevoked, codes.Disconnected:
			r.tellStream(c, cl, code)
		}
		if cl.flags&isChunked != 0 {
			r.loop.Send(c, []byte("0\r\n\r\n"))
		}
		r.loop.Finish(c, reasonOf(code))
	}
}

// Closed implements netloop.Handler.
func (r *reactor) Closed(c netloop.ID, why netloop.Reason) {
	cl := r.clients.at(c)
	r.leaveAll(c, cl)
	if cl.transport == overPoll {
		r.pollOver(c)
	}
	r.forgetOrigin(c)
	delete(r.proxied, c)
	r.forgetUser(c)
	r.forgetHooks(c)
	r.server.figures.transport(cl.counted(), -1)
	if cl.flags&isPartial != 0 {
		delete(r.progress, c)
	}
	if p := r.partial[c]; p != nil {
		r.server.figures.partial.Add(int64(-p.Size()))
		r.frames.Release(p)
		delete(r.partial, c)
	}
	delete(r.batches, c)
	delete(r.paces, c)
	delete(r.letters, c)
	delete(r.starved, c)
	if len(r.waits) > 0 { // it may have gone between being resumed and being shown its request
		delete(r.waits, r.loop.Handle(c))
	}
	*cl = client{}
}

// clock returns the header lines for answers on a connection's listener.
func (r *reactor) clock(cl *client) *longpoll.Clock {
	if cl.flags&onBackend != 0 {
		return &r.clocks[backendListener]
	}
	return &r.clocks[publicListener]
}

// become changes the transport.
func (r *reactor) become(cl *client, t transport) {
	r.server.figures.transport(cl.counted(), -1)
	cl.transport = t
	r.server.figures.transport(cl.counted(), 1)
}

// Mail implements netloop.Handler. It takes publications; everything else may join channels, which has to look into the mailbox, and so
// waits for Turn.
func (r *reactor) Mail(m netloop.Mail) {
	if m.Kind == mailPublication {
		r.arrived(m.N, m.Val.(*channel.Publication))
		return
	}
	if m.Kind == mailWoken { // before what is published there
		r.woken(m.Val.(*woken))
		return
	}
	r.deferred.push(m)
}

func (r *reactor) act(m netloop.Mail) {
	switch m.Kind {
	case mailAnswer:
		r.answered(m)
	case mailWake:
		r.retryStalled()
	case mailDrain:
		r.drain()
	case mailVerified:
		r.judged(m)
	case mailRevoked:
		r.endRevoked()
	case mailLetter:
		if c, ok := r.loop.Resolve(m.To); ok {
			r.giveLetters(c, r.clients.at(c))
		}
	case mailAsked:
		r.hookAnswered(m)
	case mailEnd:
		r.endAsked(m)
	case mailAsk:
		m.Val.(func(*reactor))(r)
	}
}

// turnMail is how much mail is acted on before the loop looks at its descriptors again.
const turnMail = 512

// Turn implements netloop.Handler.
func (r *reactor) Turn() bool {
	for n := turnMail; n > 0 && r.deferred.len() > 0; n-- {
		r.act(r.deferred.pop())
	}
	more := r.catchUpAll()
	more = r.fanOut() || more || r.deferred.len() > 0
	if r.again {
		r.retryStalled()
	}
	return more
}

// drain ends every connection in its own order; from now on new ones are closed.
func (r *reactor) drain() {
	r.draining = true
	r.loop.StopListening()
	r.loop.Each(func(c netloop.ID) {
		cl := r.clients.at(c)
		switch {
		case cl.flags&(isBusy|isStalled) != 0: // its answer ends it
		case cl.transport == overPoll:
			r.answerEmpty(c, cl)
		case cl.transport == overHTTP && (cl.flags&isPartial != 0 || r.loop.Untaken(c) > 0):
			r.refuse(c, cl, codes.New(codes.GoingAway, ""))
		case cl.transport == overHTTP: // an answer under way is given whole
			r.loop.Finish(c, reasonOf(codes.GoingAway))
		default:
			r.end(c, cl, codes.GoingAway)
		}
	})
}
