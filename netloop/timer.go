package netloop

import "time"

// wheel keeps at most one timer a connection, as doubly linked lists of slot indexes: no memory beyond the slots. Its
// grain is the loop's tick; a deadline further away than one turn of the wheel is passed over until its turn comes.
type wheel struct {
	spokes [wheelSize]uint32 // index+1 of the first slot, 0 = none
	now    uint32            // ticks since the loop began, from 1
}

const wheelSize = 512

// SetTimer (re)starts the connection's only timer: Handler.Timeout(c, kind) follows after d, rounded up to ticks.
func (l *Loop) SetTimer(c ID, kind TimerKind, d time.Duration) {
	s := l.slots.at(c)
	if s.timer != 0 {
		l.unlink(c, s)
	}
	ticks := uint32((d + l.tick - 1) / l.tick)
	s.deadline = l.wheel.now + max(ticks, 1)
	s.timer = kind
	spoke := &l.wheel.spokes[s.deadline%wheelSize]
	s.prev, s.next = 0, *spoke
	if s.next != 0 {
		l.slots.at(ID(s.next - 1)).prev = uint32(c) + 1
	}
	*spoke = uint32(c) + 1
}

// StopTimer stops the connection's timer, if it has one.
func (l *Loop) StopTimer(c ID) {
	if s := l.slots.at(c); s.timer != 0 {
		l.unlink(c, s)
	}
}

func (l *Loop) unlink(c ID, s *slot) {
	if s.prev != 0 {
		l.slots.at(ID(s.prev - 1)).next = s.next
	} else {
		l.wheel.spokes[s.deadline%wheelSize] = s.next
	}
	if s.next != 0 {
		l.slots.at(ID(s.next - 1)).prev = s.prev
	}
	s.next, s.prev, s.timer = 0, 0, 0
}

// expire runs the timers of one tick. Handlers may change any timer meanwhile, so due ones are collected first.
func (l *Loop) expire() {
	due := l.due[:0]
	for x := l.wheel.spokes[l.wheel.now%wheelSize]; x != 0; {
		c := ID(x - 1)
		s := l.slots.at(c)
		x = s.next
		if int32(s.deadline-l.wheel.now) <= 0 {
			due = append(due, timeout{l.Handle(c), s.timer, s.deadline})
		}
	}
	l.due = due
	for _, t := range due {
		c, ok := l.Resolve(t.h)
		if !ok {
			continue
		}
		s := l.slots.at(c)
		if s.timer != t.kind || s.deadline != t.deadline {
			continue // changed by an earlier one
		}
		l.unlink(c, s)
		if t.kind == timerLinger {
			l.close(c, s, ReasonLinger)
			continue
		}
		l.handler.Timeout(c, t.kind)
	}
}

type timeout struct {
	h        Handle
	kind     TimerKind
	deadline uint32
}

// sweep visits a part of the slab so that every connection is visited once in each Config.Sweep, and tells the handler
// of those that have been silent.
func (l *Loop) sweep() {
	size := l.slots.size()
	if size == 0 {
		return
	}
	n := size/l.sweepTicks + 1
	for range n {
		if l.swept >= size {
			l.swept = 0
		}
		c := ID(l.swept)
		l.swept++
		s := l.slots.at(c)
		if s.flags&(flagOpen|flagLingering) != flagOpen {
			continue
		}
		if silent := l.wheel.now - s.active; silent >= l.silenceTicks {
			l.handler.Silent(c, time.Duration(silent)*l.tick)
		}
	}
}

// EachWaiting calls f for every connection for which output waits, with Waiting. f may end any connection.
func (l *Loop) EachWaiting(f func(c ID, waiting int)) {
	for c := range l.outputs { // a map may be changed while it is ranged over
		f(c, l.Waiting(c))
	}
}

// SomeWaiting calls f for at most n of the connections for which output waits, other ones each time, with Waiting, and returns how many
// there are. f must end none.
func (l *Loop) SomeWaiting(n int, f func(c ID, waiting int)) (all int) {
	for c := range l.outputs { // which begins anywhere (Go specification, "For statements with range clause")
		if n--; n < 0 {
			break
		}
		f(c, l.Waiting(c))
	}
	return len(l.outputs)
}

// EachUntaken calls f for every connection of which input waits to be taken, with the memory that it takes. f may end any
// connection.
func (l *Loop) EachUntaken(f func(c ID, size int)) {
	for c, b := range l.inputs {
		f(c, cap(b))
	}
}

// stalled tells the handler of output that waits.
func (l *Loop) stalled() {
	for c, p := range l.outputs { // a map may be changed while it is ranged over
		l.handler.Stalled(c, p.bytes, p.age(l.wheel.now, l.tick))
	}
}
