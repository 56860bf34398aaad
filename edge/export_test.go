package edge

import (
	"encke/channel"
	"encke/netloop"
)

// NewLossy is New with a fault between the store and the loops: publications for which lose is true reach none.
func NewLossy(c Config, lose func(*channel.Publication) bool) (*Server, error) {
	return newServer(c, func(s channel.Sink) channel.Sink { return lossy{s, lose} })
}

// SetBudget bounds output that waits and input of which a part has come, in bytes. Call it before Start.
func (s *Server) SetBudget(output, input int64) {
	s.budget.total, s.budget.output, s.budget.input = 1<<50, output, input
}

// SetPeople bounds what is known of people, in bytes. Call it before Start.
func (s *Server) SetPeople(bytes int64) { s.budget.total, s.budget.people = 1<<50, bytes }

// Paces returns how many clients' paces are remembered. It asks the loops.
func (s *Server) Paces() (n int) {
	for _, l := range s.engine.Loops() {
		got := make(chan int)
		l.Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) { got <- len(r.paces) }})
		n += <-got
	}
	return n
}

// JoinBetween subscribes the only WebSocket without a channel, which must be on loop 0, to a channel, with something happening
// between the moment at which the store says where the channel stands and the loop's looking into its mailbox.
func (s *Server) JoinBetween(name string, happens func()) {
	done := make(chan struct{})
	s.engine.Loops()[0].Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
		r.deferred.push(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) { // outside of delivery
			defer close(done)
			r.loop.Each(func(c netloop.ID) {
				cl := r.clients.at(c)
				if cl.transport != overWS || cl.entry != 0 {
					return
				}
				joined, _ := s.store.Subscribe([]byte(name), 0, channel.From{}, channel.Limit{}, r.now, nil)
				happens()
				e := r.enter(joined.Channel, joined.Head)
				r.goLive(c, cl, e, joined.Head)
				r.addChannel(c, cl, e)
			})
		}})
	}})
	<-done
}

// PublishNow publishes without a request.
func (s *Server) PublishNow(name, text string) {
	_, _ = s.store.Publish([]byte(name), &channel.Message{Data: []byte(text)}, 1)
}

// Expiries returns how many ends of tokens the loops remember. It asks them.
func (s *Server) Expiries() (n int) {
	for _, l := range s.engine.Loops() {
		got := make(chan int)
		l.Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) { got <- len(r.identities.ends) }})
		n += <-got
	}
	return n
}

// Starve makes loop 0, which must be the only one, believe that there is no memory for output, or some again. Everything that was
// posted to it before has been seen on return.
func (s *Server) Starve(on bool) {
	done := make(chan struct{})
	s.engine.Loops()[0].Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) {
		defer close(done)
		if s.budget.output = 0; on {
			s.budget.output = -1
		}
	}})
	<-done
}

// RSS returns the resident set of the process.
func RSS() uint64 { return rss() }

type lossy struct {
	channel.Sink
	lose func(*channel.Publication) bool
}

func (l lossy) Deliver(loop int, ch *channel.Channel, p *channel.Publication) {
	if !l.lose(p) {
		l.Sink.Deliver(loop, ch, p)
	}
}

// connected returns how many users have a connection.
func (u *users) connected() (n int) {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for _, x := range s.by {
			if x.here.len() > 0 {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// Tables returns how much the loops hold in their side tables; only what is not empty. It may be called after Stop, when no
// loop runs any more.
func (s *Server) Tables() map[string]int {
	all := map[string]int{}
	add := func(name string, n int) {
		if n != 0 {
			all[name] += n
		}
	}
	add("users", s.users.connected())
	add("asked", int(s.figures.asked.Load()))
	add("following", int(s.users.following.Load()))
	for _, r := range s.reactors {
		add("progress", len(r.progress))
		add("partial", len(r.partial))
		add("many", len(r.many))
		add("batches", len(r.batches))
		add("origins", len(r.origins))
		add("waits", len(r.waits))
		add("stalled", len(r.stalled))
		add("lags", len(r.lags))
		add("letters", len(r.letters)+len(r.starved))
		add("hooks", len(r.hooks.answers)+len(r.hooks.commands)+r.hooks.waiting.len())
		add("proxied", len(r.proxied))
		add("paces", len(r.paces))
		add("identities", r.identities.number+len(r.identities.verdicts))
		add("chased", r.chased.len())
		add("channels", len(r.byChannel))
		add("active", r.active.len())
		for _, e := range r.entries {
			if e != nil {
				add("entries", 1)
			}
		}
		for _, chunk := range r.clients.chunks {
			for i := range chunk {
				if chunk[i] != (client{}) {
					add("clients", 1)
				}
			}
		}
		add("backlog", int(r.loop.Backlog().Load()))
		add("waiting", int(r.loop.Counts().Waiting.Load()))
	}
	return all
}

// Watched says whether the console is being told anything.
func (s *Server) Watched() bool { return s.console.watched() }
