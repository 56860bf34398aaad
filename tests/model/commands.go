package model

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// say sends some commands now and then; a socket without any channel says something before it listens.
func (s *socket) say() error {
	if s.heads != nil {
		return nil
	}
	if s.transport == "raw" {
		return s.disturb()
	}
	if s.calm--; s.calm > 0 && s.listening() {
		return nil
	}
	s.calm = 1 + s.rng.IntN(8*s.run.scenario.Batch)
	for range 1 + s.rng.IntN(4) {
		if err := s.command(); err != nil {
			return err
		}
	}
	return nil
}

// listening says whether a frame is sure to come.
func (s *socket) listening() bool {
	if len(s.pending)+len(s.waiting) > 0 {
		return true
	}
	for _, on := range s.planned {
		if on {
			return true
		}
	}
	return false
}

// disturb says something over encke.raw, which is forbidden.
func (s *socket) disturb() error {
	if s.rng.IntN(2000) > 0 || s.allowed[1008] {
		return nil
	}
	s.allowed[1008] = true
	s.leavingAll()
	s.journal.note("says something over encke.raw")
	return s.send(ws.OpText, []byte("hello"))
}

// command sends a command.
func (s *socket) command() error {
	if s.user != nil && s.rng.IntN(4) == 0 {
		return s.social()
	}
	channel := s.channels[s.rng.IntN(len(s.channels))]
	switch n := s.rng.IntN(16); {
	case n == 0:
		payload := strconv.Itoa(s.rng.IntN(1000))
		s.pings = append(s.pings, payload)
		return s.send(ws.OpPing, []byte(payload))
	case n == 1:
		return s.order(command{verb: "ping"}, `"ping":{}`)
	case n == 2:
		return s.order(command{verb: "publish", refused: "forbidden"}, fmt.Sprintf(`"publish":{"channel":%q,"data":1}`, channel))
	case n == 3 && !s.planned[channel]:
		return s.order(command{verb: "subscribe", refused: "bad_since"}, fmt.Sprintf(`"subscribe":{"channel":%q,"since":"x"}`, channel))
	case s.planned[channel] && n == 4:
		return s.order(command{verb: "subscribe", refused: "already_subscribed"}, fmt.Sprintf(`"subscribe":{"channel":%q}`, channel))
	case s.planned[channel] && s.user != nil && s.user.steady && s.run.truth.rosters[channel] != nil:
		return nil
	case s.planned[channel]:
		s.planned[channel] = false
		s.leaving(channel, true)
		return s.order(command{verb: "unsubscribe", channel: channel, visit: s.visits[channel]}, fmt.Sprintf(`"unsubscribe":{"channel":%q}`, channel))
	case n == 5:
		return s.order(command{verb: "unsubscribe", refused: "not_subscribed"}, fmt.Sprintf(`"unsubscribe":{"channel":%q}`, channel))
	}
	return s.subscribe(channel)
}

func (s *socket) subscribe(channel string) error {
	a, err := s.s.Ask(channel, s.since(channel))
	if err != nil {
		return err
	}
	s.planned[channel] = true
	s.asking(channel)
	text := fmt.Sprintf(`"subscribe":{"channel":%q,"since":%q}`, channel, a.item())
	if a.knows == fromNow && s.rng.IntN(2) == 0 {
		text = fmt.Sprintf(`"subscribe":{"channel":%q}`, channel)
	}
	return s.order(command{verb: "subscribe", channel: channel, ask: a}, text)
}

// social asks who is in a channel, or acknowledges letters.
func (s *socket) social() error {
	if s.rng.IntN(2) == 0 {
		a := s.chooseAck()
		switch {
		case a == nil:
			return nil
		case a.upTo == 0:
			return s.order(command{verb: "ack", ack: a}, `"ack":{"only":[`+a.numbers()+`]}`)
		}
		return s.order(command{verb: "ack", ack: a}, fmt.Sprintf(`"ack":{"mail":%d}`, a.upTo))
	}
	for _, i := range s.rng.Perm(len(s.channels)) {
		if of, is := isCompanion(s.channels[i]); is {
			return s.order(command{verb: "presence", channel: of}, fmt.Sprintf(`"presence":{"channel":%q}`, of))
		}
	}
	return nil
}

// looked takes a list of who is in a channel. Where its companion is followed already it only has to fit that.
func (s *socket) looked(o *snapshot) error {
	s.run.tally.Add("people/snapshots", 1)
	if !s.planned[companionPrefix+o.Channel] && s.s.views[companionPrefix+o.Channel] == nil {
		return s.s.Snapshot(o)
	}
	_, _, err := s.run.truth.rosters[o.Channel].Snapshot(o)
	return err
}

// subscribeRest subscribes to what the URL has left out.
func (s *socket) subscribeRest() error {
	for _, channel := range s.channels {
		if s.planned[channel] {
			continue
		}
		if err := s.subscribe(channel); err != nil {
			return err
		}
	}
	return nil
}

// order sends a command under an id of its own, a number or a string.
func (s *socket) order(c command, text string) error {
	s.id++
	id := strconv.Itoa(s.id)
	if s.rng.IntN(2) == 0 {
		id = `"` + id + `"`
	}
	s.pending[id] = c
	s.journal.note("%s %s", id, text)
	return s.send(ws.OpText, []byte(`{"id":`+id+`,`+text+`}`))
}

// reply matches a reply with its command.
func (s *socket) reply(o *object, message []byte) error {
	c, ok := s.pending[string(o.ID)]
	delete(s.pending, string(o.ID))
	switch {
	case !ok:
	case o.Error != nil && o.Error.Code == c.refused:
		return nil
	case c.refused != "":
	case o.Pong != nil && c.verb == "ping":
		return nil
	case o.Subscribed != nil && c.verb == "subscribe" && o.Subscribed.Channel == c.channel:
		return s.subscribed(c.ask, o)
	case o.Presence != nil && c.verb == "presence" && o.Presence.Channel == c.channel:
		return s.looked(o.Presence)
	case o.Ack != nil && c.verb == "ack":
		s.run.tally.Add("people/acknowledged", int64(o.Ack.Acknowledged))
		return s.s.box.Done(c.ack, o.Ack.Acknowledged)
	case o.Unsubscribed != nil && c.verb == "unsubscribe" && o.Unsubscribed.Channel == c.channel:
		if c.visit != nil {
			s.run.truth.rosters[c.channel].Gone(c.visit, time.Now())
		}
		return s.s.Leave(c.channel)
	}
	return fmt.Errorf("not the reply to %s %s (%s): %.200q", c.verb, c.channel, c.refused, message)
}
