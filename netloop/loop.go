package netloop

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Loop is one event loop. Its methods may be called only on its own goroutine, that is from its Handler, except Post
// and Backlog, which anybody may call.
type Loop struct {
	// immutable
	engine       *Engine
	index        int
	epfd         int
	eventfd      int
	timerfd      int
	tick         time.Duration
	sweepTicks   int
	silenceTicks uint32
	handler      Handler
	running      chan struct{} // closed at the first turn

	// owned by the loop
	slots     slab
	inputs    map[ID][]byte     // bytes that the handler has not taken
	outputs   map[ID]*output    // bytes that the kernel has not taken
	shared    map[*byte]*buffer // those of them that wait for several connections
	wheel     wheel
	due       []timeout
	swept     int
	buf       []byte // what read(2) fills
	out       []byte // what the handler sends to current while in Data
	current   ID
	inData    bool
	ready     []Handle // connections to show their input again
	failed    []Handle // connections that were found reset while sending
	listeners []listener
	events    [256]unix.EpollEvent
	iov       [64]unix.Iovec
	ending    map[ID]Reason // why connections that are finishing end
	begun     bool
	stopped   bool
	done      chan struct{} // closed at the end of the loop's last turn

	// any goroutine
	mail       mailbox
	delivering bool   // deliver is under way
	wakeUp     func() // l.wake, made once
	backlog    atomic.Int64
	counts     Counts
}

// Counts are a loop's figures since it began. The loop writes them; anybody may read.
type Counts struct {
	Open       atomic.Int64 // connections now
	Accepted   atomic.Uint64
	Dialed     atomic.Uint64
	BytesIn    atomic.Uint64
	BytesOut   atomic.Uint64
	Sends      atomic.Uint64 // send(2) calls
	Shorts     atomic.Uint64 // sends that the kernel did not take whole
	Waiting    atomic.Int64  // bytes of output waiting now
	Turns      atomic.Uint64
	AcceptHalt atomic.Uint64 // times that accepting stopped for want of descriptors or at the connection limit
	Closed     [NumReasons]atomic.Uint64
	_          [64]byte // others read what follows at each publication and accept: keep it off the lines that change all the time

	Held    atomic.Int64 // bytes of memory that waiting output takes: what many wait for counts once
	Untaken atomic.Int64 // bytes of memory that input takes which handlers have not taken
	_       [64]byte     // nor is the next loop's on it
}

// epoll data: the slot index and the low 31 bits of its generation, or a mark for the loop's own descriptors.
const (
	markTimer    = 0xffff_fff0
	markMail     = 0xffff_fff1
	markListener = 0xffff_ff00 // + listener index
)

// Index returns the loop's index, 0 to Loops-1.
func (l *Loop) Index() int { return l.index }

// Counts returns the loop's figures.
func (l *Loop) Counts() *Counts { return &l.counts }

// Backlog is a gauge that handlers use to bound what they post to a loop: producers add, the loop subtracts.
func (l *Loop) Backlog() *atomic.Int64 { return &l.backlog }

// Post puts m into the loop's mailbox. Anybody may call it. Mail to a loop that has stopped is dropped.
func (l *Loop) Post(m Mail) {
	l.mail.post(m, l.wakeUp)
}

func (l *Loop) wake() {
	one := [8]byte{1}
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(l.eventfd), uintptr(unsafe.Pointer(&one)), 8)
}

// Handle returns the handle of an open connection.
func (l *Loop) Handle(c ID) Handle { return makeHandle(l.index, l.slots.at(c).gen, c) }

// Resolve returns the connection that h names; ok is false when it has gone.
func (l *Loop) Resolve(h Handle) (c ID, ok bool) {
	c = h.ID()
	if h.Loop() != l.index || int(c) >= l.slots.size() {
		return 0, false
	}
	s := l.slots.at(c)
	return c, s.gen == h.gen() && s.flags&flagOpen != 0
}

// Open returns the number of this loop's connections.
func (l *Loop) Open() int { return l.slots.used }

// Now returns the time in ticks since the loop began.
func (l *Loop) Now() time.Duration { return time.Duration(l.wheel.now) * l.tick }

// turn is one bounded round. It is what netpoll calls.
func (l *Loop) turn() {
	if l.stopped {
		return
	}
	if !l.begun {
		l.begun = true
		close(l.running)
	}
	l.round()
	if l.stopped { // nothing of the loop is touched any more
		close(l.done)
	}
}

