package edge

import (
	"bytes"
	"encoding/json"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// publishObject is one object of POST /publish.
type publishObject struct {
	Channel  *string         `json:"channel"`
	Channels []string        `json:"channels"`
	User     *string         `json:"user"`
	Users    []string        `json:"users"`
	Event    string          `json:"event"`
	ID       *string         `json:"id"`
	Expect   *string         `json:"expect"`
	TTL      json.RawMessage `json:"ttl"`
	Mailbox  string          `json:"mailbox"`
	Data     json.RawMessage `json:"data"`

	keep keeping // of Mailbox
}

// message is what the object publishes.
func (o *publishObject) message() (m channel.Message, err *codes.Error) {
	m = channel.Message{Event: o.Event, Data: o.Data, JSON: true}
	if o.ID != nil {
		if m.ID = []byte(*o.ID); len(m.ID) == 0 {
			return m, codes.New(codes.BadID, "")
		}
	}
	if m.TTL, err = o.ttl(); err != nil {
		return m, err
	}
	if o.Expect != nil {
		m.Expect, err = expectation([]byte(*o.Expect))
	}
	return m, err
}

// toChannels names the channels of users, which are what is published to.
func (o *publishObject) toChannels() *codes.Error {
	if o.User == nil && len(o.Users) == 0 {
		return nil
	}
	if o.Channel != nil || len(o.Channels) > 0 || o.User != nil && len(o.Users) > 0 {
		return codes.New(codes.BadMessage, "")
	}
	if o.User != nil {
		name := token.UserChannel(*o.User)
		o.Channel = &name
	}
	for _, id := range o.Users {
		o.Channels = append(o.Channels, token.UserChannel(id))
	}
	return nil
}

// ttl reads the object's, 0 when there is none: a number is seconds, text has a unit.
func (o *publishObject) ttl() (int64, *codes.Error) {
	var seconds float64
	var text string
	switch {
	case len(o.TTL) == 0 || string(o.TTL) == "null":
		return 0, nil
	case json.Unmarshal(o.TTL, &text) == nil:
		return parseTTL([]byte(text))
	case json.Unmarshal(o.TTL, &seconds) == nil && seconds >= 0.001 && seconds < 1e12:
		return int64(seconds * 1000), nil
	}
	return 0, codes.New(codes.BadTTL, quoted(o.TTL))
}

// parseTTL reads for how long a message may be given to those who come for it later, in milliseconds.
func parseTTL(text []byte) (int64, *codes.Error) {
	d, err := parseTime(text)
	if err != nil || d < time.Millisecond {
		return 0, codes.New(codes.BadTTL, quoted(text))
	}
	return d.Milliseconds(), nil
}

// expectation reads the position that a channel is expected to be at. FromNow would expect nothing.
func expectation(text []byte) (*channel.From, *codes.Error) {
	froms, err := channel.ParseSince(nil, text, 1)
	if err != nil || froms[0].Kind == channel.FromNow {
		return nil, codes.New(codes.BadSince, quoted(text))
	}
	return &froms[0], nil
}

// parsePublish reads one object.
func parsePublish(text []byte) (publishObject, *codes.Error) {
	var o publishObject
	if err := json.Unmarshal(text, &o); err != nil {
		return o, jsonError(err, codes.BadMessage)
	}
	if err := o.toChannels(); err != nil {
		return o, err
	}
	var bad *codes.Error
	if o.keep, bad = parseKeeping([]byte(o.Mailbox)); bad != nil {
		return o, bad
	}
	if (o.Channel == nil) == (len(o.Channels) == 0) || len(o.Data) == 0 {
		return o, codes.New(codes.BadMessage, "")
	}
	return o, nil
}

// serveOne publishes one object to one channel or several.
func (r *reactor) serveOne(q *request) {
	if len(q.Body()) == 0 {
		r.fail(q, codes.New(codes.EmptyMessage, ""))
		return
	}
	o, err := parsePublish(q.Body())
	if err != nil {
		r.fail(q, err)
		return
	}
	m, err := o.message()
	if err != nil {
		r.fail(q, err)
		return
	}
	if o.Channel != nil {
		name := []byte(*o.Channel)
		res, err := r.send(name, &m, o.keep)
		switch {
		case err == nil:
			r.body = res.append(r.body[:0], name, r.server.store.Epoch())
			r.answerJSON(q, pushStatus(res.Subscribers), r.body)
		case err.Code == codes.Overloaded && r.stall(q):
		default:
			r.fail(q, err)
		}
		return
	}
	r.runBatch(q, func(b *batch) {
		for b.line < len(o.Channels) {
			name := []byte(o.Channels[b.line])
			if !r.batchItem(q, b, name, &m, o.keep) {
				return
			}
		}
		b.over = true
	})
}

// batch is a push of several messages that is under way. It outlives a wait for loops that are behind: the request is
// shown again then, and goes on where it stopped.
type batch struct {
	line    int // of channels, the next one
	at      int // of lines, the byte where the next one begins
	heard   int // subscribers in all
	over    bool
	results []byte
	list    bool
}

// batchTurn is how many lines are published before the loop looks at its descriptors again.
const batchTurn = 512

// serveBatch publishes JSON lines, one result line for each.
func (r *reactor) serveBatch(q *request) {
	body := q.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		r.fail(q, codes.New(codes.EmptyMessage, ""))
		return
	}
	r.runBatch(q, func(b *batch) {
		b.list = true
		for n := 0; b.at < len(body); n++ {
			if n == batchTurn && r.yield(q) {
				return
			}
			line, _, _ := bytes.Cut(body[b.at:], []byte("\n"))
			if !r.batchLine(q, b, bytes.TrimSpace(line)) {
				return
			}
			b.at += len(line) + 1
		}
		b.over = true
	})
}

