package floor

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"encke/bench/wire"
	"encke/wsframe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// write sends messages to every connection, one call each, in descriptor order; rate 0: as fast as it goes, the
// connections shared out to threads. It returns how many messages each connection got.
func (c *child) write(rate, seconds float64, size, threads int) int {
	fds := slices.DeleteFunc(slices.Clone(c.fds), func(fd int32) bool { return fd < 0 })
	if rate > 0 {
		total := int(rate * seconds)
		start := time.Now()
		for i := range total {
			at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			time.Sleep(time.Until(at))
			writeAll(fds, uint32(i+1), at.UnixNano(), size)
		}
		return total
	}
	rounds := newRounds(seconds)
	var done sync.WaitGroup
	for t := range threads {
		done.Add(1)
		go func() { // ends when the rounds are over
			defer done.Done()
			runtime.LockOSThread()
			mine := fds[len(fds)*t/threads : len(fds)*(t+1)/threads]
			for i := 1; rounds.begin(i); i++ {
				writeAll(mine, uint32(i), time.Now().UnixNano(), size)
			}
		}()
	}
	done.Wait()
	return rounds.last
}

// rounds lets threads end after the same round, so that all connections get as many messages.
type rounds struct {
	end  time.Time
	mu   sync.Mutex
	last int // guarded by mu: the latest that anybody has begun
}

func newRounds(seconds float64) *rounds {
	return &rounds{end: time.Now().Add(time.Duration(seconds * float64(time.Second)))}
}

// begin says whether round i is to be done: until time is up, and then up to the round that somebody has begun.
func (r *rounds) begin(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i > r.last && time.Now().Before(r.end) {
		r.last = i
	}
	return i <= r.last
}

// writeAll sends one message to each. A full socket is waited for: the floor has no queues.
func writeAll(fds []int32, sequence uint32, at int64, size int) {
	b := wsframe.AppendFrame(nil, ws.OpText, wire.AppendPayload(nil, wire.Mark{Sequence: sequence, Time: at}, size))
	for _, fd := range fds {
		for sendRaw(fd, b) == unix.EAGAIN {
			_, _ = unix.Poll([]unix.PollFd{{Fd: fd, Events: unix.POLLOUT}}, 1000)
		}
	}
}