// round handles events, mail, input to be shown again, and lets the handler do its own work.
func (l *Loop) round() {
	l.mail.awake.Store(true)
	l.counts.Turns.Add(1)
	n, errno := epollWait(l.epfd, l.events[:])
	if errno != 0 && errno != unix.EINTR {
		panic("BUG: epoll_wait: " + errno.Error())
	}
	mailed := false
	for i := range l.events[:n] {
		mailed = l.event(&l.events[i]) || mailed
	}
	l.deliver()
	l.again()
	l.closeFailed()
	if l.done != nil {
		l.stop()
		return
	}
	more := l.handler.Turn()
	l.closeFailed()
	l.sleep(more || len(l.ready) > 0, mailed)
}

// sleep leaves the eventfd readable when there is more to do, so that netpoll comes back at once, and otherwise empty.
func (l *Loop) sleep(more, mailed bool) {
	if !more {
		l.mail.awake.Store(false)
		more = !l.mail.empty() // posted while awake was still seen
	}
	switch {
	case more && !mailed:
		l.wake()
	case !more && mailed:
		var b [8]byte
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(l.eventfd), uintptr(unsafe.Pointer(&b)), 8)
		if !l.mail.empty() { // posted, and its wake-up was just read away
			l.wake()
		}
	}
}

// event handles one epoll event and says whether it was the eventfd.
func (l *Loop) event(e *unix.EpollEvent) (mail bool) {
	mark := uint32(e.Fd)
	switch {
	case mark == markMail:
		return true
	case mark == markTimer:
		l.onTimer()
	case mark >= markListener:
		l.onAccept(int(mark - markListener))
	default:
		l.onConn(ID(mark), uint32(e.Pad), e.Events)
	}
	return false
}

