package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"encke/edge"
)

func TestPush(t *testing.T) {
	r := newRig(t, nil)
	res, body := r.ask(t, "POST", "/channels/a", "x")
	w := parseWire(t, []byte(body))
	if res.StatusCode != 202 || w.Channel != "a" || w.Offset != 1 || !strings.HasSuffix(w.Position, ".1") || !strings.Contains(body, `"subscribers":0`) {
		t.Errorf("%s %s", res.Status, body)
	}
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	if res, body = r.ask(t, "POST", "/channels/a", "x"); res.StatusCode != 201 || !strings.Contains(body, `"offset":2`) || !strings.Contains(body, `"subscribers":1`) {
		t.Errorf("%s %s", res.Status, body)
	}
	p.text()
	for _, c := range []struct{ name, target, header, body, event, typ, encoding, data string }{
		{"text without a type", "/channels/a", "", "plain", "", "", "", `"plain"`},
		{"what curl -d says", "/channels/a", "Content-Type: application/x-www-form-urlencoded", "plain", "", "", "", `"plain"`},
		{"JSON", "/channels/a", "Content-Type: application/json; charset=utf-8", "[1,\n2]", "", "", "", `[1,2]`},
		{"+json", "/channels/a", "Content-Type: application/ld+json", `{"a":null}`, "", "", "", `{"a":null}`},
		{"text", "/channels/a", "Content-Type: text/plain", "a \"quote\"\n", "", "text/plain", "", `"a \"quote\"\n"`},
		{"octets", "/channels/a", "Content-Type: application/octet-stream", "abc", "", "application/octet-stream", "base64", `"YWJj"`},
		{"an image", "/channels/a", "Content-Type: image/png", "abc", "", "image/png", "base64", `"YWJj"`},
		{"not UTF-8", "/channels/a", "", "\xff", "", "", "base64", `"/w=="`},
		{"event by header", "/channels/a", "Encke-Event: score", "x", "score", "", "", `"x"`},
		{"event by query", "/channels/a?event=two+words%21", "", "x", "two words!", "", "", `"x"`},
		{"the header wins", "/channels/a?event=query", "Encke-Event: header", "x", "header", "", "", `"x"`},
		{"escaped name", "/channels/%61", "", "x", "", "", "", `"x"`},
		{"a quote in the event", "/channels/a", `Encke-Event: "`, "x", `"`, "", "", `"x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines []string
			if c.header != "" {
				lines = append(lines, c.header)
			}
			want := r.push(t, strings.TrimPrefix(c.target, "/channels/"), c.body, lines...)
			w := p.text()
			if w.Position != want.Position || w.Event != c.event || w.Encoding != c.encoding || string(w.Data) != c.data || w.Type != c.typ {
				t.Errorf("got %+v data %s", w, w.Data)
			}
		})
	}
}

func TestEveryNameThatIsAllowedWorks(t *testing.T) {
	r := newRig(t, nil)
	for _, name := range []string{"a-b_c.d:e@f=g~h+i!j", strings.Repeat("n", 128), "0", "x$y"} {
		p := newWS(t, r.public, "/ws?channels="+name)
		if w := p.text(); w.Subscribed == nil || w.Subscribed.Channel != name {
			t.Fatalf("%s: got %+v", name, w)
		}
		r.push(t, name, "x")
		if w := p.text(); w.Channel != name || w.Offset != 1 {
			t.Errorf("%s: got %+v", name, w)
		}
		var escaped strings.Builder
		for _, c := range []byte(name) {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
		_, _, body := openStream(t, r.public, "/sse?channels="+escaped.String()+"&since=0")
		if _, w := (events{t, body}).publication(); w.Channel != name {
			t.Errorf("%s: got %+v", name, w)
		}
		p.Close()
	}
}

func TestPublish(t *testing.T) {
	r := newRig(t, nil)
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	const asJSON = "Content-Type: application/json"
	post := func(body string) (int, string) {
		t.Helper()
		res, text := r.ask(t, "POST", "/publish", body, asJSON)
		return res.StatusCode, text
	}
	if status, text := post(`{"channel":"a","event":"e","data":{"n": [1, 2]}}`); status != 201 || !strings.Contains(text, `"channel":"a","offset":1`) {
		t.Errorf("%d %s", status, text)
	}
	if w := p.text(); w.Event != "e" || string(w.Data) != `{"n": [1, 2]}` {
		t.Errorf("got %+v", w)
	}
	if status, _ := post(`{"channel":"b","data":null}`); status != 202 {
		t.Errorf("to nobody: %d", status)
	}
	var many struct{ Results []wire }
	status, text := post(`{"channels":["b","a","$stats","no name"],"data":"x"}`)
	if err := json.Unmarshal([]byte(text), &many); err != nil || status != 201 || len(many.Results) != 4 {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if m := many.Results; m[0].Channel != "b" || m[0].Offset != 2 || m[1].Offset != 2 || m[2].Error.Code != "reserved_channel" || m[3].Error.Code != "bad_channel" {
		t.Errorf("got %s", text)
	}
	if w := p.text(); string(w.Data) != `"x"` {
		t.Errorf("got %+v", w)
	}
	if status, text := post(`{"channels":["b","c"],"data":"x"}`); status != 202 {
		t.Errorf("to nobody: %d %s", status, text)
	}
	for _, c := range []struct {
		body, code string
		offset     int
	}{
		{`{"channel":"a","data":1`, "bad_json", 23},
		{`{"channel":"a","data":tru}`, "bad_json", 26},
		{`{"channel":"a","channels":["b"],"data":1}`, "bad_message", 0},
		{`{"data":1}`, "bad_message", 0},
		{`{"channel":7,"data":1}`, "bad_message", 0},
		{`[]`, "bad_message", 0},
		{`{"channel":"","data":1}`, "bad_channel", 0},
		{`{"channel":"a","event":"two\nlines","data":1}`, "bad_message", 0},
		{`{"channel":"$stats","data":1}`, "reserved_channel", 0},
	} {
		_, text := post(c.body)
		w := parseWire(t, []byte(text))
		if w.Error == nil || w.Error.Code != c.code || w.Error.Offset != c.offset {
			t.Errorf("%s: got %s, want %s at %d", c.body, text, c.code, c.offset)
		}
	}
}

func TestPublishLines(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 100 })
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	in := []struct{ line, want string }{
		{`{"channel":"a","data":1}`, `"offset":1,`},
		{`{"channel":"a","data":`, `"bad_json"`},
		{`{"channels":["a","b"],"data":2}`, `"channel":"a","offset":2`},
		{``, `"channel":"b","offset":1`}, // of the line before
		{`{"channel":"a b","data":3}`, `"bad_channel"`},
		{`{"channel":"a","data":"` + strings.Repeat("x", 200) + `"}`, `"message_too_large"`},
		{`{"channel":"$x","data":3}`, `"reserved_channel"`},
		{`not JSON at all`, `"bad_json"`},
		{`{"channel":"a","data":3}` + "\r", `"offset":3,`},
	}
	var body []string
	for _, c := range in {
		body = append(body, c.line)
	}
	for _, end := range []string{"", "\n"} {
		res, text := r.ask(t, "POST", "/publish", strings.Join(body, "\n")+end, "Content-Type: application/x-ndjson")
		got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if res.StatusCode != 200 || len(got) != len(in) || res.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%s %s", res.Status, text)
		}
		for i, c := range in {
			if !json.Valid([]byte(got[i])) || end == "" && !strings.Contains(got[i], c.want) {
				t.Errorf("%s: got %s, want %s", c.line, got[i], c.want)
			}
		}
	}
	for n := uint64(1); n <= 6; n++ {
		if w := p.text(); w.Offset != n {
			t.Errorf("got %+v, want offset %d", w, n)
		}
	}
}

// TestPublishManyLines is longer than one turn of the loop, and than a loop's backlog.
func TestPublishManyLines(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxBacklog = 2000; c.MaxPending = 4 << 20 })
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	const n = 3000
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, "{\"channel\":\"a\",\"data\":%d}\n", i)
	}
	for _, framing := range []string{"Content-Length", "chunked"} {
		q := newPeer(t, r.backend)
		if framing == "chunked" {
			q.write("POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := body.String(); rest != ""; {
				part := rest[:min(len(rest), 10_000)]
				rest = rest[len(part):]
				q.write(fmt.Sprintf("%x\r\n%s\r\n", len(part), part))
			}
			q.write("0\r\n\r\n")
		} else {
			q.write(fmt.Sprintf("POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", body.Len(), body.String()))
		}
		results := strings.Count(q.want(200), `"offset":`)
		if results != n {
			t.Errorf("%s: %d results, want %d", framing, results, n)
		}
		for i := range n {
			if w := p.text(); string(w.Data) != fmt.Sprint(i) {
				t.Fatalf("%s: got %s, want %d", framing, w.Data, i)
			}
		}
		q.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") // the connection goes on
		q.want(200)
	}
}

func TestHistory(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.HistoryLength = 2000 })
	var first wire
	for i := range 150 {
		w := r.push(t, "h", fmt.Sprint(i))
		if i == 0 {
			first = w
		}
	}
	for _, c := range []struct {
		query           string
		from, n, status int
	}{
		{"", 1, 100, 200}, {"?limit=1", 1, 1, 200}, {"?limit=1000", 1, 150, 200}, {"?since=0&limit=3", 1, 3, 200},
		{"?since=" + first.Position, 2, 100, 200}, {"?since=" + epochOf(first.Position) + ".149&limit=5", 150, 1, 200},
		{"?since=" + epochOf(first.Position) + ".150", 0, 0, 200}, {"?since=other.3&limit=1000", 1, 150, 200}, {"?since=", 0, 0, 200},
		{"?limit=0", 0, 0, 400}, {"?limit=1001", 0, 0, 400}, {"?limit=x", 0, 0, 400}, {"?since=x", 0, 0, 400},
	} {
		res, body := r.ask(t, "GET", "/channels/h/history"+c.query, "")
		if res.StatusCode != c.status {
			t.Errorf("%s: %s", c.query, res.Status)
			continue
		}
		if c.status != 200 {
			continue
		}
		var h struct {
			Publications []wire
			Position     string
			Recovered    bool
		}
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			t.Fatal(err)
		}
		if len(h.Publications) != c.n || c.n > 0 && h.Publications[0].Offset != uint64(c.from) {
			t.Errorf("%s: %d publications, want %d", c.query, len(h.Publications), c.n)
		}
		if c.n > 0 && h.Position != h.Publications[c.n-1].Position {
			t.Errorf("%s: position %s", c.query, h.Position)
		}
		if want := !strings.Contains(c.query, "other"); h.Recovered != want {
			t.Errorf("%s: recovered %v", c.query, h.Recovered)
		}
	}
}

func TestStateAndDelete(t *testing.T) {
	r := newRig(t, nil)
	p := newWS(t, r.public, "/ws?channels=s")
	p.text()
	r.push(t, "s", "x")
	p.text()
	res, body := r.ask(t, "GET", "/channels/s", "")
	if res.StatusCode != 200 || !strings.Contains(body, `"offset":1,"subscribers":1,"history":{"length":1,"bytes":`) {
		t.Errorf("%s %s", res.Status, body)
	}
	if res, body := r.ask(t, "DELETE", "/channels/s", ""); res.StatusCode != 204 || body != "" {
		t.Errorf("%s %s", res.Status, body)
	}
	if _, body = r.ask(t, "GET", "/channels/s", ""); !strings.Contains(body, `"offset":1,"subscribers":1,"history":{"length":0,"bytes":0}`) {
		t.Errorf("got %s", body)
	}
	if w := r.push(t, "s", "y"); w.Offset != 2 { // offsets go on
		t.Errorf("got %+v", w)
	}
	if w := p.text(); w.Offset != 2 { // subscribers stay
		t.Errorf("got %+v", w)
	}
	r.push(t, "gone", "x")
	for _, want := range []int{204, 404} {
		if res, _ := r.ask(t, "DELETE", "/channels/gone", ""); res.StatusCode != want {
			t.Errorf("got %s, want %d", res.Status, want)
		}
	}
	if res, _ := r.ask(t, "GET", "/channels/gone", ""); res.StatusCode != 404 {
		t.Errorf("got %s", res.Status)
	}
	if w := r.push(t, "gone", "x"); w.Offset != 2 {
		t.Errorf("a channel that comes back goes on at %d", w.Offset)
	}
}

func TestFiguresAndHealth(t *testing.T) {
	r := newRig(t, nil)
	newWS(t, r.public, "/ws?channels=a").text()
	r.push(t, "a", "x")
	res, body := r.ask(t, "GET", "/stats", "")
	var st edge.Stats
	if err := json.Unmarshal([]byte(body), &st); err != nil || res.StatusCode != 200 {
		t.Fatal(res.Status, err)
	}
	if st.Connections["ws"] != 1 || st.Channels.Subscriptions != 1 || st.Messages.Published < 1 || len(st.Loops) != 3 || st.Memory.RSS == 0 {
		t.Errorf("got %s", body)
	}
	res, body = r.ask(t, "GET", "/metrics", "")
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	for _, line := range []string{`encke_connections{transport="ws"} 1`, "encke_subscriptions 1", "# TYPE encke_published_total counter", "go_goroutines "} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("the metrics lack %q", line)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if res, body := r.ask(t, "GET", path, ""); res.StatusCode != 200 || body != "ok\n" {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
	}
	for _, path := range []string{"/stats", "/metrics", "/healthz", "/channels/a", "/channels/a/history"} {
		res, body := r.ask(t, "HEAD", path, "")
		if res.StatusCode != 200 || body != "" || res.ContentLength <= 0 {
			t.Errorf("HEAD %s: %s", path, res.Status)
		}
	}
}

func TestBackendMethods(t *testing.T) {
	r := newRig(t, nil)
	for path, allow := range map[string]string{"/publish": "POST, OPTIONS", "/stats": "GET, HEAD, OPTIONS", "/healthz": "GET, HEAD, OPTIONS",
		"/channels/a": "GET, HEAD, POST, DELETE, OPTIONS", "/channels/a/history": "GET, HEAD, OPTIONS"} {
		if res, _ := r.ask(t, "PATCH", path, ""); res.StatusCode != 405 || res.Header.Get("Allow") != allow {
			t.Errorf("PATCH %s: %s %q", path, res.Status, res.Header.Get("Allow"))
		}
		if res, body := r.ask(t, "OPTIONS", path, ""); res.StatusCode != 204 || res.Header.Get("Allow") != allow || body != "" {
			t.Errorf("OPTIONS %s: %s %q", path, res.Status, res.Header.Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/ws", "/channels", "/channels/", "/channels/a/b"} {
		if res, _ := r.ask(t, "GET", path, ""); res.StatusCode != 404 && res.StatusCode != 400 {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.backend)
	p.write("POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := p.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q %v", line, err)
	}
	_, _ = p.r.ReadString('\n')
	p.write("hello")
	p.want(202)
}

// TestBackendPaths: a path is one that PROTOCOL.md names, to its end; whatever else begins or ends like it is nothing.
func TestBackendPaths(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.Presence, c.Console = "members", []byte("<p>") })
	r.push(t, "a", "x")
	for _, c := range []struct {
		path   string
		status int // of GET; with more behind it: 404
	}{
		{"/", 200}, {"/console", 200}, {"/stats", 200}, {"/metrics", 200}, {"/healthz", 200}, {"/readyz", 200},
		{"/publish", 405}, {"/tokens/revoke", 405}, {"/users", 405}, {"/users/42", 200}, {"/users/42/mailbox", 200}, {"/users/42/connections", 405},
		{"/channels/a", 200}, {"/channels/a/history", 200}, {"/channels/a/presence", 200}, {"/sse?channels=a", 200},
		{"/users/", 400}, {"/users//mailbox", 400}, {"/channels/", 400}, {"/channels//history", 400}, {"/users/a%2Fmailbox", 400}, {"/channels/a%2Fhistory", 400},
		{"/channels", 404}, {"/nothing", 404}, {"//", 404}, {"//stats", 404}, {"/./stats", 404}, {"/Stats", 404}, {"/%73tats", 404},
		{"/console/x", 404}, {"/channels/a/stats", 404}, {"/channels/a/History", 404}, {"/users/42/presence", 404}, {"/users/42/43", 404},
		{"/channels/a/presence/history", 404}, {"/channels/a/history/presence", 404}, {"/channels/a/b/history", 404}, {"/channels/a//history", 404},
		{"/users/42/mailbox/connections", 404}, {"/users/42/connections/mailbox", 404}, {"/users/42//mailbox", 404},
	} {
		ends := []string{""}
		if c.status != 400 && c.path != "/" && c.path != "/users" && c.path != "/channels" { // what follows those is a name
			ends = append(ends, "/", "/x")
		}
		for _, end := range ends {
			path, query, _ := strings.Cut(c.path, "?")
			want := c.status
			if end != "" {
				want = 404
			}
			p := newPeer(t, r.backend)
			p.get(path + end + "?" + query)
			res := p.head("GET")
			if p.Close(); res.StatusCode != want {
				t.Errorf("%s%s: %s, want %d", path, end, res.Status, want)
			}
		}
	}
}
