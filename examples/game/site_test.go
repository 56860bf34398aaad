package game

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"encke/examples/site"
)

func TestReadPublication(t *testing.T) {
	for _, c := range []struct {
		text string
		user string // "": is none
	}{
		{`{"channel":"game:wishes","user":"a.1","data":{"n":1,"t":2,"d":90,"b":true}}`, "a.1"},
		{`{"user":"a.1","data":{"n":1,"t":2,"d":-1,"b":false}}`, "a.1"},
		{`{"data":{"n":1,"t":2,"d":90,"b":true}}`, ""}, // the backend, or one without a token
		{`{"user":"a.1","data":{"n":1,"t":2,"d":90,"b":true,"user":"b.1"}}`, ""},
		{`{"user":"a.1","data":{"n":1,"t":2,"b":true}}`, ""},
		{`{"user":"a.1","data":{"n":1,"t":2,"d":1.5,"b":true}}`, ""},
		{`{"user":"a.1","data":{"n":1,"t":2,"d":"90","b":true}}`, ""},
		{`{"user":"a.1","data":{"n":1e300,"t":2,"d":90,"b":true}}`, ""},
		{`{"user":"a.1","data":{"n":0,"t":2,"d":90,"b":true}}`, ""},
		{`{"user":"a.1","data":[1,2,3]}`, ""},
		{`{"user":"a.1","data":"{\"n\":1}"}`, ""},
		{`{"user":"a.1","data":null}`, ""},
		{`{"user":"a.1"}`, ""},
		{`{"user":5,"data":{"n":1,"t":2,"d":90,"b":true}}`, ""},
		{`{"channel":"game:wishes","gap":true,"reason":"expired","position":"x.1"}`, ""},
		{`nonsense`, ""},
		{``, ""},
	} {
		user, w, ok := readPublication([]byte(c.text))
		if ok != (c.user != "") || ok && (user != c.user || w.N != 1 || w.T != 2) {
			t.Errorf("%s: %q %+v %v", c.text, user, w, ok)
		}
	}
}

// encke is as much of Encke as the game needs: it takes states, and gives a wish over each event stream, which it then cuts.
type encke struct {
	states  chan []byte
	streams atomic.Int32
	wish    string
}

func (e *encke) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/publish":
		var m struct {
			Channel string
			Data    json.RawMessage
		}
		if json.NewDecoder(r.Body).Decode(&m) != nil || m.Channel != "game:arena" {
			http.Error(w, "wrong", http.StatusBadRequest)
		}
		select {
		case e.states <- m.Data:
		default:
		}
		fmt.Fprint(w, "{}")
	case "/sse":
		if e.streams.Add(1)%2 == 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, ": hello\n\nid: x.1\ndata: {\"user\":\"nobody.1\",\"data\":%s}\n\n", e.wish)
	}
}

func start(t *testing.T) (*encke, *http.ServeMux, *game) {
	e := &encke{states: make(chan []byte, 4), wish: `{"n":1,"t":2,"d":90,"b":true}`}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	mux := http.NewServeMux()
	g := register(ctx, &site.Site{Backend: server.URL, Secret: []byte(strings.Repeat("s", 32))}, mux)
	return e, mux, g
}

// The stream of wishes is followed again whenever it is cut or refused.
func TestFollow(t *testing.T) {
	e := &encke{wish: `{}`}
	server := httptest.NewServer(e)
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	took, over := make(chan string), make(chan struct{})
	go func() {
		follow(ctx, server.URL+"/sse?channels=game:wishes", func(data []byte) { took <- string(data) })
		close(over)
	}()
	for range 2 {
		if text := <-took; !strings.Contains(text, `"user":"nobody.1"`) {
			t.Error(text)
		}
	}
	cancel()
	for {
		select {
		case <-took:
		case <-over:
			return
		}
	}
}

func TestSite(t *testing.T) {
	e, mux, _ := start(t)
	server := httptest.NewServer(mux)
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	ada := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	ask := func(c *http.Client, path, body string) (int, string) {
		res, err := c.Post(server.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text := make([]byte, 4096)
		n, _ := res.Body.Read(text)
		return res.StatusCode, string(text[:n])
	}
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/game/token?seat=1", "", 200},
		{"/game/token", "", 400},
		{"/game/token?seat=5", "", 400},
		{"/game/token?seat=x", "", 400},
		{"/game/join?seat=0", "{}", 400},
		{"/game/join?seat=1", "", 400},
		{"/game/wish?seat=1", `{"n":1}`, 400},
		{"/game/wish?seat=1", `[]`, 400},
		{"/game/join?seat=1", "{}", 200},
		{"/game/wish?seat=1", `{"n":1,"t":77,"d":0,"b":false}`, 204},
	} {
		if status, text := ask(ada, c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, text)
		}
	}
	for { // until a state shows that the wish has come
		var state struct{ P [][]any }
		if err := json.Unmarshal(<-e.states, &state); err != nil {
			t.Fatal(err)
		}
		if len(state.P) == 3 && state.P[0][13] == 77.0 {
			break
		}
	}
	ask(http.DefaultClient, "/game/leave?seat=1", "{}") // another visitor
	if state := string(<-e.states); strings.Contains(state, `"p":[]`) {
		t.Errorf("somebody else has taken her out: %s", state)
	}
	if status, _ := ask(ada, "/game/leave?seat=1", "{}"); status != 204 {
		t.Error(status)
	}
	for !strings.Contains(string(<-e.states), `"p":[]`) {
	}
}

// Nothing is pushed and no tick passes while nobody flies.
func TestRest(t *testing.T) {
	e, _, g := start(t)
	look := func(f func(a *Arena)) {
		done := make(chan struct{})
		g.do <- func(a *Arena) { f(a); close(done) }
		<-done
	}
	look(func(a *Arena) { a.Join("ada.1", "Ada") })
	<-e.states
	look(func(a *Arena) { a.Leave("ada.1") })
	for !strings.Contains(string(<-e.states), `"p":[]`) {
	}
	var before, after int64
	look(func(a *Arena) { before = a.tick })
	time.Sleep(3 * tickTime)
	look(func(a *Arena) { after = a.tick })
	if before != after || before == 0 {
		t.Errorf("%d, then %d", before, after)
	}
	select {
	case state := <-e.states:
		t.Errorf("pushed: %s", state)
	default:
	}
}
