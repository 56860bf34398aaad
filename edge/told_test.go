package edge

import "fmt"

// OnTold has f called whenever a user comes online or goes. Call it before Start.
func (s *Server) OnTold(f func(id string, online bool, at int64)) { s.users.told = f }

// EnterMany has n users enter a channel who were nowhere before, and stay.
func (s *Server) EnterMany(name string, n int) {
	ch := s.presence.Open(name, s.presenceMode([]byte(name)))
	known := int(s.presence.Totals().Members)
	for i := range n {
		ch.Enter(fmt.Sprintf("member-%06d", known+i), nil)
	}
}