func (l *Loop) onConn(c ID, gen uint32, events uint32) {
	s := l.slots.at(c)
	if s.gen != gen || s.flags&flagOpen == 0 {
		return // closed earlier in this turn
	}
	if s.flags&flagDialing != 0 {
		l.onConnected(c, s)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		l.onWritable(c, s)
		if s.gen != gen {
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 && s.flags&flagPaused == 0 {
		l.onReadable(c, s)
		if s.gen != gen {
			return
		}
	}
	// HUP and ERR cannot be masked: where nothing is read any more they are the only sign of a reset.
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && (s.flags&(flagPaused|flagEOF) != 0 || events&unix.EPOLLIN == 0) {
		l.close(c, s, ReasonReset)
	}
}

func (l *Loop) onTimer() {
	var b [8]byte
	n, _, _ := unix.RawSyscall(unix.SYS_READ, uintptr(l.timerfd), uintptr(unsafe.Pointer(&b)), 8)
	if n != 8 {
		return
	}
	ticks := *(*uint64)(unsafe.Pointer(&b))
	if ticks > wheelSize { // after a sleep of the machine: a whole turn of the wheel sees every timer
		l.wheel.now += uint32(ticks - wheelSize)
		ticks = wheelSize
	}
	for range ticks {
		l.wheel.now++
		l.expire()
		if l.wheel.now%uint32(max(time.Second/l.tick, 1)) == 0 {
			l.stalled()
		}
	}
	l.sweep()
	l.rearmListeners()
	l.handler.Tick(time.Now())
}

// deliver hands over the mail.
func (l *Loop) deliver() {
	if l.delivering {
		panic("BUG: Deliver was called from Mail")
	}
	l.delivering = true
	defer func() { l.delivering = false }()
	for _, m := range l.mail.take() {
		if m.Kind == mailStop {
			l.done = m.Val.(chan struct{}) // round stops: Deliver may be called in the middle of something
			continue
		}
		l.handler.Mail(m)
	}
}

// Deliver hands over, now, all mail that has been posted until now. A handler calls it when it must have seen everything
// posted before some moment; not from Mail.
func (l *Loop) Deliver() { l.deliver() }

// Resume shows the connection's untaken input to Handler.Data again, later in this turn, and reads on if it was paused.
func (l *Loop) Resume(c ID) {
	s := l.slots.at(c)
	if s.flags&flagReady == 0 {
		s.flags |= flagReady
		l.ready = append(l.ready, l.Handle(c))
	}
	if s.flags&flagPaused != 0 {
		s.flags &^= flagPaused
		l.watch(c, s)
	}
}

// Pause stops reading from the connection until Resume. A reset is still noticed, a FIN is not.
func (l *Loop) Pause(c ID) {
	s := l.slots.at(c)
	s.flags |= flagPaused
	l.watch(c, s)
}

func (l *Loop) again() {
	for i := 0; i < len(l.ready); i++ { // Data may resume others: they come in this same pass, once each
		c, ok := l.Resolve(l.ready[i])
		if !ok {
			continue
		}
		s := l.slots.at(c)
		s.flags &^= flagReady
		if s.flags&flagInput != 0 && s.flags&(flagFinishing|flagPaused) == 0 {
			l.feed(c, s, nil)
		}
		if c, ok = l.Resolve(l.ready[i]); ok && s.flags&(flagEOF|flagFinishing|flagReady) == flagEOF {
			l.handler.EOF(c) // what was owed when the FIN came has been given
		}
		if i >= 1024 { // the rest next turn
			l.ready = append(l.ready[:0], l.ready[i+1:]...)
			return
		}
	}
	l.ready = l.ready[:0]
}

// watch tells epoll what the connection waits for, if that has changed.
func (l *Loop) watch(c ID, s *slot) {
	var want uint32
	if s.flags&(flagPaused|flagEOF) == 0 {
		want |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if s.flags&(flagOutput|flagDialing) != 0 {
		want |= unix.EPOLLOUT
	}
	if want == s.events {
		return
	}
	s.events = want
	e := unix.EpollEvent{Events: want, Fd: int32(c), Pad: int32(s.gen)}
	if errno := epollCtl(l.epfd, unix.EPOLL_CTL_MOD, int(s.fd), &e); errno != 0 {
		panic("BUG: epoll_ctl mod: " + errno.Error())
	}
}

// Close ends the connection now. Output that waits is lost.
func (l *Loop) Close(c ID, why Reason) { l.close(c, l.slots.at(c), why) }

func (l *Loop) close(c ID, s *slot, why Reason) {
	if s.flags&flagOpen == 0 {
		return
	}
	if s.timer != 0 {
		l.unlink(c, s)
	}
	if s.flags&flagInput != 0 {
		l.dropInput(c, s)
	}
	if s.flags&flagOutput != 0 {
		l.dropOutput(c, s)
	}
	if l.inData && l.current == c {
		l.out = l.out[:0]
	}
	if s.flags&flagFinishing != 0 { // however it went in the end, this is why
		why = l.ending[c]
		delete(l.ending, c)
	}
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(s.fd), 0, 0) // epoll forgets it by itself
	s.flags &^= flagOpen
	l.counts.Open.Add(-1)
	l.engine.open.Add(-1)
	l.counts.Closed[why].Add(1)
	l.handler.Closed(c, why)
	l.slots.put(c, s)
}

// Finish ends the connection in order: what waits is sent, then FIN, then input is thrown away until the peer has closed
// too or Config.Linger has passed (RFC 9112 section 9.6: otherwise a reset could destroy the last answer). The handler
// hears no more of it but Closed, and Stalled while output waits: how long that may take is the handler's to say.
func (l *Loop) Finish(c ID, why Reason) {
	s := l.slots.at(c)
	if s.flags&(flagOpen|flagFinishing) != flagOpen {
		return
	}
	s.flags |= flagFinishing
	l.ending[c] = why
	l.StopTimer(c)
	if s.flags&flagOutput == 0 && !(l.inData && l.current == c) {
		l.linger(c, s)
	}
}

// Finishing says whether Finish has been called.
func (l *Loop) Finishing(c ID) bool { return l.slots.at(c).flags&flagFinishing != 0 }

// linger sends FIN and throws away what still comes.
func (l *Loop) linger(c ID, s *slot) {
	s.flags |= flagLingering
	if s.flags&flagInput != 0 {
		l.dropInput(c, s)
	}
	if s.flags&flagEOF != 0 {
		l.close(c, s, ReasonPeer)
		return
	}
	l.SetTimer(c, timerLinger, l.engine.config.Linger)
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(s.fd), unix.SHUT_WR, 0)
	s.flags &^= flagPaused
	l.watch(c, s)
}
