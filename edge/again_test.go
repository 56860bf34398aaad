package edge_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestPushAgain makes pushes again under their id, by every way of pushing: stored once, delivered once, answered the same.
func TestPushAgain(t *testing.T) {
	r := newRig(t, nil)
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	const key, object, lines = "Idempotency-Key: ", "Content-Type: application/json", "Content-Type: application/x-ndjson"
	for _, c := range []struct{ name, target, body, header, kind string }{
		{"POST /channels/a", "/channels/a", "one", key + "k1", "Content-Type: text/plain"},
		{"POST /publish", "/publish", `{"channel":"a","id":"k2","data":2}`, "X-Y: z", object},
		{"several channels", "/publish", `{"channels":["a","b"],"id":"k3","data":3}`, "X-Y: z", object},
		{"lines", "/publish", `{"channel":"a","id":"k4","data":4}` + "\n" + `{"channel":"b","id":"k4","data":4}`, "X-Y: z", lines},
	} {
		res, first := r.ask(t, "POST", c.target, c.body, c.header, c.kind)
		if res.StatusCode/100 != 2 {
			t.Fatalf("%s: %s %s", c.name, res.Status, first)
		}
		for range 3 {
			again, body := r.ask(t, "POST", c.target, c.body, c.header, c.kind)
			if again.StatusCode != res.StatusCode || body != first {
				t.Errorf("%s: first %s %s, then %s %s", c.name, res.Status, first, again.Status, body)
			}
		}
		r.push(t, "a", "end")
		p.text()
		if w := p.text(); string(w.Data) != `"end"` {
			t.Errorf("%s: delivered more than once: %s", c.name, w.Data)
		}
	}
	if st := r.Server.Stats(); st.Messages.Repeated != 3*(1+1+2+2) {
		t.Errorf("%d pushes were made again", st.Messages.Repeated)
	}
}

// TestRefusedPushes wants ids and expectations that cannot be met refused, and nothing stored.
func TestRefusedPushes(t *testing.T) {
	r := newRig(t, nil)
	w := r.push(t, "a", "one", "Idempotency-Key: k", "Content-Type: text/plain")
	epoch := epochOf(w.Position)
	for _, c := range []struct {
		name, target, body, header string
		status                     int
		code                       string
	}{
		{"another message", "/channels/a", "two", "Idempotency-Key: k", 409, "id_reused"},
		{"a long id", "/channels/a", "two", "Idempotency-Key: " + strings.Repeat("k", 129), 400, "bad_id"},
		{"an id with a space", "/channels/a", "two", "Idempotency-Key: a b", 400, "bad_id"},
		{"an empty id", "/publish", `{"channel":"a","id":"","data":1}`, "", 400, "bad_id"},
		{"an id of another type", "/publish", `{"channel":"a","id":7,"data":1}`, "", 400, "bad_message"},
		{"behind", "/channels/a", "two", "Encke-Expect: 0", 412, "conflict"},
		{"ahead", "/channels/a", "two", "Encke-Expect: " + epoch + ".2", 412, "conflict"},
		{"another epoch", "/channels/a", "two", "Encke-Expect: zzz.1", 412, "conflict"},
		{"no position", "/channels/a", "two", "Encke-Expect: yesterday", 400, "bad_since"},
		{"an empty one", "/publish", `{"channel":"a","expect":"","data":1}`, "", 400, "bad_since"},
		{"two of them", "/publish", `{"channel":"a","expect":"` + epoch + `.1,2","data":1}`, "", 400, "bad_since"},
		{"in an object", "/publish", `{"channel":"a","expect":"` + epoch + `.7","data":1}`, "", 412, "conflict"},
	} {
		lines := []string{"Content-Type: text/plain"}
		if c.target == "/publish" {
			lines[0] = "Content-Type: application/json"
		}
		if c.header != "" {
			lines = append(lines, c.header)
		}
		res, body := r.ask(t, "POST", c.target, c.body, lines...)
		if res.StatusCode != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) {
			t.Errorf("%s: %s %s", c.name, res.Status, body)
		}
	}
	for i, expect := range []string{epoch + ".1", epoch + ".2", epoch + ".3"} {
		w := r.push(t, "a", fmt.Sprint(i), "Encke-Expect: "+expect)
		if int(w.Offset) != i+2 {
			t.Errorf("expected %s: %+v", expect, w)
		}
	}
	_, body := r.ask(t, "POST", "/publish", fmt.Sprintf(`{"channel":"a","expect":"%s.4","data":1}`+"\n"+`{"channel":"a","expect":"%s.4","data":2}`, epoch, epoch), "Content-Type: application/x-ndjson")
	if first, second, _ := strings.Cut(body, "\n"); !strings.Contains(first, `"offset":5`) || !strings.Contains(second, `"conflict"`) || !strings.Contains(second, epoch+".5") {
		t.Errorf("of two editors one wins, and the other learns where the channel is:\n%s", body)
	}
}
