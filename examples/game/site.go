// Package game is the site's part of the example.
package game

import (
	"context"
	"net/http"

	"encke/examples/site"
)

// Register serves what the page asks the site for.
func Register(ctx context.Context, s *site.Site, mux *http.ServeMux) {
}