// batchLine publishes one line. It says whether to go on.
func (r *reactor) batchLine(q *request, b *batch, line []byte) bool {
	if len(line) == 0 {
		return true
	}
	o, err := parsePublish(line)
	if err != nil {
		r.batchError(b, err)
		return true
	}
	m, err := o.message()
	if err != nil {
		r.batchError(b, err)
		return true
	}
	if o.Channel != nil {
		o.Channels = []string{*o.Channel}
	}
	for b.line < len(o.Channels) {
		if !r.batchItem(q, b, []byte(o.Channels[b.line]), &m, o.keep) {
			return false
		}
	}
	b.line = 0
	return true
}

// batchItem publishes one message and notes the result. It says false when the request has to wait.
func (r *reactor) batchItem(q *request, b *batch, name []byte, m *channel.Message, keep keeping) bool {
	res, err := r.send(name, m, keep)
	switch {
	case err == nil:
		b.heard += res.Subscribers
		b.separate()
		b.results = res.append(b.results, name, r.server.store.Epoch())
	case err.Code == codes.Overloaded && r.stall(q):
		return false
	default:
		r.batchError(b, err)
	}
	b.line++
	return true
}

func (b *batch) separate() {
	if len(b.results) > 0 {
		b.results = append(b.results, map[bool]byte{true: '\n', false: ','}[b.list])
	}
}

func (r *reactor) batchError(b *batch, err *codes.Error) {
	r.server.figures.refused[err.Code].Add(1)
	b.separate()
	b.results = append(b.results, `{"error":`...)
	b.results = append(err.AppendJSON(b.results), '}')
}

// runBatch begins or goes on with a batch, and answers when it is over.
func (r *reactor) runBatch(q *request, run func(*batch)) {
	b := r.batches[q.c]
	if b == nil {
		b = new(batch)
	}
	run(b)
	if !b.over {
		r.batches[q.c] = b
		return
	}
	delete(r.batches, q.c)
	if b.list {
		r.answer(q, longpoll.Response{Status: 200, Type: "application/x-ndjson", Body: append(b.results, '\n')})
		return
	}
	r.body = append(r.body[:0], `{"results":[`...)
	r.body = append(r.body, b.results...)
	r.body = append(r.body, "]}"...)
	r.answerJSON(q, pushStatus(b.heard), r.body)
}

// stall is a push that waits for loops that are behind.
type stall struct {
	h     netloop.Handle
	until int64
}

// stall puts the request off: its bytes are shown again when the loops have caught up. It says false when the request has
// waited long enough, and is to be refused.
func (r *reactor) stall(q *request) bool {
	h := r.loop.Handle(q.c)
	until := r.now + r.server.config.PublishTimeout.Milliseconds()
	if since := r.waits[h]; since != 0 {
		if r.now >= since {
			delete(r.waits, h)
			return false
		}
		until = since
	}
	if r.draining {
		return false
	}
	r.waits[h] = until
	r.putOff(q, h, until)
	r.server.stalled.Or(1 << r.loop.Index())
	r.server.figures.stalls.Add(1)
	return true
}

// yield puts the request off until the loop has looked at its descriptors.
func (r *reactor) yield(q *request) bool {
	r.putOff(q, r.loop.Handle(q.c), r.now+time.Minute.Milliseconds())
	r.again = true
	return true
}

func (r *reactor) putOff(q *request, h netloop.Handle, until int64) {
	q.cl.flags |= isStalled
	r.loop.StopTimer(q.c)
	r.loop.Pause(q.c)
	r.stalled = append(r.stalled, stall{h, until})
}

// retryStalled shows pushes that wait their requests again.
func (r *reactor) retryStalled() {
	r.again = false
	list := r.stalled
	r.stalled = r.stalledSpare[:0]
	for _, s := range list {
		c, ok := r.loop.Resolve(s.h)
		if !ok {
			delete(r.waits, s.h)
			continue
		}
		r.clients.at(c).flags &^= isStalled
		r.loop.Resume(c)
	}
	r.stalledSpare = list[:0]
}
