package edge_test

import (
	"strings"
	"testing"

	"encke/edge"
)

// TestOrigins: pages of the server itself and of the origins named may connect, others not, on any transport; who is no page may.
func TestOrigins(t *testing.T) {
	const host = "localhost" // what the requests of these tests name
	for _, c := range []struct {
		origins []string
		origin  string
		ok      bool
	}{
		{nil, "", true}, {nil, "http://HOST", true}, {nil, "https://example.com", false}, {nil, "null", false},
		{[]string{"https://example.com"}, "https://example.com", true}, {[]string{"https://Example.com"}, "https://EXAMPLE.com", true},
		{[]string{"https://example.com"}, "http://example.com", false}, {[]string{"https://example.com"}, "https://example.com:8443", false},
		{[]string{"https://example.com"}, "https://example.com.evil.net", false}, {[]string{"https://example.com"}, "https://evil-example.com", false},
		{[]string{"https://*.example.com"}, "https://a.example.com", true}, {[]string{"https://*.example.com"}, "https://a.b.example.com", true},
		{[]string{"https://*.example.com"}, "https://example.com", false}, {[]string{"https://*.example.com"}, "https://evilexample.com", false},
		{[]string{"https://*.example.com"}, "https://.example.com", false}, {[]string{"https://*.example.com"}, "http://a.example.com", false},
		{[]string{"https://a.net", "http://localhost:3000"}, "http://localhost:3000", true},
		{[]string{"*"}, "https://anything", true}, {[]string{"*"}, "null", true},
	} {
		r := newRig(t, func(e *edge.Config) { e.Origins = c.origins })
		for _, ask := range asks {
			var lines []string
			if c.origin != "" {
				lines = []string{"Origin: " + strings.ReplaceAll(c.origin, "HOST", host)}
			}
			got, text := statusOf(t, r, ask.target+"a", lines...)
			if got == 403 && !strings.Contains(text, "bad_origin") || (got != 403) != c.ok {
				t.Errorf("%v, from %q, %s: %d %s", c.origins, c.origin, ask.name, got, text)
			}
		}
	}
	for _, bad := range []string{"", "example.com", "https://", "https://a/b", "https://a.*.com", "https://a@b"} {
		e := edge.Defaults()
		e.Origins = []string{bad}
		if _, err := edge.New(e); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
