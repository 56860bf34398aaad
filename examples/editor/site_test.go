package editor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"encke/examples/site"
)

func at(text string) position {
	p, ok := readPosition(text)
	if !ok {
		panic("BUG: " + text)
	}
	return p
}

func TestPositions(t *testing.T) {
	for text, good := range map[string]bool{"e35vctb.2": true, "e.18446744073709551615": true, "e.18446744073709551616": false, "e.-1": false, "e": false, "": false,
		".1": false, "e.": false, "e.1,2": false, "e/f.1": false, "0": false} {
		if p, ok := readPosition(text); ok != good || ok && p.String() != text {
			t.Errorf("%q: %v, %v", text, p, ok)
		}
	}
}

func TestStates(t *testing.T) {
	full := base64.StdEncoding.EncodeToString(make([]byte, maxState))
	for state, good := range map[string]bool{"AAA=": true, full: true, full + "AAAA": false, "": false, "AA==": false, "AAA": false, "A A=": false, "AA\nA=": false, "é": false} {
		if goodState(state) != good {
			t.Errorf("%.20q: %v", state, !good)
		}
	}
}

// The steps of a document's life: what is put in place of what, and what a newcomer is given then.
func TestShelf(t *testing.T) {
	begin := time.Unix(1795224000, 0)
	snap := func(place, state string) snapshot { return snapshot{at(place), state} }
	a, b, c, d := snap("e.5", "a"), snap("e.9", "b"), snap("e.12", "c"), snap("f.1", "d")
	s := newShelf()
	for _, step := range []struct {
		what   string
		after  string
		put    snapshot
		at     time.Duration
		status int
		given  string
	}{
		{"in place of what never was", "e.1/x", a, 0, 409, ""},
		{"the first", "", a, 0, 0, "a"},
		{"a first again", "", b, time.Minute, 409, "a"},
		{"too soon", a.tag(), b, leastBetween / 2, 429, "a"},
		{"older than the newest", a.tag(), snap("e.4", "x"), time.Minute, 409, "a"},
		{"the second", a.tag(), b, time.Minute, 0, "b a"},
		{"in place of one that is not the newest", a.tag(), c, 2 * time.Minute, 409, "b a"},
		{"the third: the older one stays", b.tag(), c, 2 * time.Minute, 0, "c a"},
		{"better, at the same place", c.tag(), snap("e.12", "C"), 3 * time.Minute, 0, "C a"},
		{"by the tag of what was there at that place", c.tag(), snap("e.12", "x"), 4 * time.Minute, 409, "C a"},
		{"just before the older one may go", snap("e.12", "C").tag(), c, time.Minute + olderStays - 1, 0, "c a"},
		{"then, from after a restart", c.tag(), d, 2*time.Minute + olderStays, 0, "d c"},
	} {
		why := s.put("x", step.after, step.put, begin.Add(step.at))
		if why == nil && step.status != 0 || why != nil && why.status != step.status {
			t.Errorf("%s: %v", step.what, why)
		}
		var given []string
		for _, one := range s.get("x", begin) {
			given = append(given, one.state)
		}
		if got := strings.Join(given, " "); got != step.given {
			t.Errorf("%s: given %q, want %q", step.what, got, step.given)
		}
	}
}

func TestShelfIsBoundedAndGivesUpNoDocumentForAnother(t *testing.T) {
	now := time.Unix(1795224000, 0)
	s := newShelf()
	for i := range maxDocuments {
		if why := s.put(fmt.Sprint(i), "", snapshot{at("e.1"), "a"}, now); why != nil {
			t.Fatal(i, why)
		}
	}
	if why := s.put("new", "", snapshot{at("e.1"), "a"}, now.Add(unused-1)); why == nil || why.status != http.StatusInsufficientStorage {
		t.Errorf("one more: %v", why)
	}
	for i := range maxDocuments {
		if i != 7 {
			s.get(fmt.Sprint(i), now.Add(time.Hour))
		}
	}
	if why := s.put("new", "", snapshot{at("e.1"), "a"}, now.Add(unused)); why != nil || s.get("7", now) != nil || len(s.docs) != maxDocuments {
		t.Errorf("in place of one that nobody has used: %v", why)
	}
}

