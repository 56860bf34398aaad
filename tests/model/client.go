package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// client is a subscriber that leads a random life. All of it is owned by its goroutine.
type client struct {
	run      *Run
	name     string
	rng      *rand.Rand
	sub      *Subscriber
	user     *person // whose token it brings; nil: none
	straight bool    // goes through no proxy
	channels []string
	journal  journal
	heads    map[string]place // when it is settling: where it has to get

	staying bool   // nothing more happens: it only stays where it is
	settled func() // says so, once

	lastID         string   // of SSE, as an EventSource remembers it
	lastIDChannels []string // of the connection that it came over
}

// transports, each as often as it is chosen.
var transports = []string{"ws", "ws", "ws", "ws", "sse", "sse", "stream", "stream", "longpoll", "poll", "raw"}

// live goes from connection to connection until the run stops, and then settles. An error is a broken promise.
func (c *client) live() error {
	defer c.settled()
	for !c.run.stopping() {
		transport := transports[c.rng.IntN(len(transports))]
		if transport == "raw" && c.run.scenario.NotRaw {
			continue
		}
		if only := c.run.scenario.Only; only != "" {
			transport = only
		}
		if err := c.connection(transport, c.life()); err != nil {
			return err
		}
	}
	<-c.run.quiet
	return either(c.settle(), c.stay())
}

// life is how long a connection may last: mostly short.
func (c *client) life() time.Duration {
	most := c.run.scenario.Life
	if c.rng.IntN(3) > 0 {
		most /= 6
	}
	return between(c.rng, 3*time.Millisecond, most)
}

// connection lives through one connection.
func (c *client) connection(transport string, life time.Duration) error {
	if err := c.prepare(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	l, err := c.dial(transport, life)
	if err != nil {
		c.run.tally.Add("refused/dial", 1)
		pause(c.run.stop, between(c.rng, 0, 50*time.Millisecond))
		return nil
	}
	defer l.end()
	if c.heads == nil {
		defer context.AfterFunc(c.run.live, func() { _ = l.conn.SetDeadline(time.Now()) })()
	}
	c.run.tally.Add("connections/"+transport, 1)
	switch transport {
	case "ws", "raw":
		err = l.overWS()
	case "sse":
		err = l.overSSE()
	case "stream":
		err = l.overStream()
	default:
		err = l.overPolls()
	}
	if err == nil || isCut(err) {
		c.journal.note("ends: %v", err)
		return nil
	}
	return fmt.Errorf("%s over %s: %w", c.name, transport, err)
}

// prepare does what a page does before it connects: it looks who is there, and acknowledges what it has shown.
func (c *client) prepare() error {
	if err := c.lookAll(c.channels); err != nil {
		return err
	}
	if c.rng.IntN(6) > 0 {
		return nil
	}
	return c.acknowledge()
}

// some are the channels of the next connection, in any order: mostly all.
func (c *client) some() []string {
	list := slices.Clone(c.channels)
	c.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if c.heads == nil && c.rng.IntN(4) == 0 {
		list = list[:1+c.rng.IntN(len(list))]
	}
	return c.withOwn(list)
}

// withOwn adds the user's own channel, to which the server subscribes a connection by itself; as it does, as the last.
func (c *client) withOwn(list []string) []string {
	if c.user == nil || slices.Contains(list, c.user.own) {
		return list
	}
	return append(list, c.user.own)
}

// forRaw leaves out what encke.raw says nothing sensible of.
func (c *client) forRaw(list []string) []string {
	list = slices.DeleteFunc(list, func(channel string) bool {
		s := c.run.truth.streams[channel]
		return s.roster != nil || s.box != nil && c.run.scenario.Away > 0
	})
	if len(list) == 0 {
		return c.channels[:1] // the first is neither
	}
	return list
}

// settle resumes without faults until the client has reached the head of each of its channels.
func (c *client) settle() error {
	c.heads = map[string]place{}
	for _, channel := range c.channels {
		if head, there := c.run.heads[channel]; there { // there is none of companions
			c.heads[channel] = head
		}
	}
	if c.run.failed() {
		return nil
	}
	for end := time.Now().Add(liveness); time.Now().Before(end); {
		transport := []string{"ws", "sse", "stream", "longpoll", "poll"}[c.rng.IntN(5)]
		if err := c.connection(transport, liveness/3); err != nil {
			return err
		}
		if c.arrived() {
			return nil
		}
	}
	return fmt.Errorf("%s never gets where everything ends: %s", c.name, c.missing())
}

func (c *client) arrived() bool { return c.missing() == "" }

// missing names a channel whose head the client has not reached.
func (c *client) missing() string {
	for channel, head := range c.heads {
		if held := c.sub.Holds(channel); held != head.String() {
			return fmt.Sprintf("%s ends at %s, is at %q", channel, head, held)
		}
	}
	return ""
}
