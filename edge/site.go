package edge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"encke/channel"
	"encke/token"
	"encke/webhook"

	"github.com/panjf2000/ants/v2"
)

// Site is the site's backend as Encke calls it.
type Site struct {
	Webhook string   // address that is told of changes; "": none is
	Events  []string // of which: user_online, user_offline, channel_occupied, channel_vacated; nil: all
	Hook    string   // address that is asked what is allowed; "": none is
	Secrets [][]byte // what requests to both are signed with: one, or two while it is being changed
	Timeout time.Duration
}

// events are all that a site can be told of.
var events = []string{webhook.UserOnline, webhook.UserOffline, webhook.ChannelOccupied, webhook.ChannelVacated}

// hookQuestions is how many questions are under way at once.
const hookQuestions = 64

// openSite makes what talks to the site's backend.
func (s *Server) openSite() (err error) {
	c := &s.config.Site
	for _, e := range c.Events {
		if !slices.Contains(events, e) {
			return fmt.Errorf("cannot use --webhook-events: %q is none of %v", e, events)
		}
	}
	if c.Webhook != "" {
		if s.sender, err = webhook.New(webhook.Config{URL: c.Webhook, Secrets: c.Secrets, Epoch: s.store.Epoch().String(), Log: s.config.Log}); err != nil {
			return fmt.Errorf("cannot use --webhook: %w", err)
		}
		s.users.told = func(id string, online bool, at int64) {
			s.tell(map[bool]string{true: webhook.UserOnline, false: webhook.UserOffline}[online], id, at)
		}
	}
	if c.Hook != "" {
		if s.asker, err = webhook.NewAsker(webhook.AskConfig{URL: c.Hook, Secrets: c.Secrets, Timeout: c.Timeout, MaxConns: hookQuestions, Log: s.config.Log}); err != nil {
			return fmt.Errorf("cannot use --hook: %w", err)
		}
		if s.askers, err = ants.NewPool(hookQuestions, ants.WithNonblocking(true), ants.WithDisablePurge(true)); err != nil {
			return fmt.Errorf("cannot make the pool for hooks: %w", err)
		}
		return nil
	}
	all := s.common.hooks
	for i := range s.policies {
		all |= s.policies[i].hooks
	}
	if all != 0 {
		return fmt.Errorf("cannot ask the site's backend (--hook-on, or hooks in a rule): set --hook to its address")
	}
	return nil
}

// tell tells the site of a change, if it wants to know of such.
func (s *Server) tell(event, subject string, at int64) {
	if wanted := s.config.Site.Events; len(wanted) == 0 || slices.Contains(wanted, event) {
		s.sender.Add(event, subject, at)
	}
}

// watcher is what notes which channels are occupied, nil when nobody wants to know.
func (s *Server) watcher() channel.Watcher {
	c := &s.config.Site
	wanted := func(e string) bool { return len(c.Events) == 0 || slices.Contains(c.Events, e) }
	if c.Webhook == "" || !wanted(webhook.ChannelOccupied) && !wanted(webhook.ChannelVacated) {
		return nil
	}
	s.occupancy = newOccupancy(s.config.UserGrace.Milliseconds(), func(name string, occupied bool, at int64) {
		s.tell(map[bool]string{true: webhook.ChannelOccupied, false: webhook.ChannelVacated}[occupied], name, at)
	})
	return watched{s.occupancy}
}

// watched leaves out the channels that sites are not told of: users' own, and the server's.
type watched struct{ *occupancy }

func mattersToSite(name string) bool {
	_, own := token.ChannelUser(name)
	return !own && !channel.Reserved([]byte(name))
}

// Occupied implements channel.Watcher.
func (w watched) Occupied(name string, now int64) {
	if mattersToSite(name) {
		w.occupancy.Occupied(name, now)
	}
}

// Vacated implements channel.Watcher.
func (w watched) Vacated(name string, now int64) {
	if mattersToSite(name) {
		w.occupancy.Vacated(name, now)
	}
}

// closeSite ends that; what the site has not been told by then it never is, and the log says how much that was.
func (s *Server) closeSite(ctx context.Context) {
	if s.askers != nil {
		s.askers.Release()
	}
	if s.asker != nil {
		s.asker.Close()
	}
	if s.sender == nil {
		return
	}
	if n := s.sender.Close(ctx); n > 0 {
		s.config.Log("%d changes could not be told to --webhook", n)
	}
}