// What pages ask, before an Encke that is at e.7 in each channel but doc:none, and is told of what is pushed.
func TestAsked(t *testing.T) {
	var pushed []string
	encke := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /channels/doc:none":
			http.Error(w, `{"error":{"code":"unknown_channel"}}`, http.StatusNotFound)
		case "GET /channels/doc:a":
			fmt.Fprint(w, `{"channel":"doc:a","position":"e.7","history":{"length":3}}`)
		case "POST /publish":
			var m site.Message
			_ = json.NewDecoder(r.Body).Decode(&m)
			pushed = append(pushed, fmt.Sprint(m.Channel, " ", m.Event, " ", m.Data))
			fmt.Fprint(w, `{"position":"e.8"}`)
		}
	}))
	defer encke.Close()
	mux := http.NewServeMux()
	Register(t.Context(), &site.Site{Backend: encke.URL, Secret: []byte("0123456789abcdef0123456789abcdef")}, mux)
	ask := func(method, path, body string) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	put := func(name, place, after, state string) string {
		return fmt.Sprintf(`{"name":%q,"position":%q,"after":%q,"state":%q}`, name, place, after, state)
	}
	tag := snapshot{at("e.5"), "AAA="}.tag()
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		words                    string
	}{
		{"no name", "GET", "/editor/doc", "", 400, "name"},
		{"a name that would lead elsewhere", "GET", "/editor/doc?name=..%2Fx", "", 400, "name"},
		{"nothing there", "GET", "/editor/doc?name=none", "", 200, `{"snapshots":[],"newest":null,"from":"0"}`},
		{"history alone", "GET", "/editor/doc?name=a", "", 200, `{"snapshots":[],"newest":null,"from":"0","head":"e.7"}`},
		{"a bad name", "PUT", "/editor/doc", put("A", "e.5", "", "AAA="), 400, "name"},
		{"a bad position", "PUT", "/editor/doc", put("a", "5", "", "AAA="), 400, "position"},
		{"no base64", "PUT", "/editor/doc", put("a", "e.5", "", "?"), 400, "base64"},
		{"ahead of the channel", "PUT", "/editor/doc", put("a", "e.8", "", "AAA="), 409, "has not been there"},
		{"of another epoch", "PUT", "/editor/doc", put("a", "f.5", "", "AAA="), 409, "has not been there"},
		{"of a channel that is not there", "PUT", "/editor/doc", put("none", "e.5", "", "AAA="), 409, "has not been there"},
		{"a snapshot", "PUT", "/editor/doc", put("a", "e.5", "", "AAA="), 200, `{"tag":"` + tag + `","position":"e.5"}`},
		{"and what a newcomer gets", "GET", "/editor/doc?name=a", "", 200, `{"snapshots":["AAA="],"newest":{"tag":"` + tag + `","position":"e.5"},"from":"e.5","head":"e.7"}`},
		{"an update", "POST", "/editor/update", `{"name":"a","id":"i-1","update":"AAA="}`, 200, `{"position":"e.8"}`},
		{"an update with an id that is none", "POST", "/editor/update", `{"name":"a","id":"i 1","update":"AAA="}`, 400, "id"},
		{"an update that is none", "POST", "/editor/update", `{"name":"a","id":"i-1","update":"?"}`, 400, "base64"},
		{"an update of no document", "POST", "/editor/update", `{"name":"a:b","id":"i-1","update":"AAA="}`, 400, "name"},
		{"too large", "PUT", "/editor/doc", put("a", "e.5", "", strings.Repeat("AAAA", maxRequest/4)), 400, "too large"},
	} {
		if status, text := ask(c.method, c.path, c.body); status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s: %d %s", c.what, status, text)
		}
	}
	if want := []string{"doc:a kept map[position:e.5 tag:" + tag + "]", "doc:a update AAA="}; !slices.Equal(pushed, want) {
		t.Errorf("pushed %q, want %q", pushed, want)
	}
	encke.Close()
	if status, text := ask("POST", "/editor/update", `{"name":"a","id":"i-1","update":"AAA="}`); status != 503 {
		t.Errorf("without Encke: %d %s", status, text)
	}
	if status, text := ask("GET", "/editor/doc?name=a", ""); status != 503 {
		t.Errorf("without Encke: %d %s", status, text)
	}
}
