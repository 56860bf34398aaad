package netloop

import (
	"golang.org/x/sys/unix"
)

// onReadable takes what has arrived. epoll is level-triggered: one read is enough, what is left comes again, and a
// connection that sends without end cannot keep the loop to itself.
func (l *Loop) onReadable(c ID, s *slot) {
	n, errno := recv(s.fd, l.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		l.close(c, s, ReasonReset)
		return
	case n == 0:
		l.onEOF(c, s)
		return
	}
	l.counts.BytesIn.Add(uint64(n))
	s.active = l.wheel.now
	if s.flags&flagFinishing != 0 {
		return // thrown away: the answer has been given
	}
	l.feed(c, s, l.buf[:n])
}

func (l *Loop) onEOF(c ID, s *slot) {
	s.flags |= flagEOF
	if s.flags&flagLingering != 0 {
		l.close(c, s, ReasonPeer)
		return
	}
	gen := s.gen
	if s.flags&(flagFinishing|flagReady) == 0 { // again tells one that is ready, once it has been shown its input
		l.handler.EOF(c) // most close: epoll need not be told first
	}
	if s.gen == gen && s.flags&flagOpen != 0 {
		l.watch(c, s)
	}
}

// feed shows the handler what was left before and what has come, and keeps what it leaves.
func (l *Loop) feed(c ID, s *slot, fresh []byte) {
	b := fresh
	if s.flags&flagInput != 0 {
		b = append(l.inputs[c], fresh...)
	}
	gen := s.gen
	l.current, l.inData = c, true
	n := l.handler.Data(c, b)
	l.inData = false
	if s.gen != gen {
		l.out = l.out[:0]
		return
	}
	l.keep(c, s, b, n)
	l.flush(c, s)
}

// keep stores b[n:] as the connection's input.
func (l *Loop) keep(c ID, s *slot, b []byte, n int) {
	rest := b[n:]
	if len(rest) == 0 || s.flags&flagFinishing != 0 {
		if s.flags&flagInput != 0 {
			l.counts.Untaken.Add(int64(cap(b) - cap(l.inputs[c])))
			l.inputs[c] = b // it may have been moved by append
			l.dropInput(c, s)
		}
		return
	}
	was := cap(l.inputs[c])
	if s.flags&flagInput == 0 {
		s.flags |= flagInput
		l.inputs[c] = append(takeBytes(len(rest)), rest...)
	} else {
		if n > 0 {
			copy(b, rest)
		}
		l.inputs[c] = b[:len(rest)]
	}
	l.counts.Untaken.Add(int64(cap(l.inputs[c]) - was))
}

func (l *Loop) dropInput(c ID, s *slot) {
	l.counts.Untaken.Add(int64(-cap(l.inputs[c])))
	putBytes(l.inputs[c])
	delete(l.inputs, c)
	s.flags &^= flagInput
}

// Untaken returns how many bytes have arrived and not been taken.
func (l *Loop) Untaken(c ID) int { return len(l.inputs[c]) }
