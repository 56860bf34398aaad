package edge

import (
	"encoding/json"

	"encke/channel"
)

// statsChannel tells its subscribers who is online, at most once a second.
const statsChannel = "$stats"

// online is what is published there. Raw and JSON WebSockets are one kind here.
type online struct {
	Online int64       `json:"online"` // connections of clients
	Users  int64       `json:"users"`  // with a token
	WS     int64       `json:"ws"`
	SSE    int64       `json:"sse"`
	Stream int64       `json:"stream"`
	Poll   int64       `json:"poll"`
	Total  onlineTotal `json:"total"`
}

// onlineTotal is counted since the process began.
type onlineTotal struct {
	Connections uint64 `json:"connections"` // of clients, those that were refused included
	Published   uint64 `json:"published"`
	Delivered   uint64 `json:"delivered"`
}

func (s *Server) online() online {
	n := func(t transport) int64 { return s.figures.connections[t].Load() }
	o := online{Users: s.users.online.Load(), WS: n(overWS) + n(overRaw), SSE: n(overSSE), Stream: n(overStream), Poll: n(overPoll)}
	o.Online = o.WS + o.SSE + o.Stream + o.Poll
	o.Total.Published = s.store.Totals().Published
	o.Total.Connections = s.figures.clients.Load()
	for i := range s.figures.perLoop {
		o.Total.Delivered += s.figures.perLoop[i].delivered.Load()
	}
	return o
}

// publishStats tells the subscribers of $stats what has changed. What is counted in total changes by being told: for that alone
// nothing is published unless somebody listens.
func (s *Server) publishStats(now int64) {
	o := s.online()
	was := s.statsSent
	if s.store.Subscribers([]byte(statsChannel)) == 0 {
		was.Total = o.Total
	}
	if o == was {
		return
	}
	data, err := json.Marshal(o)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if _, err := s.store.Publish([]byte(statsChannel), &channel.Message{Data: data, JSON: true, Own: true}, now); err == nil {
		s.statsSent = o
	}
}
