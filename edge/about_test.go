package edge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"encke/edge"
	"encke/webhook"
)

// TestErrorsSayWhichChannel: an error that is about one channel names it as the client did, on every way; others name none.
func TestErrorsSayWhichChannel(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		w.WriteHeader(map[string]int{"asked:no": 403, "asked:down": 500}[q.Channel])
	}, nil)
	r, _ := asking(t, s, "", func(c *edge.Config) {
		c.Anonymous, c.MaxChannels = []string{"public", "other", "small", "full", "asked:*"}, 3
		c.Rules = []edge.Rule{{Pattern: "small", MaxMessage: ptr(3)}, {Pattern: "full", MaxSubscribers: ptr(1)},
			{Pattern: "asked:*", Hooks: ptr("subscribe")}, {Pattern: "seen", Presence: ptr("members"), SeePresence: ptr("granted")}}
	})
	_, _, full := openStream(t, r.public, "/stream?channels=full")
	if _, err := full.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.push(t, "public", "x", "Idempotency-Key: 1")
	long := strings.Repeat("n", 129)
	for _, c := range []struct{ method, target, body, code, channel string }{
		{"GET", "/sse?channels=public,secret", "", "forbidden", "secret"},
		{"GET", "/poll?channels=secret&wait=0", "", "forbidden", "secret"},
		{"GET", "/poll?channels=public,full", "", "channel_full", "full"},
		{"GET", "/stream?channels=public,a%20b", "", "bad_channel", "a b"},
		{"GET", "/stream?channels=public,a%22", "", "bad_channel", `a"`},
		{"GET", "/stream?channels=" + long, "", "bad_channel", ""},
		{"GET", "/stream?channels=a%ff", "", "bad_channel", ""},
		{"GET", "/stream?channels=a%zz", "", "bad_channel", ""},
		{"GET", "/poll?channels=public,public", "", "duplicate_channel", "public"},
		{"GET", "/poll?channels=$presence:public", "", "no_presence", "$presence:public"},
		{"GET", "/poll?channels=$presence:seen", "", "forbidden", "$presence:seen"},
		{"GET", "/presence?channel=public", "", "no_presence", "public"},
		{"GET", "/presence?channel=seen", "", "forbidden", "seen"},
		{"GET", "/poll", "", "no_channel", ""},
		{"GET", "/poll?channels=public,other,small,full", "", "too_many_channels", ""},
		{"GET", "/poll?channels=public&since=x", "", "bad_since", ""},
		{"GET", "/poll?channels=public&token=x", "", "bad_token", ""},
		{"backend POST", "/channels/$stats", "x", "reserved_channel", "$stats"},
		{"backend POST", "/channels/a%20b", "x", "bad_channel", "a b"},
		{"backend POST", "/channels/small", "long", "message_too_large", "small"},
		{"backend POST", "/users/7", strings.Repeat("x", 1<<20), "message_too_large", ""},
		{"backend POST", "/publish", `{"channels":["other","public"],"id":"1","data":"y"}`, "id_reused", "public"},
		{"backend POST", "/publish", `{"channels":["public","fresh"],"expect":"0","data":1}`, "conflict", "public"},
		{"backend POST", "/publish", `{"channel":"a b","data":1}`, "bad_channel", "a b"},
		{"backend POST", "/publish", `{"channel":"a","data":1,"ttl":-1}`, "bad_ttl", ""},
		{"backend GET", "/channels/nowhere", "", "unknown_channel", "nowhere"},
		{"backend DELETE", "/channels/nowhere", "", "unknown_channel", "nowhere"},
		{"backend GET", "/channels/public/presence", "", "no_presence", "public"},
		{"backend GET", "/sse?channels=a%20b", "", "bad_channel", "a b"},
		{"backend GET", "/sse?channels=a,a", "", "duplicate_channel", "a"},
	} {
		var text string
		if method, backend := strings.CutPrefix(c.method, "backend "); backend {
			_, text = r.ask(t, method, c.target, c.body, "Content-Type: application/json")
		} else {
			_, text = statusOf(t, r, c.target)
		}
		if w := errorIn(t, text); w.Error == nil || w.Error.Code != c.code || w.Error.Channel != c.channel {
			t.Errorf("%s %.60s: %s, want %s of %q", c.target, c.body, text, c.code, c.channel)
		}
	}
	p := newWS(t, r.public, "/ws?channels=public")
	p.text()
	for _, c := range []struct{ command, code, channel string }{
		{`{"subscribe":{"channel":"secret"}}`, "forbidden", "secret"},
		{`{"subscribe":{"channel":"full"}}`, "channel_full", "full"},
		{`{"subscribe":{"channel":"public"}}`, "already_subscribed", "public"},
		{`{"subscribe":{"channel":"a b"}}`, "bad_channel", "a b"},
		{`{"subscribe":{"channel":""}}`, "bad_channel", ""},
		{`{"subscribe":{"channel":"` + long + `"}}`, "bad_channel", ""},
		{`{"subscribe":{"channel":"$presence:seen"}}`, "forbidden", "$presence:seen"},
		{`{"subscribe":{"channel":"asked:no"}}`, "forbidden", "asked:no"},
		{`{"subscribe":{"channel":"asked:down"}}`, "hook_failed", "asked:down"},
		{`{"subscribe":{"channel":"other","since":"x"}}`, "bad_since", ""},
		{`{"unsubscribe":{"channel":"other"}}`, "not_subscribed", "other"},
		{`{"publish":{"channel":"public","data":1}}`, "forbidden", "public"},
		{`{"presence":{"channel":"public"}}`, "no_presence", "public"},
		{`{"ack":{"mail":1}}`, "bad_ack", ""},
		{`{"nonsense":1}`, "bad_command", ""},
	} {
		w := p.command(c.command)
		if w.Error == nil || w.Error.Code != c.code || w.Error.Channel != c.channel {
			t.Errorf("%s: %+v, want %s of %q", c.command, w.Error, c.code, c.channel)
		}
	}
}

// errorIn returns the error in an answer, or in the first of its results that has one.
func errorIn(t *testing.T, text string) wire {
	t.Helper()
	var answer struct {
		Results []wire
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, w := range answer.Results {
		if w.Error != nil {
			return w
		}
	}
	return parseWire(t, []byte(text))
}
