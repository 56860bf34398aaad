package bench

import (
	"fmt"
	"sync/atomic"
	"time"

	"encke/netloop"
)

// poster is a keep-alive HTTP client with at most one request outstanding. Owned by its loop.
type poster struct {
	// next appends the next request to b; false: there is none now, wake asks again.
	next func(b []byte) ([]byte, bool)
	// done takes the response.
	done func(r response) error

	w    *worker
	c    netloop.ID
	busy bool
	idle *atomic.Int64 // posters without a request under way
}

func (p *poster) opened(w *worker, c netloop.ID) {
	p.w, p.c = w, c
	p.idle.Add(1)
	w.ready()
}

func (p *poster) closed(w *worker, why netloop.Reason) {
	w.fleet.fail(fmt.Errorf("a request's connection: %w", ended(why)))
}

// wake makes the next request if none is under way.
func (p *poster) wake() {
	if p.busy {
		return
	}
	b, ok := p.next(p.w.scratch[:0])
	if !ok {
		return
	}
	p.w.scratch = b
	p.busy = true
	p.idle.Add(-1)
	p.w.loop.Send(p.c, b)
}

// wakeAll wakes posters that were connected over all workers in turn.
func wakeAll(f *fleet, posters []*poster) {
	for i, w := range f.workers {
		w.call(func() {
			for j := i; j < len(posters); j += len(f.workers) {
				posters[j].wake()
			}
		})
	}
}

func (p *poster) data(w *worker, c netloop.ID, b []byte) int {
	r, ok := parseResponse(b)
	if !ok {
		return 0
	}
	p.busy = false
	p.idle.Add(1)
	if err := p.done(r); err != nil {
		w.fleet.fail(err)
		return r.size
	}
	p.wake()
	return r.size
}

// publisher posts numbered payloads to one channel. Owned by its loop.
type publisher struct {
	poster
	channel  string
	size     int
	id       uint8
	due      []int64       // paced: scheduled times of what is still to be posted
	saturate func() bool   // post on and on while it holds; nil: paced
	acked    uint32        // sequence of the last one acknowledged
	at       int64         // scheduled time of the one under way
	refused  *atomic.Int64 // pushes answered 503, tried again
	count    *atomic.Int64 // of all acknowledged
}

func newPublisher(id int, channel string, size int, idle, refused, count *atomic.Int64) *publisher {
	p := &publisher{channel: channel, size: size, id: uint8(id), refused: refused, count: count}
	p.poster = poster{next: p.request, done: p.answered, idle: idle}
	return p
}

func (p *publisher) request(b []byte) ([]byte, bool) {
	switch {
	case p.at != 0: // again
	case p.saturate != nil && p.saturate():
		p.at = time.Now().UnixNano()
	case len(p.due) > 0:
		p.at, p.due = p.due[0], p.due[1:]
	default:
		return b, false
	}
	return appendPush(b, p.channel, mark{p.id, p.acked + 1, p.at}, p.size), true
}

func (p *publisher) answered(r response) error {
	switch {
	case r.status == 201 || r.status == 202:
		p.acked++
		p.at = 0
		p.count.Add(1)
	case r.status == 503:
		p.refused.Add(1)
	default:
		return fmt.Errorf("a push was answered %q %s", firstLine(r.head), r.body)
	}
	return nil
}

// appendPush appends the request that pushes a payload to a channel.
func appendPush(b []byte, channel string, m mark, size int) []byte {
	b = append(b, "POST /channels/"...)
	b = append(b, channel...)
	b = append(b, " HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: "...)
	b = appendInt(b, size)
	b = append(b, "\r\n\r\n"...)
	return appendPayload(b, m, size)
}

func appendInt(b []byte, n int) []byte { return fmt.Append(b, n) }
