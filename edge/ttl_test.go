package edge_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestTTL: a message whose own time is over is not given any more; who comes for it is told of the gap, on every transport.
func TestTTL(t *testing.T) {
	r := newRig(t, nil)
	r.push(t, "a", "1")
	first := r.push(t, "a", "2", "Encke-TTL: 100ms").Position
	for i, object := range []string{`{"channel":"a","data":3,"ttl":"1h"}`, `{"channel":"a","data":4,"ttl":0.1}`, `{"channel":"a","data":5,"ttl":3600}`, `{"channel":"a","data":6,"ttl":"100ms"}`} {
		if res, text := r.ask(t, "POST", "/publish", object, "Content-Type: application/json"); res.StatusCode/100 != 2 {
			t.Fatal(i, res.Status, text)
		}
	}
	epoch := epochOf(first)
	want := "1 gap2 3 gap4 5 gap6 live7"
	waitFor(t, "their time to be over", func() bool {
		_, text := r.ask(t, "GET", "/channels/a/history", "")
		return strings.Count(text, `"gap":true`) == 3
	})
	show := func(w wire) string {
		if w.Gap {
			return "gap" + w.Position[strings.IndexByte(w.Position, '.')+1:]
		}
		if strings.Contains(string(w.Data), "live") {
			return fmt.Sprint("live", w.Offset)
		}
		return fmt.Sprint(w.Offset)
	}
	var streams []slowPeer
	for _, transport := range []string{"ws", "sse", "stream"} {
		streams = append(streams, openSlow(t, r, transport, "a&since="+epoch+".0"))
	}
	r.subscribers(t, "a", len(streams))
	p := newPeer(t, r.public)
	p.get("/poll?channels=a&since=" + epoch + ".0")
	answer := parseWire(t, []byte(p.want(200)))
	r.push(t, "a", "live")
	p.get("/poll?channels=a&since=" + answer.Position)
	answer.Publications = append(answer.Publications, parseWire(t, []byte(p.want(200))).Publications...)
	for i, next := range []func() wire{streams[0].next, streams[1].next, streams[2].next, func() (w wire) {
		w, answer.Publications = answer.Publications[0], answer.Publications[1:]
		return w
	}} {
		var got []string
		for range strings.Fields(want) {
			got = append(got, show(next()))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: %v, want %s", i, got, want)
		}
	}
	for _, since := range []string{"0", epoch + ".0"} { // raw clients are not told
		raw := newWS(t, r.public, "/ws?channels=a&since="+since, "Sec-WebSocket-Protocol: encke.raw")
		for _, want := range []string{"1", "3", "5", "live"} {
			if m, ok := raw.frame(); !ok || m.data != want {
				t.Errorf("raw since %s: %+v, want %s", since, m, want)
			}
		}
	}
	for _, good := range []string{`null`, `1e3`, `0.5`, `"1m"`} {
		if res, text := r.ask(t, "POST", "/publish", `{"channel":"a","data":1,"ttl":`+good+`}`, "Content-Type: application/json"); res.StatusCode/100 != 2 {
			t.Errorf("ttl %s: %s %s", good, res.Status, text)
		}
	}
	for _, bad := range []string{"0", "-1", "soon", "1us", ""} {
		res, text := r.ask(t, "POST", "/publish", `{"channel":"a","data":1,"ttl":"`+bad+`"}`, "Content-Type: application/json")
		if res.StatusCode != 400 || !strings.Contains(text, "bad_ttl") {
			t.Errorf("ttl %q: %s %s", bad, res.Status, text)
		}
	}
	if res, text := r.ask(t, "POST", "/channels/a", "x", "Encke-TTL: never"); res.StatusCode != 400 || !strings.Contains(text, "bad_ttl") {
		t.Errorf("%s %s", res.Status, text)
	}
}
