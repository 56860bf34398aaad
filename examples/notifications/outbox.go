package notifications

import (
	"context"
	"log"
	"time"

	"encke/examples/site"
)

// outbox pushes what happens, one after the other and in order, so that no visitor waits for Encke, and a push that has failed is made
// again. What is in it is in the notes too: a page that asks for its inbox has all of it.
type outbox struct {
	to    func(context.Context, site.Message) (site.Pushed, error) // immutable
	notes *notes
	queue chan site.Message // sent by handlers, received by work; when it is full notes are refused, and the rest is dropped
}

// What waits for Encke at most, and for how long one push is tried again.
const (
	waiting  = 256
	patience = time.Minute
)

func newOutbox(to func(context.Context, site.Message) (site.Pushed, error), n *notes) *outbox {
	return &outbox{to: to, notes: n, queue: make(chan site.Message, waiting)}
}

// full says whether there is no room for a note and what it brings with it.
func (o *outbox) full() bool { return len(o.queue) > waiting/2 }

func (o *outbox) push(m site.Message) {
	select {
	case o.queue <- m:
	default: // pages see it when they ask for their inbox
	}
}

// note pushes a note: to the sender's own devices, and to the recipient as a letter, which Encke keeps until a device has acknowledged it.
// In this order: how far it has come is told to devices that know it.
func (o *outbox) note(n note) {
	o.push(site.Message{User: n.From, Event: "sent", Data: n})
	o.push(site.Message{User: n.To, Event: "note", Mailbox: "always", ID: n.ID, Data: n})
}

// tellSenders tells the senders of notes how far they have come.
func (o *outbox) tellSenders(changed []note, state string) {
	by := map[string][]note{}
	for _, n := range changed {
		by[n.From] = append(by[n.From], n)
	}
	for sender, all := range by {
		o.push(site.Message{User: sender, Event: "state", Data: map[string]any{"ids": ids(all), "state": state}})
	}
}

// work pushes until ctx is over.
func (o *outbox) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-o.queue:
			o.deliver(ctx, m)
		}
	}
}

// deliver pushes one message, again with growing waits as long as it fails. As a letter has an id it is kept once however often it is
// pushed; what is pushed without one does no harm when it comes twice.
func (o *outbox) deliver(ctx context.Context, m site.Message) {
	wait := 50 * time.Millisecond
	for end := time.Now().Add(patience); ; wait = min(2*wait, 5*time.Second) {
		p, err := o.to(ctx, m)
		if err == nil {
			if n, ok := m.Data.(note); ok && m.Mailbox != "" && p.Subscribers > 0 {
				o.tellSenders(o.notes.raise(n.To, []string{n.ID}, delivered), delivered)
			}
			return
		}
		if time.Now().After(end) {
			log.Printf("notifications: given up: %v", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
