// Package site is what the examples' site is made of: it knows its visitors, gives them tokens for Encke, and pushes. A site in PHP or
// Python does the same with a few lines of its own; of Encke it needs nothing but two addresses and a secret.
package site

import (
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
)

// Site is the examples' site. Its fields are set before it is used.
type Site struct {
	Dir     string // where the pages are: the directory examples of the repository
	Client  string // encke.js
	Port    string // of Encke's public address, on the host by which the visitor has found the site
	Backend string // Encke's backend address, http://…
	Secret  []byte // of tokens: Encke has the same
}

// Pages serves the pages, and what all of them need of Encke: encke.js, as it could be installed by npm, and config.js, which says where
// Encke is.
func (s *Site) Pages(mux *http.ServeMux) {
	files := http.FileServer(http.Dir(s.Dir))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if !public(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		s.headers(w, r)
		files.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /encke.js", func(w http.ResponseWriter, r *http.Request) {
		s.headers(w, r)
		http.ServeFile(w, r, s.Client)
	})
	mux.HandleFunc("GET /config.js", func(w http.ResponseWriter, r *http.Request) {
		s.headers(w, r)
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		fmt.Fprintf(w, "// Where Encke is, for pages: on the host of this site, at another port.\nexport const url = %q;\n", s.url(r))
	})
}

// url returns where Encke is for one who has made a request.
func (s *Site) url(r *http.Request) string { return "http://" + net.JoinHostPort(host(r), s.Port) }

// host returns the name or address by which a request has found the site.
func host(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	return strings.Trim(name, "[]")
}

// public says whether a file is for visitors: pages and what they load, but no sources of the site, tests or packages.
func public(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") || part == "node_modules" || part == "test" || part == "site" || part == "serve" {
			return false
		}
	}
	switch path.Ext(name) {
	case ".html", ".css", ".js", ".mjs", ".svg", ".png", ".ico", ".webmanifest", ".sh", "":
		return true
	}
	return false
}

// headers lets a page load from this site alone, and connect to it and to Encke (W3C Content Security Policy Level 3).
func (s *Site) headers(w http.ResponseWriter, r *http.Request) {
	connect := s.url(r)
	connect += " ws" + strings.TrimPrefix(connect, "http")
	if strings.Contains(host(r), ":") {
		connect = "http: ws:" // an IPv6 address cannot be named there
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; "+
		"frame-ancestors 'self'; connect-src 'self' "+connect)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
}
