// Package curl is the site's part of the page of curl lines: where the backend listener is, and tokens.
package curl

import (
	"context"
	"net/http"

	"encke/examples/site"
)

// Register serves POST /curl/token, a visitor's token, and GET /curl/where, the address of Encke's backend listener, which no page can
// know. That is no secret: it is reached from this machine alone.
func Register(_ context.Context, s *site.Site, mux *http.ServeMux) {
	s.Tokens(mux, "/curl/token", func(site.Visitor) site.Rights {
		return site.Rights{"curl:*": {"subscribe", "presence"}}
	})
	mux.HandleFunc("GET /curl/where", func(w http.ResponseWriter, _ *http.Request) {
		site.Answer(w, map[string]string{"backend": s.Backend})
	})
}
