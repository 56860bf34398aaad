package edge_test

import (
	"strings"
	"testing"

	"encke/edge"
)

func keys(t *testing.T, lines ...string) (all []edge.BackendKey) {
	t.Helper()
	for _, line := range lines {
		k, err := edge.ParseBackendKey(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

// TestBackendKeys: every request of the backend listener needs a key with its scope; health does not.
func TestBackendKeys(t *testing.T) {
	const all, pusher, reader, watcher = "all-of-it-all-of-it", "push-push-push-push", "read-read-read-read", "stat-stat-stat-stat"
	r, log := guarded(t, func(c *edge.Config) {
		c.BackendKeys = keys(t, all, pusher+" publish", reader+" read,manage", watcher+" stats")
	})
	for _, c := range []struct {
		method, target, body string
		allowed              []string
	}{
		{"POST", "/channels/a", "x", []string{all, pusher}},
		{"POST", "/publish", `{"channel":"a","data":1}`, []string{all, pusher}},
		{"POST", "/users/42", "x", []string{all, pusher}},
		{"GET", "/channels/a", "", []string{all, reader}},
		{"GET", "/channels/a/history", "", []string{all, reader}},
		{"GET", "/users/42", "", []string{all, reader}},
		{"POST", "/users", `{"users":[]}`, []string{all, reader}},
		{"GET", "/stats", "", []string{all, watcher}},
		{"GET", "/metrics", "", []string{all, watcher}},
		{"DELETE", "/users/42/connections", "", []string{all, reader}},
		{"POST", "/tokens/revoke", `{"id":"x"}`, []string{all, reader}},
		{"GET", "/nothing", "", []string{all, reader}},
	} {
		for _, key := range []string{"", "wrong-wrong-wrong-wrong", all[:len(all)-1], all + "x", all, pusher, reader, watcher} {
			want := "forbidden"
			switch {
			case strings.Contains(" "+strings.Join(c.allowed, " ")+" ", " "+key+" ") && key != "":
				want = ""
			case key != all && key != pusher && key != reader && key != watcher:
				want = "bad_key"
			}
			lines := []string{"Content-Type: application/json"}
			if key != "" {
				lines = append(lines, "Authorization: Bearer "+key)
			}
			res, text := r.ask(t, c.method, c.target, c.body, lines...)
			if refused := res.StatusCode == 401 || res.StatusCode == 403; refused != (want != "") || !strings.Contains(text, want) {
				t.Errorf("%s %s with %q: %s %s, want %q", c.method, c.target, key, res.Status, text, want)
			}
		}
	}
	for _, target := range []string{"/healthz", "/readyz"} {
		if res, _ := r.ask(t, "GET", target, ""); res.StatusCode != 200 {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
	for _, secret := range []string{all, pusher, "wrong-wrong"} {
		if strings.Contains(log(), secret) {
			t.Errorf("the log shows a key:\n%s", log())
		}
	}
}

// TestOpenBackend: without keys the backend listener is for this machine alone.
func TestOpenBackend(t *testing.T) {
	for backend, ok := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, ":0": false, "0.0.0.0:0": false, "192.0.2.1:0": false, "[::]:0": false} {
		c := edge.Defaults()
		c.Backend = backend
		if _, err := edge.New(c); (err == nil) != ok {
			t.Errorf("%s: %v", backend, err)
		}
		c.BackendKeys = keys(t, "0123456789abcdef")
		if _, err := edge.New(c); err != nil {
			t.Errorf("%s with a key: %v", backend, err)
		}
	}
	for _, line := range []string{"", "short", "0123456789abcdef rule", "0123456789abcdef publish read", "0123456789abcdef ,"} {
		if _, err := edge.ParseBackendKey(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

// TestBackendHost: without keys a request names this machine in a way in which no stranger can, whatever else it brings; who has a key
// may name it as it likes.
func TestBackendHost(t *testing.T) {
	open, log := guarded(t, nil)
	keyed, _ := guarded(t, func(c *edge.Config) { c.BackendKeys = keys(t, "0123456789abcdef") })
	for _, c := range []struct {
		host string
		ok   bool
	}{
		{"127.0.0.1:8081", true}, {"127.0.0.1", true}, {"localhost:8081", true}, {"LocalHost", true}, {"localhost.", true}, {"a.localhost:1", true},
		{"[::1]:8081", true}, {"[::1]", true}, {"192.0.2.1:8081", true},
		{"evil.example:8081", false}, {"evil.example", false}, {"x", false}, {"localhost.evil.example", false}, {"evillocalhost", false},
		{"127.0.0.1.evil.example:8081", false}, {"127.0.0.1:8081:1", false}, {"[evil.example]:8081", false},
	} {
		for _, request := range []string{"GET /channels/a/history", "POST /channels/a", "GET /", "GET /healthz", "OPTIONS /publish"} {
			for _, origin := range []string{"", "Origin: http://" + c.host + "\r\n"} {
				for _, r := range []*rig{open, keyed} {
					p := newPeer(t, r.backend)
					p.write(request + " HTTP/1.1\r\nHost: " + c.host + "\r\n" + origin + "Authorization: Bearer 0123456789abcdef\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
					res, text := p.answer()
					if refused := res.StatusCode == 403 && strings.Contains(text, "bad_host"); refused == (c.ok || r == keyed) || !refused && res.StatusCode == 403 {
						t.Errorf("%s of %q, %q: %s %s", request, c.host, origin, res.Status, text)
					}
					p.Close()
				}
			}
		}
	}
	p := newPeer(t, open.backend) // who says nothing is no browser (RFC 9112 3.2: HTTP/1.0 need not)
	p.write("GET /readyz HTTP/1.0\r\n\r\n")
	if res, text := p.answer(); res.StatusCode != 200 {
		t.Errorf("without a Host: %s %s", res.Status, text)
	}
	if !strings.Contains(log(), "bad_host: a request to evil.example:8081") {
		t.Errorf("logged %q", log())
	}
}
