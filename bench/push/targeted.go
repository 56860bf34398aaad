package push

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"encke/bench/wire"
)

// Targeted pushes to many channels, t0 to tN-1, in turn, or to many users, u0 to uN-1, at random. Poster i pushes to channels,
// or users, i, i+n, …, so that each has one publisher.
type Targeted struct {
	Posters []*Poster
	Counts  Counts

	path, line            string // before a channel's number: in the path of a push, in a line of a batch
	random                bool
	channels, batch, size int
	sent                  []uint32     // acknowledged, of each channel; an element is owned by the loop of the channel's poster
	end                   atomic.Int64 // Unix ns
}

// NewTargeted makes n posters; batch is the number of JSON lines of each push to /publish, 0: POST /channels/NAME.
func NewTargeted(channels, n, batch, size int) *Targeted {
	t := &Targeted{path: "/channels/t", line: `{"channel":"t`, channels: channels, batch: batch, size: size}
	return t.with(n)
}

// NewToUsers makes n posters that push to users, with batch as above, 0: POST /users/ID.
func NewToUsers(users, n, batch, size int) *Targeted {
	t := &Targeted{path: "/users/u", line: `{"user":"u`, random: true, channels: users, batch: batch, size: size}
	return t.with(n)
}

func (t *Targeted) with(posters int) *Targeted {
	t.sent = make([]uint32, t.channels)
	for i := range posters {
		t.Posters = append(t.Posters, t.poster(i, posters))
	}
	return t
}

// Start pushes until end.
func (t *Targeted) Start(end time.Time) {
	t.end.Store(end.UnixNano())
	WakeAll(t.Posters)
}

// Sent returns what was acknowledged, of each channel. Call it when all posters rest.
func (t *Targeted) Sent() []uint32 {
	for _, q := range t.Posters {
		q.Call(func() {}) // what its loop wrote is seen from here on
	}
	return t.sent
}

func (t *Targeted) poster(id, posters int) *Poster {
	at := id // the next channel
	step := func(c int) int {
		if c += posters; c >= t.channels {
			return id
		}
		return c
	}
	mine := (t.channels - id + posters - 1) / posters
	lines := min(max(t.batch, 1), mine) // a batch names a channel once: sent is counted when it is acknowledged
	var body []byte
	next := func(b []byte) ([]byte, bool) {
		now := time.Now().UnixNano()
		if now > t.end.Load() {
			return b, false
		}
		if t.random {
			at = id + rand.IntN(mine)*posters
		}
		if t.batch == 0 {
			return appendPush(b, t.path+strconv.Itoa(at), wire.Mark{Sequence: t.sent[at] + 1, Time: now, Stream: uint32(at)}, t.size), true
		}
		body = body[:0]
		for c, i := at, 0; i < lines; c, i = step(c), i+1 {
			body = append(body, t.line...)
			body = strconv.AppendInt(body, int64(c), 10)
			body = append(body, `","data":"`...)
			body = wire.AppendPayload(body, wire.Mark{Sequence: t.sent[c] + 1, Time: now, Stream: uint32(c)}, t.size)
			body = append(body, "\"}\n"...)
		}
		b = fmt.Appendf(b, "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n%s\r\n", len(body), Authorization())
		return append(b, body...), true
	}
	done := func(r wire.Response) error {
		switch {
		case r.Status == 503 || r.Status == 429:
			t.Counts.Refused.Add(1)
			return nil
		case r.Status < 200 || r.Status > 202:
			return fmt.Errorf("a push was answered %q %.300s", r.StatusLine(), r.Body)
		case t.batch > 0 && (bytes.Contains(r.Body, []byte(`"error"`)) || bytes.Count(r.Body, []byte("\n")) != lines):
			return fmt.Errorf("a batch of %d lines was answered %.300s", lines, r.Body)
		}
		for range lines {
			t.sent[at]++
			at = step(at)
		}
		t.Counts.Acknowledged.Add(int64(lines))
		return nil
	}
	return &Poster{Next: next, Done: done}
}
