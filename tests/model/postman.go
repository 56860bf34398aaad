package model

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// pushLetter pushes a message to a user that is kept until it is acknowledged, or only if the user is away, until it is answered.
func (p *publisher) pushLetter(o *outlet) error {
	l, keep := o.box.Next(), "always"
	if p.rng.Float64() < p.run.scenario.Away {
		keep = "away"
		o.gen.mayBeAway(o.answered+1, l.n)
		o.send(o.gen, o.answered+1)
	}
	path, header, body := p.letter(o, l, keep)
	status, text, err := p.until(path, header, body)
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || a.Error != nil || !fits(status, &a) || a.Channel != o.name {
		return fmt.Errorf("letter %d to %s: status %d: %.200q: %v", l.n, o.box.user, status, text, err)
	}
	p.run.tally.Add("letters/"+keep, 1)
	if a.Mail != 0 && a.Offset == 0 && a.Position == "" {
		o.gen.mayBeAway(o.answered+1, 0)
		o.gen.sent.Store(o.answered)
		return o.box.Answered(l, a.Mail)
	}
	at, err := readPlace(a.Position)
	if err != nil || keep == "always" || a.Mail != 0 || at != (place{o.gen.epoch, o.answered + 1}) || a.Offset != at.offset {
		return fmt.Errorf("letter %d to %s (%s): at %s.%d: %.200q", l.n, o.box.user, keep, o.gen.epoch, o.answered, text)
	}
	p.run.tally.Add("letters/published", 1)
	o.answered, o.position = at.offset, a.Position
	o.gen.answered.Store(at.offset)
	return o.box.Answered(l, 0)
}

// letter is the request that pushes one; JSON may go either way.
func (p *publisher) letter(o *outlet, l *letter, keep string) (path, header string, body []byte) {
	id, k := fmt.Sprintf("%s/0/%d", o.name, l.n), kindOf(o.name, l.n)
	payload := appendPayload(nil, o.name, 0, l.n)
	event := eventOf(l.n)
	if k == asJSON && p.rng.IntN(3) == 0 {
		to := `"user":"` + o.box.user
		if p.rng.IntN(2) == 0 {
			to = `"channel":"` + o.name
		}
		body = fmt.Appendf(nil, `{%s","id":"%s","mailbox":"%s"`, to, id, keep)
		if event != "" {
			body = strconv.AppendQuote(append(body, `,"event":`...), event)
		}
		body = append(append(append(body, `,"data":`...), payload...), '}')
		return "/publish", "Content-Type: application/json\r\n", body
	}
	header = "Content-Type: " + contentTypes[k] + "\r\nIdempotency-Key: " + id + "\r\nEncke-Mailbox: " + keep + "\r\n"
	if event != "" {
		header += "Encke-Event: " + event + "\r\n"
	}
	return o.path(p.rng), header, payload
}
