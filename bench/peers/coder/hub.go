package main

import (
	"sync"
	"time"
)

// keep is how many messages a channel remembers for long polls, the same as in nchan/nginx.conf.
const keep = 100

// message is shared by all who get it; nobody changes it.
type message struct {
	number  uint64 // in its channel, from 1
	time    time.Time
	payload []byte
}

// hub has the channels.
type hub struct {
	queue int // immutable

	mu       sync.RWMutex
	channels map[string]*channel
}

// channel is made when it is first named, and stays.
type channel struct {
	mu          sync.Mutex
	last        uint64
	history     []*message // the newest, oldest first, at most keep
	subscribers map[*subscriber]struct{}
}

// subscriber takes messages from its queue; publish puts them in. When the queue is full slow is called, once, and
// nothing more is put in.
type subscriber struct {
	messages chan *message
	slow     func()
}

func (h *hub) channel(name string) *channel {
	h.mu.RLock()
	c := h.channels[name]
	h.mu.RUnlock()
	if c != nil {
		return c
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c = h.channels[name]; c != nil {
		return c
	}
	if h.channels == nil {
		h.channels = map[string]*channel{}
	}
	c = &channel{subscribers: map[*subscriber]struct{}{}}
	h.channels[name] = c
	return c
}

// publish keeps the payload and queues it for all subscribers; it says how many there were. It never waits for one.
func (c *channel) publish(payload []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	m := &message{number: c.last, time: time.Now(), payload: payload}
	if len(c.history) == keep {
		copy(c.history, c.history[1:])
		c.history[keep-1] = m
	} else {
		c.history = append(c.history, m)
	}
	n := len(c.subscribers)
	for s := range c.subscribers {
		select {
		case s.messages <- m:
		default:
			delete(c.subscribers, s)
			go s.slow() // closing may wait for the network
		}
	}
	return n
}

func (c *channel) subscribe(s *subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers[s] = struct{}{}
}

func (c *channel) unsubscribe(s *subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subscribers, s)
}

// after gives the oldest message that is kept and newer than since, or subscribes s to what comes.
func (c *channel) after(since uint64, s *subscriber) *message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since < c.last {
		first := c.history[0].number
		return c.history[max(since+1, first)-first]
	}
	c.subscribers[s] = struct{}{}
	return nil
}
