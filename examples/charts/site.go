// Package charts is the site's part of the live charts: it measures the machine and pushes what it has found.
package charts

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"encke/examples/site"
)

const (
	now  = "charts:now"  // a point every tenth of a second while somebody looks
	hour = "charts:hour" // a point a second, always; Encke keeps an hour of them

	step   = 100 * time.Millisecond
	second = int(time.Second / step) // steps between two points of the hour

	// patience bounds one push. A push that takes longer than a step makes the ticker drop steps: nothing piles up.
	patience = 2 * time.Second
)

// Register measures and pushes until ctx is over. The page asks the site for nothing: all that it shows comes over Encke.
func Register(ctx context.Context, s *site.Site, _ *http.ServeMux) {
	go (&pusher{site: s, machine: newMachine("/proc", "/sys", os.Getpid())}).run(ctx) // owned by the site, ends with ctx
}

// pusher is all of run's.
type pusher struct {
	site    *site.Site
	machine *machine
	recent  []counters // those of the last half second, the oldest first
	hour    counters   // those of the last point of the hour
	watched bool       // whether somebody was subscribed to now, last time that Encke said
	failing bool       // whether the last push failed, which is logged once
}

func (p *pusher) run(ctx context.Context) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.tick(ctx, n)
	}
}

// tick is the nth step: it measures once and pushes to those who look; once a second to the hour too, and finds out whether somebody looks.
func (p *pusher) tick(ctx context.Context, n int) {
	whole := n%second == 0
	if !whole && !p.watched {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := p.machine.read()
	c.encke = p.encke(ctx)
	before := p.remember(c)
	if p.watched {
		pushed, err := p.site.Push(ctx, site.Message{Channel: now, Data: figuresOf(c, before.last, before.half)})
		p.failed(ctx, err)
		p.watched = err == nil && pushed.Subscribers > 0
	}
	if !whole {
		return
	}
	if !p.hour.at.IsZero() {
		_, err := p.site.Push(ctx, site.Message{Channel: hour, Data: figuresOf(c, p.hour, p.hour)})
		p.failed(ctx, err)
	}
	p.hour = c
	if !p.watched {
		var channel struct{ Subscribers int }
		err := p.site.Ask(ctx, "GET", "/channels/"+now, nil, &channel) // 404 where there is nobody and nothing
		p.watched = err == nil && channel.Subscribers > 0
	}
}

// before is what rates are measured against: the last counters, and those of half a second ago, as far as there are any.
type before struct{ last, half counters }

// half is over what the use of processors is measured: the kernel counts it in hundredths of a second, so that over a tenth of one it
// would jump in steps of 10 %.
const half = 500 * time.Millisecond

func (p *pusher) remember(c counters) before {
	b := before{c, c}
	if len(p.recent) > 0 {
		b = before{p.recent[len(p.recent)-1], p.recent[0]}
	}
	p.recent = append(p.recent, c)
	for c.at.Sub(p.recent[0].at) > half-step/2 && len(p.recent) > 1 {
		p.recent = p.recent[1:]
	}
	return b
}

// enckeCounters is what Encke says of itself.
type enckeCounters struct {
	known                   bool
	rss, clients, delivered float64 // bytes, connections, publications since it began
}

func (p *pusher) encke(ctx context.Context) enckeCounters {
	var s struct {
		Connections map[string]float64
		Messages    struct{ Delivered float64 }
		Memory      struct{ RSS float64 }
	}
	if err := p.site.Ask(ctx, "GET", "/stats", nil, &s); err != nil {
		return enckeCounters{}
	}
	c := s.Connections
	return enckeCounters{true, s.Memory.RSS, c["ws"] + c["raw"] + c["sse"] + c["stream"] + c["poll"], s.Messages.Delivered}
}

func (p *pusher) failed(ctx context.Context, err error) {
	if err != nil && !p.failing && ctx.Err() == nil {
		log.Print("charts: ", err)
	}
	p.failing = err != nil
}
