package edge_test

import (
	"strings"
	"testing"
	"time"

	"encke/edge"
	"encke/token"
)

// TestRefusalsAreLogged: who is refused is logged once, with who and why, and nothing secret. No code comes more often than is logged
// in a second.
func TestRefusalsAreLogged(t *testing.T) {
	const key, scoped = "0123456789abcdef-all", "0123456789abcdef-read"
	r, log := guarded(t, func(c *edge.Config) {
		c.Presence, c.Origins = "members", []string{"https://good.example"}
		for _, line := range []string{key, scoped + " read"} {
			k, err := edge.ParseBackendKey(line)
			if err != nil {
				t.Fatal(err)
			}
			c.BackendKeys = append(c.BackendKeys, k)
		}
	})
	good, expired, revoked := tokenFor(t, "42", time.Hour, "news"), tokenFor(t, "42", -time.Hour), tokenFor(t, "77", time.Hour, "news")
	forged, _ := token.Issue([]byte(strings.Repeat("x", 32)), "42", nil, time.Now(), time.Hour)
	if res, text := r.ask(t, "POST", "/tokens/revoke", `{"user":"77"}`, "Authorization: Bearer "+key); res.StatusCode != 204 {
		t.Fatal(text)
	}
	for _, c := range []struct {
		name, method, target, lines string
		want                        int
		log                         []string
	}{
		{"expired", "GET", "/poll?channels=public&token=" + expired, "", 401, []string{"token_expired", "expired"}},
		{"forged", "GET", "/poll?channels=public&token=" + forged, "", 401, []string{"bad_token", "signature"}},
		{"revoked", "GET", "/poll?channels=public&token=" + revoked, "", 401, []string{"token_revoked", "user 77"}},
		{"outside of its rights", "GET", "/sse?channels=other&token=" + good, "", 403, []string{"forbidden", "user 42", "read other"}},
		{"somebody else's channel", "GET", "/stream?channels=user:43&token=" + good, "", 403, []string{"forbidden", "user 42", "read user:43"}},
		{"no token", "GET", "/poll?channels=news", "", 403, []string{"forbidden", "without a token", "read news"}},
		{"presence without the right", "GET", "/presence?channel=news&token=" + good, "", 403, []string{"forbidden", "user 42", "see who is in news"}},
		{"a foreign page", "GET", "/poll?channels=public", "Origin: https://evil.example\r\n", 403, []string{"bad_origin", "evil.example"}},
		{"no key", "POST", "/channels/news", "", 401, []string{"bad_key", "POST /channels/news"}},
		{"a key that is not for that", "POST", "/channels/news", "Authorization: Bearer " + scoped + "\r\n", 403, []string{"forbidden", "POST /channels/news"}},
	} {
		before := len(log())
		addr := r.public
		if c.method == "POST" {
			addr = r.backend
		}
		p := newPeer(t, addr)
		p.write(c.method + " " + c.target + " HTTP/1.1\r\nHost: localhost\r\n" + c.lines + "Content-Length: 0\r\n\r\n")
		p.want(c.want)
		said := log()[before:]
		if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "127.0.0.1: ") {
			t.Errorf("%s: logged %q, want one line", c.name, said)
		}
		for _, want := range c.log {
			if !strings.Contains(said, want) {
				t.Errorf("%s: logged %q, without %q", c.name, said, want)
			}
		}
	}
	for _, secret := range []string{good, expired, forged, revoked, key, scoped, string(tokenSecret)} {
		if strings.Contains(log(), secret) {
			t.Errorf("the log has a secret: %s", log())
		}
	}
}
