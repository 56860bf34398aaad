package edge

import (
	"bytes"
	"fmt"
	"strings"

	"encke/codes"
)

// Browsers send a page's origin with what it asks of other sites (RFC 6454; WHATWG Fetch), and a page cannot change it. A WebSocket
// is open to every page in the world unless the server looks at it (RFC 6455 section 10.2). Who is no browser sends none, or
// anything: this protects visitors of other pages, not the server.

// originRules are the origins whose pages may connect, besides the server's own.
type originRules []originRule

// originRule is an origin, or with a part that may be anything: https://*.example.com.
type originRule struct {
	before, after string
	open          bool // something stands between the two
}

// parseOrigins reads --origins: scheme://host, with a port where it is not the scheme's own; "*." may stand before a domain; "*" is
// everything.
func parseOrigins(list []string) (rules originRules, err error) {
	for _, text := range list {
		text = strings.ToLower(text)
		if text == "*" {
			rules = append(rules, originRule{open: true})
			continue
		}
		scheme, host, ok := strings.Cut(text, "://")
		if !ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ ") || strings.Contains(strings.TrimPrefix(host, "*."), "*") {
			return nil, fmt.Errorf("cannot use --origins %q: scheme://host is wanted, *. may stand before a domain", text)
		}
		if rest, wild := strings.CutPrefix(host, "*"); wild {
			rules = append(rules, originRule{scheme + "://", rest, true})
		} else {
			rules = append(rules, originRule{before: text})
		}
	}
	return rules, nil
}

// allow says whether pages of an origin, in lower case, may connect.
func (rules originRules) allow(origin string) bool {
	for _, r := range rules {
		switch {
		case !r.open && origin == r.before:
			return true
		case r.open && r.before == "" && r.after == "":
			return true
		case r.open && len(origin) > len(r.before)+len(r.after) && strings.HasPrefix(origin, r.before) && strings.HasSuffix(origin, r.after):
			return true
		}
	}
	return false
}

// originAllowed says whether a request of the public listener comes from a page that may connect, or from no page.
func (r *reactor) originAllowed(q *request) bool {
	origin := q.Header.Peek("Origin")
	if len(origin) == 0 || sameOrigin(q) || r.server.origins.allow(string(bytes.ToLower(origin))) {
		return true
	}
	r.server.logRefusal(r.address(q.c), codes.BadOrigin, fmt.Errorf("a page of %s", quoted(origin)))
	r.fail(q, codes.New(codes.BadOrigin, ""))
	return false
}
