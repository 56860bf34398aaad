package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// publisher pushes to some channels, which are its alone. What was not answered it pushes again, under the same id, until it
// is: so message n of a generation has the offset n. All of it is owned by its goroutine.
type publisher struct {
	run     *Run
	name    string
	rng     *rand.Rand
	outlets []*outlet
	journal journal

	conn net.Conn // nil when there is none
	r    *bufio.Reader
}

// outlet is where a publisher stands in one channel.
type outlet struct {
	*Stream
	gen      *generation
	position string    // as it was last answered
	hushed   time.Time // nothing is pushed before that
	answered uint64
}

// answer is what the server says of one push.
type answer struct {
	Channel     string
	Offset      uint64
	Position    string
	Mail        uint64 // of a letter
	Subscribers *int
	Error       *struct{ Code, Message string }
}

// live pushes until the run stops, and then until everything is answered.
func (p *publisher) live() error {
	defer p.hangUp()
	for _, o := range p.outlets {
		if err := p.begin(o); err != nil && !p.run.gone() {
			return err
		}
	}
	for !p.run.stopping() {
		if err := p.burst(); p.run.gone() {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		pause(p.run.stop, between(p.rng, 0, p.run.scenario.Pause))
	}
	return nil
}

// begin begins a generation. The position of a channel to which nothing was pushed names the epoch; as the expectation of the
// first push it makes sure that no other process takes what is meant for this one.
func (p *publisher) begin(o *outlet) error {
	for end := time.Now().Add(liveness); time.Now().Before(end) && !p.run.gone(); pause(nil, 10*time.Millisecond) {
		at, ok := p.stands(o)
		if !ok {
			continue // it is being started again
		}
		if at.offset != 0 && !p.run.truth.forgets() {
			return fmt.Errorf("%s: begins at %s", o.name, at)
		}
		var err error
		o.gen, err = o.Begin(at.epoch, at.offset)
		o.position, o.answered = at.String(), at.offset
		p.journal.note("%s begins in %s", o.name, at)
		return err
	}
	return fmt.Errorf("%s: there is no server for %v", o.name, liveness)
}

// stands asks where a channel stands: as any client, or where that is a user's, as the site.
func (p *publisher) stands(o *outlet) (at place, ok bool) {
	if o.box != nil {
		at, err := p.run.server.Stands(o.name)
		return at, err == nil
	}
	var answer struct{ Position string }
	r, err := http.Get("http://" + p.run.server.Public + "/poll?wait=0&channels=" + url.QueryEscape(o.name))
	if err != nil {
		return at, false
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || r.StatusCode != 200 {
		return at, false
	}
	at, err = readPlace(answer.Position)
	return at, err == nil
}

// burst pushes something: one message, or a batch.
func (p *publisher) burst() error {
	if p.rng.IntN(3) > 0 {
		if lines := p.batch(); len(lines) > 0 {
			return p.pushLines(lines)
		}
	}
	o := p.outlets[p.rng.IntN(len(p.outlets))]
	switch {
	case o.silent(p):
		return nil
	case o.box != nil && p.rng.Float64() < p.run.scenario.Letters:
		return p.pushLetter(o)
	}
	return p.pushOne(o)
}

// silent says whether nothing is pushed to a user now. Users' channels are silent again and again, for longer than anything is kept
// there.
func (o *outlet) silent(p *publisher) bool {
	if time.Now().Before(o.hushed) {
		return true
	}
	if o.box != nil && p.run.scenario.Age > 0 && p.rng.IntN(4) == 0 {
		o.hushed = time.Now().Add(between(p.rng, 0, 3*p.run.scenario.Age))
	}
	return false
}

// line is one message on its way.
type line struct {
	*outlet
	sequence uint64
	expect   string // "" for none
}

// batch chooses messages that can be pushed as JSON lines. Where the server is killed each has an expectation, which is known
// for one message of a channel at most; elsewhere they follow each other.
func (p *publisher) batch() (lines []line) {
	if p.run.scenario.KillEvery > 0 {
		for _, o := range p.outlets {
			if kindOf(o.name, o.answered+1) == asJSON && p.rng.IntN(4) > 0 {
				lines = append(lines, line{o, o.answered + 1, o.position})
			}
		}
		return lines
	}
	next := map[*outlet]uint64{}
	for range 1 + p.rng.IntN(p.run.scenario.Batch) {
		o := p.outlets[p.rng.IntN(len(p.outlets))]
		if o.silent(p) || o.answered == o.gen.base.Load() && p.run.truth.forgets() {
			continue // the first says where it is to stand
		}
		if next[o] == 0 {
			next[o] = o.answered + 1
		}
		if kindOf(o.name, next[o]) != asJSON {
			continue
		}
		lines = append(lines, line{o, next[o], ""})
		next[o]++
	}
	return lines
}

func (l *line) id() string { return fmt.Sprintf("%s/%d/%d", l.name, l.gen.number, l.sequence) }

// appendJSON appends the object for POST /publish.
func (l *line) appendJSON(b []byte) []byte {
	if l.box != nil && l.sequence%2 == 0 {
		b = append(append(append(b, `{"user":"`...), l.box.user...), `","id":"`...)
	} else {
		b = append(append(append(b, `{"channel":"`...), l.name...), `","id":"`...)
	}
	b = append(append(b, l.id()...), '"')
	if event := eventOf(l.sequence); event != "" {
		b = strconv.AppendQuote(append(b, `,"event":`...), event)
	}
	if l.expect != "" {
		b = append(append(append(b, `,"expect":"`...), l.expect...), '"')
	}
	if fleeting(l.name, l.sequence) {
		b = append(b, `,"ttl":0.2`...)
	}
	b = appendPayload(append(b, `,"data":`...), l.name, l.gen.number, l.sequence)
	return append(b, '}')
}

// pushLines pushes a batch until it is answered.
func (p *publisher) pushLines(lines []line) error {
	var body []byte
	for i := range lines {
		l := &lines[i]
		l.send(l.gen, l.sequence)
		body = append(l.appendJSON(body), '\n')
	}
	status, text, err := p.until("/publish", "Content-Type: application/x-ndjson\r\n", body)
	if err != nil {
		return err
	}
	results := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if status != 200 || len(results) != len(lines) {
		return fmt.Errorf("a batch of %d: status %d, %d results: %.300q", len(lines), status, len(results), text)
	}
	for i := range lines {
		var a answer
		if err := json.Unmarshal(results[i], &a); err != nil {
			return fmt.Errorf("result %d of a batch: %.200q: %w", i+1, results[i], err)
		}
		if err := p.answered(&lines[i], &a); err != nil {
			return fmt.Errorf("result %d of a batch: %w", i+1, err)
		}
	}
	return nil
}

// pushOne pushes the next message of a channel until it is answered.
func (p *publisher) pushOne(o *outlet) error {
	l := line{outlet: o, sequence: o.answered + 1}
	switch {
	case p.run.scenario.KillEvery > 0 || p.rng.IntN(4) == 0:
		l.expect = o.position
	case l.sequence == 1 && p.rng.IntN(2) == 0:
		l.expect = "0"
	case o.answered == o.gen.base.Load():
		l.expect = o.position
	}
	o.send(o.gen, l.sequence)
	path, header, body := l.single(p.rng)
	status, text, err := p.until(path, header, body)
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("push %s: status %d: %.200q: %w", l.id(), status, text, err)
	}
	if !fits(status, &a) {
		return fmt.Errorf("push %s: status %d with %.200q", l.id(), status, text)
	}
	return p.answered(&l, &a)
}

// single is the request that pushes one message; JSON may go either way.
func (l *line) single(rng *rand.Rand) (path, header string, body []byte) {
	k := kindOf(l.name, l.sequence)
	if k == asJSON && rng.IntN(3) == 0 {
		return "/publish", "Content-Type: application/json\r\n", l.appendJSON(nil)
	}
	header = "Content-Type: " + contentTypes[k] + "\r\nIdempotency-Key: " + l.id() + "\r\n"
	if event := eventOf(l.sequence); event != "" {
		header += "Encke-Event: " + event + "\r\n"
	}
	if l.expect != "" {
		header += "Encke-Expect: " + l.expect + "\r\n"
	}
	if fleeting(l.name, l.sequence) {
		header += "Encke-TTL: 200ms\r\n"
	}
	return l.path(rng), header, appendPayload(nil, l.name, l.gen.number, l.sequence)
}

// fits says whether a status is that of an answer.
func fits(status int, a *answer) bool {
	if a.Error != nil {
		return status != 201 && status != 202
	}
	return a.Subscribers != nil && status == map[bool]int{true: 201, false: 202}[*a.Subscribers > 0]
}

// path is where a message to the channel is pushed.
func (o *outlet) path(rng *rand.Rand) string {
	if o.box != nil && rng.IntN(2) == 0 {
		return "/users/" + url.PathEscape(o.box.user)
	}
	return "/channels/" + url.PathEscape(o.name)
}

// answered checks what was answered to a message.
func (p *publisher) answered(l *line, a *answer) error {
	if a.Error != nil && a.Error.Code == "conflict" && (p.run.scenario.KillEvery > 0 || p.run.truth.forgets()) {
		was := l.gen.epoch
		p.journal.note("%s: %s", l.id(), a.Error.Message)
		if err := p.begin(l.outlet); err != nil {
			return fmt.Errorf("after the conflict of %s in %s: %w", l.id(), was, err)
		}
		return nil
	}
	if a.Error != nil && p.run.scenario.KillEvery > 0 && (a.Error.Code == "overloaded" || a.Error.Code == "going_away") {
		p.run.tally.Add("refused/"+a.Error.Code, 1)
		return nil // a line of a batch; the next push is the same
	}
	if a.Error != nil {
		return fmt.Errorf("push %s: refused: %s: %s", l.id(), a.Error.Code, a.Error.Message)
	}
	at, err := readPlace(a.Position)
	if err != nil || at != (place{l.gen.epoch, l.sequence}) || a.Offset != l.sequence || a.Channel != l.name {
		return fmt.Errorf("push %s: was given %s.%d, the answer is %+v", l.id(), l.gen.epoch, l.sequence, *a)
	}
	l.outlet.answered, l.position = l.sequence, a.Position
	l.gen.answered.Store(l.sequence)
	p.run.tally.Add("pushed", 1)
	return nil
}

// until makes a request again until it is answered, with anything but "come back".
func (p *publisher) until(path, header string, body []byte) (status int, text []byte, err error) {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), header, body)
	p.journal.note("POST %s %q %d bytes", path, header, len(body))
	for end := time.Now().Add(liveness); time.Now().Before(end) && !p.run.gone(); {
		status, text, err = p.exchange(request)
		switch {
		case err == nil && status != 503 && status != 429 && status != 408:
			return status, text, nil
		case err != nil && !isCut(err):
			return 0, nil, err
		}
		p.hangUp()
		p.journal.note("again, after %d %v", status, err)
		p.run.tally.Add("pushed again", 1)
		pause(nil, between(p.rng, 0, 30*time.Millisecond))
	}
	return 0, nil, fmt.Errorf("POST %s: no answer in %v: status %d, %v", path, liveness, status, err)
}

// exchange makes one request, over the connection that there is or a new one.
func (p *publisher) exchange(request []byte) (status int, body []byte, err error) {
	if p.conn == nil {
		if p.conn, err = net.DialTimeout("tcp", p.run.backWay(p.rng), 3*time.Second); err != nil {
			p.conn = nil
			return 0, nil, errCut
		}
		p.r = bufio.NewReader(p.conn)
	}
	_ = p.conn.SetDeadline(time.Now().Add(between(p.rng, 500*time.Millisecond, 4*time.Second)))
	if _, err := p.conn.Write(request); err != nil {
		return 0, nil, err
	}
	res, err := readAnswer(p.r)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	if res.Close || p.rng.IntN(200) == 0 {
		p.hangUp()
	}
	return res.StatusCode, body, nil
}

func (p *publisher) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}
