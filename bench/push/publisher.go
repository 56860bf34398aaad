package push

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"encke/bench/wire"
)

// Counts are of all pushes together.
type Counts struct {
	Acknowledged atomic.Int64
	Refused      atomic.Int64 // answered 503 or 429, and tried again
}

// Publisher pushes numbered payloads to one channel.
type Publisher struct {
	Poster
	path   string
	size   int
	id     uint8
	counts *Counts

	// owned by the poster's loop
	due      []int64     // scheduled times of what is still to be pushed, Unix ns
	saturate func() bool // push on and on while it holds
	acked    uint32      // sequence of the last one acknowledged
	at       int64       // scheduled time of the one under way; 0: none
}

// NewPublisher makes publisher number id of a channel.
func NewPublisher(id int, channel string, size int, counts *Counts) *Publisher {
	p := &Publisher{path: "/channels/" + channel, size: size, id: uint8(id), counts: counts}
	p.Next, p.Done = p.request, p.answered
	return p
}

// Schedule pushes a message that is due at a time, Unix ns. That is the time that latency counts from, whether the push
// can be made then or has to wait for the one before.
func (p *Publisher) Schedule(at int64) {
	p.Do(func() {
		p.due = append(p.due, at)
		p.Wake()
	})
}

// Saturate pushes one message after the other while open holds. It may be called again to look anew.
func (p *Publisher) Saturate(open func() bool) {
	p.Do(func() {
		p.saturate = open
		p.Wake()
	})
}

// Acknowledged returns the sequence of the last message acknowledged.
func (p *Publisher) Acknowledged() (n uint32) {
	p.Call(func() { n = p.acked })
	return n
}

func (p *Publisher) request(b []byte) ([]byte, bool) {
	switch {
	case p.at != 0: // again
	case len(p.due) > 0:
		p.at, p.due = p.due[0], p.due[1:]
	case p.saturate != nil && p.saturate():
		p.at = time.Now().UnixNano()
	default:
		return b, false
	}
	return appendPush(b, p.path, wire.Mark{Publisher: p.id, Sequence: p.acked + 1, Time: p.at}, p.size), true
}

func (p *Publisher) answered(r wire.Response) error {
	switch {
	case r.Status >= 200 && r.Status <= 202:
		p.acked++
		p.at = 0
		p.counts.Acknowledged.Add(1)
	case r.Status == 503 || r.Status == 429:
		p.counts.Refused.Add(1)
	default:
		return fmt.Errorf("a push was answered %q %.300s", r.StatusLine(), r.Body)
	}
	return nil
}

// authorization is the header line of every push, with its end; nil where none is needed.
var authorization atomic.Pointer[string]

// Authorize has every push of this process bring a backend key, or none. Call it before anything is pushed.
func Authorize(key string) {
	line := ""
	if key != "" {
		line = "Authorization: Bearer " + key + "\r\n"
	}
	authorization.Store(&line)
}

// Authorization returns the header line of a push, with its end; "" where no key is needed.
func Authorization() string {
	if line := authorization.Load(); line != nil {
		return *line
	}
	return ""
}

// appendPush appends the request that pushes a payload to a path: of a channel, or of a user.
func appendPush(b []byte, path string, m wire.Mark, size int) []byte {
	b = append(append(b, "POST "...), path...)
	b = append(b, " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(append(append(b, "\r\n"...), Authorization()...), "\r\n"...)
	return wire.AppendPayload(b, m, size)
}
