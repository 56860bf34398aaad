package edge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// letter puts a letter into a user's box, who may be here, and returns its number.
func (r *rig) letter(t testing.TB, user, text string, lines ...string) uint64 {
	t.Helper()
	_, answer := r.ask(t, "POST", "/users/"+user, text, append(lines, "Encke-Mailbox: always")...)
	w := parseWire(t, []byte(answer))
	if w.Mail == 0 || w.Channel != "user:"+user {
		t.Fatalf("a letter to %s: %s", user, answer)
	}
	return w.Mail
}

// letters puts n letters of size bytes into a user's box, by one request.
func (r *rig) letters(t testing.TB, user string, n, size int) (all []uint64) {
	t.Helper()
	line := fmt.Sprintf(`{"user":%q,"mailbox":"always","data":%q}`+"\n", user, strings.Repeat("x", size))
	_, answer := r.ask(t, "POST", "/publish", strings.Repeat(line, n), "Content-Type: application/x-ndjson")
	for _, line := range strings.Split(strings.TrimSpace(answer), "\n") {
		w := parseWire(t, []byte(line))
		if w.Mail == 0 {
			t.Fatalf("a letter to %s: %s", user, line)
		}
		all = append(all, w.Mail)
	}
	return all
}

// box asks the backend for a user's letters.
func (r *rig) box(t testing.TB, user, query string) (b struct {
	User    string
	Total   int
	More    bool
	Letters []wire
}) {
	t.Helper()
	res, text := r.ask(t, "GET", "/users/"+user+"/mailbox?"+query, "")
	if err := json.Unmarshal([]byte(text), &b); err != nil || res.StatusCode != 200 || b.User != user {
		t.Fatalf("the box of %s: %s %s %v", user, res.Status, text, err)
	}
	return b
}

// kept returns the numbers of a user's letters.
func (r *rig) kept(t testing.TB, user string) []uint64 {
	t.Helper()
	return numbersOf(r.box(t, user, "limit=1000").Letters)
}

func numbersOf(letters []wire) (all []uint64) {
	for _, w := range letters {
		all = append(all, w.Mail)
	}
	return all
}

// balanced demands that every letter that was put is accounted for.
func (r *rig) balanced(t testing.TB) {
	t.Helper()
	if m := r.Stats().Users.Mailboxes; m.Put != m.Acknowledged+m.Deleted+m.Dropped()+uint64(m.Letters) {
		t.Errorf("letters are not accounted for: %+v", m)
	}
}

// acknowledge acknowledges over POST /ack and returns the answer.
func (r *rig) acknowledge(t testing.TB, query string, lines ...string) string {
	t.Helper()
	p := newPeer(t, r.public)
	defer p.Close()
	p.write("POST /ack?" + query + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	_, text := p.answer()
	return text
}

// away waits until a user has been away for longer than the grace.
func (r *rig) away(t *testing.T, user string, grace time.Duration) {
	t.Helper()
	waitFor(t, user+" to be away", func() bool {
		s := userState(t, r, user)
		return !s.Online && s.Connections == 0 && (s.LastSeen == nil || time.Since(time.UnixMilli(*s.LastSeen)) > grace+2*time.Millisecond)
	})
}

// ways are how letters reach a user.
var ways = []string{"ws", "sse", "stream", "long poll", "interval poll"}

// poller is a client that polls from its position, on one connection.
type poller struct {
	*peer
	query, wait, position string
	got                   []wire
	longest               int // bytes of an answer
}

// poll asks once and returns what came.
func (p *poller) poll(more string) []wire {
	p.t.Helper()
	p.get("/poll?channels=news&wait=" + p.wait + "&since=" + p.position + "&" + p.query + more)
	return p.answered()
}

func (p *poller) answered() []wire {
	p.t.Helper()
	text := p.want(200)
	w := parseWire(p.t, []byte(text))
	p.position, p.longest = w.Position, max(p.longest, len(text))
	return w.Publications
}

func (p *poller) next() (w wire) {
	p.t.Helper()
	for len(p.got) == 0 {
		if p.got = p.poll(""); len(p.got) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	w, p.got = p.got[0], p.got[1:]
	return w
}

// come opens a connection of a user who also follows "news"; a poller has made no request yet.
func come(t *testing.T, r *rig, way, query string) slowPeer {
	t.Helper()
	switch way {
	case "long poll", "interval poll":
		p := &poller{peer: newPeer(t, r.public), query: query, wait: map[bool]string{true: "10", false: "0"}[way == "long poll"]}
		return slowPeer{p.peer, p.next}
	}
	return openSlow(t, r, way, "news&"+query)
}

// TestLettersOnReturn: messages to a user who is away are given on return, oldest first, on whatever transport asks, each once a
// connection; again and again until they are acknowledged, and then not any more.
func TestLettersOnReturn(t *testing.T) {
	t.Parallel()
	const grace = 150 * time.Millisecond
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = grace })
			ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
			var put []uint64
			answers := regexp.MustCompile(`^(?:\{"results":\[)?\{"channel":"user:42","mail":(\d+),"subscribers":0\}(?:\]\})?\n?$`)
			for _, push := range []struct{ target, body, header string }{
				{"/users/42", "1", "Encke-Mailbox: away"},
				{"/channels/user:42", "2", "Encke-Mailbox: always"},
				{"/publish", `{"user":"42","mailbox":"away","data":3}`, "Content-Type: application/json"},
				{"/publish", `{"users":["42"],"mailbox":"away","data":4}`, "Content-Type: application/json"},
				{"/publish", `{"channel":"user:42","mailbox":"always","data":5,"event":"e"}`, "Content-Type: application/x-ndjson"},
			} {
				res, text := r.ask(t, "POST", push.target, push.body, push.header)
				m := answers.FindStringSubmatch(text)
				if m == nil || res.StatusCode/100 != 2 || res.StatusCode == 201 {
					t.Fatalf("%s %s: %s %s", push.target, push.body, res.Status, text)
				}
				var n uint64
				_, _ = fmt.Sscan(m[1], &n)
				put = append(put, n)
			}
			if !slices.IsSorted(put) || len(slices.Compact(slices.Clone(put))) != 5 {
				t.Errorf("the numbers %v do not ascend", put)
			}
			for visit := range 3 {
				p := come(t, r, way, ticket)
				for i, n := range put {
					w := p.next()
					if w.Mail != n || w.Channel != "user:42" || w.Offset != 0 || w.Position != "" || w.Time == 0 || w.Gap || strings.Trim(string(w.Data), `"`) != fmt.Sprint(i+1) || (w.Event == "e") != (i == 4) {
						t.Errorf("visit %d: %+v, want letter %d, %d", visit, w, i, n)
					}
				}
				r.push(t, "news", "nothing before me")
				if w := p.next(); w.Channel != "news" {
					t.Errorf("visit %d: %+v", visit, w)
				}
				p.Close()
				r.away(t, "42", grace)
			}
			last := fmt.Sprint(put[len(put)-1])
			now := ""
			switch way {
			case "ws": // by command
				p := newWS(t, r.public, "/ws?"+ticket)
				p.text()
				for range put {
					p.text()
				}
				if w := p.command(`{"id":7,"ack":{"mail":` + last + `}}`); w.Ack == nil || w.Ack.Acknowledged != len(put) || string(w.ID) != "7" {
					t.Errorf("%+v", w)
				}
				p.Close()
				r.away(t, "42", grace) // or it is given the next one too
			case "sse", "interval poll": // by a request of its own
				if text := r.acknowledge(t, "mail="+last+"&"+ticket); text != `{"acknowledged":5}` {
					t.Error(text)
				}
			default: // by the connection that follows
				now = "&ack=" + last
			}
			more := r.letter(t, "42", "last")
			p := come(t, r, way, ticket+now)
			if w := p.next(); w.Mail != more {
				t.Errorf("after they were acknowledged: %+v, want %d", w, more)
			}
			if kept := r.kept(t, "42"); !slices.Equal(kept, []uint64{more}) {
				t.Errorf("%v are kept, want %d", kept, more)
			}
			m, given := r.Stats().Users, 16+map[bool]uint64{true: 5}[way == "ws"]
			late := strings.HasSuffix(way, "poll") && m.Letters > given // for the grace, on a busy machine: another visit
			if m.Mailboxes.Acknowledged != 5 || m.Mailboxes.Put != 6 || m.Letters != given && !late {
				t.Errorf("%+v", m)
			}
			r.balanced(t)
		})
	}
}

// TestAckArgument acknowledges by the argument of every transport.
func TestAckArgument(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket := "&token=" + tokenFor(t, "42", time.Hour, "news")
	for _, ask := range asks {
		gone, stays := r.letter(t, "42", "1"), r.letter(t, "42", "2")
		for _, bad := range []string{"x", "-1", "", "1.5", "18446744073709551616", "1,2"} {
			if got, text := statusOf(t, r, ask.target+"news&ack="+bad+ticket); got != 400 || !strings.Contains(text, "bad_ack") {
				t.Errorf("%s, ack=%s: %d %s", ask.name, bad, got, text)
			}
		}
		if got, text := statusOf(t, r, ask.target+"public&ack=1"); got != 400 || !strings.Contains(text, "bad_ack") {
			t.Errorf("%s, without a token: %d %s", ask.name, got, text)
		}
		if got, text := statusOf(t, r, ask.target+"news&ack="+fmt.Sprint(gone)+ticket); got/100 > 2 {
			t.Errorf("%s: %d %s", ask.name, got, text)
		}
		if kept := r.kept(t, "42"); !slices.Equal(kept, []uint64{stays}) {
			t.Errorf("%s: %v are kept, want %d", ask.name, kept, stays)
		}
		r.ask(t, "DELETE", "/users/42/mailbox", "")
	}
	r.balanced(t)
}

// TestAckForms: what a command and POST /ack acknowledge, and what is refused.
func TestAckForms(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket := tokenFor(t, "42", time.Hour)
	p := newWS(t, r.public, "/ws?token="+ticket)
	p.text()
	stranger := newWS(t, r.public, "/ws")
	for _, c := range []struct{ command, query, want string }{ // $0 to $4 are numbers of letters
		{`{"mail":$0}`, "mail=$0", "1"},
		{`{"mail":$4}`, "mail=$4", "5"},
		{`{"mail":9007199254740991}`, "mail=18446744073709551615", "5"},
		{`{"mail":1}`, "mail=1", "0"},
		{`{"only":[$1]}`, "only=$1", "1"},
		{`{"only":[$3,$1,$3,17]}`, "only=$3,$1,$3,17", "2"},
		{`{"only":[$4,$2],"mail":0}`, "only=$4%2C$2", "2"}, // URLSearchParams escapes commas
		{`{"only":[1` + strings.Repeat(",1", 20000) + `]}`, "only=1" + strings.Repeat(",1", 3000), "0"},
		{`{}`, "", "bad_ack"},
		{`{"only":[]}`, "only=", "bad_ack"},
		{`{"mail":0}`, "mail=", "bad_ack"},
		{`{"mail":$0,"only":[$0]}`, "mail=$0&only=$0", "bad_ack"},
		{`{"mail":-1}`, "mail=-1", "bad"},
		{`{"mail":1.5}`, "mail=1.5", "bad"},
		{`{"mail":"$0"}`, `mail="$0"`, "bad"},
		{`{"only":$0}`, "only=x", "bad"},
		{`{"only":[-1]}`, "only=$0,-1", "bad"},
		{`{"mail":18446744073709551616}`, "mail=18446744073709551616", "bad"},
		{`[]`, "only=$0,", "bad"},
	} {
		for _, over := range []string{"command", "request"} {
			r.ask(t, "DELETE", "/users/42/mailbox", "")
			var replace []string
			for i, n := range r.letters(t, "42", 5, 10) {
				replace = append(replace, fmt.Sprint("$", i), fmt.Sprint(n))
				p.text()
			}
			with := strings.NewReplacer(replace...).Replace
			left := len(r.kept(t, "42"))
			got := ""
			if over == "command" {
				w := p.command(`{"id":1,"ack":` + with(c.command) + `}`)
				if w.Ack != nil {
					got = fmt.Sprint(w.Ack.Acknowledged)
				} else {
					got = w.Error.Code
				}
			} else {
				text := r.acknowledge(t, with(c.query), "Authorization: Bearer "+ticket)
				if w := parseWire(t, []byte(text)); w.Error != nil {
					got = w.Error.Code
				} else {
					got = strings.TrimSuffix(strings.TrimPrefix(text, `{"acknowledged":`), "}")
				}
			}
			if got != c.want && (c.want != "bad" || !strings.HasPrefix(got, "bad_")) {
				t.Errorf("%s %.40s: %s, want %s", over, c.command, got, c.want)
			}
			n := 0
			_, _ = fmt.Sscan(c.want, &n)
			if now := len(r.kept(t, "42")); left-now != n {
				t.Errorf("%s %.40s: %d are gone, want %d", over, c.command, left-now, n)
			}
		}
	}
	if w := stranger.command(`{"id":1,"ack":{"mail":1}}`); w.Error == nil || w.Error.Code != "bad_ack" {
		t.Errorf("without a token: %+v", w)
	}
	if text := r.acknowledge(t, "mail=1"); !strings.Contains(text, "forbidden") {
		t.Errorf("without a token: %s", text)
	}
	r.balanced(t)
}

// TestAckRequest: POST /ack is for pages that may connect, by the method POST, and for who is who he says.
func TestAckRequest(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.Origins, c.MaxPerUser = []string{"https://good.example"}, 1 })
	ticket := tokenFor(t, "42", time.Hour)
	n := r.letter(t, "42", "stays")
	request := func(method, query string, lines ...string) (status int, allow, methods, text string) {
		p := newPeer(t, r.public)
		p.write(method + " /ack?" + query + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
		res := p.head(method)
		b := make([]byte, 1000)
		k, _ := res.Body.Read(b)
		return res.StatusCode, res.Header.Get("Allow"), res.Header.Get("Access-Control-Allow-Methods"), string(b[:k])
	}
	all := fmt.Sprintf("mail=%d&token=", n)
	for _, c := range []struct {
		name, method, query, line string
		status                    int
		code                      string
	}{
		{"another method", "GET", all + ticket, "", 405, "method_not_allowed"},
		{"another method", "HEAD", all + ticket, "", 405, ""},
		{"another method", "PUT", all + ticket, "", 405, "method_not_allowed"},
		{"another method", "DELETE", all + ticket, "", 405, "method_not_allowed"},
		{"a foreign page", "POST", all + ticket, "Origin: https://evil.example", 403, "bad_origin"},
		{"no token", "POST", all, "", 403, "forbidden"},
		{"rubbish", "POST", all + "rubbish", "", 401, "bad_token"},
		{"another's name in a token of one's own", "POST", all + forge(t, ticket, "42", "7"), "", 401, "bad_token"},
		{"somebody else", "POST", all + tokenFor(t, "7", time.Hour), "", 200, `{"acknowledged":0}`},
		{"somebody else, who names the user", "POST", "user=42&sub=42&" + all + tokenFor(t, "7", time.Hour), "", 200, `{"acknowledged":0}`},
		{"somebody else, by only", "POST", fmt.Sprintf("only=%d&token=", n) + tokenFor(t, "7", time.Hour), "", 200, `{"acknowledged":0}`},
		{"one whose token is over", "POST", all + tokenFor(t, "42", -time.Hour), "", 401, "token_expired"},
	} {
		var lines []string
		if c.line != "" {
			lines = append(lines, c.line)
		}
		status, allow, _, text := request(c.method, c.query, lines...)
		if status != c.status || !strings.Contains(text, c.code) || c.status == 405 && allow != "POST, OPTIONS" {
			t.Errorf("%s %s: %d %s %s, want %d %s", c.name, c.method, status, allow, text, c.status, c.code)
		}
		if kept := r.kept(t, "42"); len(kept) != 1 {
			t.Fatalf("%s %s: the letter is gone", c.name, c.method)
		}
	}
	status, allow, methods, _ := request("OPTIONS", "", "Origin: https://good.example", "Access-Control-Request-Method: POST")
	if status != 204 || allow != "POST, OPTIONS" || methods != "POST, OPTIONS" {
		t.Errorf("preflight: %d, Allow %s, Access-Control-Allow-Methods %s", status, allow, methods)
	}
	p := newWS(t, r.public, "/ws?token="+ticket) // holds as many connections as a user may
	p.text()
	if status, _, _, text := request("POST", all+ticket, "Origin: https://good.example"); status != 200 || text != `{"acknowledged":1}` {
		t.Errorf("from a page that may: %d %s", status, text)
	}
	if res, text := r.ask(t, "POST", "/tokens/revoke", `{"user":"42"}`); res.StatusCode != 204 {
		t.Fatal(text)
	}
	n = r.letter(t, "42", "stays")
	if status, _, _, text := request("POST", fmt.Sprintf("mail=%d&token=", n)+ticket); status != 401 || !strings.Contains(text, "token_revoked") {
		t.Errorf("a revoked token: %d %s", status, text)
	}
}

// forge puts another user into a token, whose signature is kept.
func forge(t *testing.T, ticket, is, says string) string {
	t.Helper()
	mine, theirs := strings.Split(ticket, "."), strings.Split(tokenFor(t, says, time.Hour), ".")
	return mine[0] + "." + theirs[1] + "." + mine[2]
}

// TestForeignLetters: nobody is given what is another's, and nobody's numbers count in another's box.
func TestForeignLetters(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.Anonymous = []string{"*"} })
	n := r.letter(t, "42", "private")
	for i, way := range ways {
		user := fmt.Sprint("u", i)
		p := come(t, r, way, "token="+tokenFor(t, user, time.Hour, "*", "news"))
		r.push(t, "news", "only for those who are here")
		own := r.letter(t, user, "own")
		for {
			w := p.next()
			if w.Channel == "user:42" || w.Mail != 0 && w.Mail != own {
				t.Errorf("%s: %+v", way, w)
			}
			if w.Mail == own {
				break
			}
		}
		p.Close()
	}
	ticket := "token=" + tokenFor(t, "7", time.Hour, "*")
	p := newWS(t, r.public, "/ws?"+ticket)
	for _, c := range []string{fmt.Sprintf(`{"mail":%d}`, n), fmt.Sprintf(`{"only":[%d]}`, n), fmt.Sprintf(`{"only":[%d],"user":"42"}`, n)} {
		p.send(ws.OpText, `{"id":1,"ack":`+c+`}`)
	}
	for _, c := range []string{`{"subscribe":{"channel":"user:42"}}`, `{"subscribe":{"channel":"user:42","since":"0"}}`} {
		p.send(ws.OpText, c)
	}
	for refused := 0; refused < 2; {
		if w := p.text(); w.Error != nil && w.Error.Code == "forbidden" {
			refused++
		} else if w.Channel == "user:42" {
			t.Errorf("%+v", w)
		}
	}
	if kept := r.kept(t, "42"); !slices.Equal(kept, []uint64{n}) {
		t.Errorf("%v are kept, want %d", kept, n)
	}
	r.balanced(t)
}

// TestLettersToOneWhoIsHere: with "away" a message to one who is here is a publication as ever; with "always" it is a letter, and
// given at once to every connection but raw ones, without a change of anybody's position.
func TestLettersToOneWhoIsHere(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	raw := newWS(t, r.public, "/ws?channels=news&"+ticket, "Sec-WebSocket-Protocol: encke.raw")
	var all []slowPeer
	for _, way := range ways[:3] {
		all = append(all, come(t, r, way, ticket), come(t, r, way, ticket))
	}
	socket := newWS(t, r.public, "/ws?"+ticket, "Sec-WebSocket-Extensions: permessage-deflate")
	socket.text()
	poll := &poller{peer: newPeer(t, r.public), query: ticket, wait: "20"}
	poll.get("/poll?channels=news&wait=20&" + ticket)
	late := newWS(t, r.public, "/ws") // has no token yet
	waitFor(t, "all to be here", func() bool { return userState(t, r, "42").Connections == 9 })
	n := r.letter(t, "42", `{"a": 1}`, "Content-Type: application/json", "Encke-Event: e")
	for i, p := range all {
		if w := p.next(); w.Mail != n || w.Event != "e" || string(w.Data) != `{"a": 1}` {
			t.Errorf("%d: %+v", i, w)
		}
	}
	if w := socket.text(); w.Mail != n {
		t.Errorf("compressed: %+v", w)
	}
	if got := poll.answered(); len(got) != 1 || got[0].Mail != n || !strings.HasSuffix(poll.position, ".0") {
		t.Errorf("poll: %+v, %s", got, poll.position)
	}
	late.send(ws.OpText, `{"id":1,"refresh":{"token":"`+strings.TrimPrefix(ticket, "token=")+`"}}`)
	for late.text().Mail != n { // refreshed, subscribed
	}
	_, _, body := openStream(t, r.public, "/sse?channels=news&"+ticket)
	e := events{t, body}
	begin := e.next()
	if b := e.next(); b.id != "" || b.event != "" || parseWire(t, []byte(b.data)).Mail != n {
		t.Errorf("sse after %+v: %+v", begin, b)
	}
	_, text := r.ask(t, "POST", "/users/42", "live", "Encke-Mailbox: away")
	if w := parseWire(t, []byte(text)); w.Offset != 1 || w.Mail != 0 {
		t.Errorf("away, to one who is here: %s", text)
	}
	for i, p := range all {
		if w := p.next(); w.Offset != 1 || w.Mail != 0 {
			t.Errorf("%d: %+v", i, w)
		}
	}
	if b := e.next(); !strings.HasSuffix(b.id, ".0,1") || parseWire(t, []byte(b.data)).Offset != 1 {
		t.Errorf("sse: %+v", b)
	}
	r.push(t, "news", "for all")
	if m, _ := raw.frame(); m.data != "for all" {
		t.Errorf("raw: %v", m)
	}
	r.balanced(t)
}

// TestLettersInPieces: more letters than are given at once, to readers that do not read for a while, some put before they came and
// some after; each comes once, in order, and nobody is ended for it.
func TestLettersInPieces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                   string
		n, size, pending, most int // most is how many bytes a piece has
	}{
		{"large", 400, 4000, 1 << 20, 270 << 10},
		{"small", 6000, 120, 64 << 10, 75 << 10},
		{"larger than may wait", 40, 60_000, 4 << 10, 62 << 10},
	} {
		for _, way := range append([]string{"deflate"}, ways...) {
			if way == "deflate" && c.n > 1000 { // the race detector has the pool of compressors forget many
				continue
			}
			t.Run(c.name+" "+way, func(t *testing.T) {
				t.Parallel()
				r, _ := guarded(t, func(cfg *edge.Config) {
					cfg.MailboxLength, cfg.MailboxBytes, cfg.MaxPending = c.n, 8<<20, c.pending
				})
				ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
				put := r.letters(t, "42", c.n/2, c.size)
				var p slowPeer
				if way == "deflate" {
					s := newWS(t, r.public, "/ws?"+ticket, "Sec-WebSocket-Extensions: permessage-deflate")
					s.text()
					p = slowPeer{s.peer, s.text}
				} else {
					p = come(t, r, way, ticket)
				}
				put = append(put, r.letters(t, "42", c.n-c.n/2, c.size)...)
				held := int64(0) // bytes that wait for the reader: one piece, the rest is in the box
				for i, n := range put {
					if i%(c.n/40) == 0 {
						held = max(held, r.Stats().Bytes.Waiting)
					}
					if w := p.next(); w.Mail != n {
						t.Fatalf("%d of %d: %+v, want %d; ended %v", i, len(put), w, n, r.Stats().Ended)
					}
				}
				if held > int64(c.most) {
					t.Errorf("%d bytes waited for the reader, a piece has %d", held, c.most)
				}
				if way == "deflate" {
					return
				}
				r.push(t, "news", "after all")
				if w := p.next(); w.Channel != "news" {
					t.Errorf("%+v", w)
				}
			})
		}
	}
}

// TestPollsAreBounded: an answer has about 256 KiB of letters and publications together, and nothing is left out.
func TestPollsAreBounded(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.MailboxLength, c.MailboxBytes = 1000, 8<<20 })
	p := &poller{peer: newPeer(t, r.public), query: "token=" + tokenFor(t, "42", time.Hour, "news"), wait: "0"}
	p.poll("")
	for range 3 { // of both kinds
		r.fill(t, "news", 20, 10_000)
		r.letters(t, "42", 40, 10_000)
	}
	mails, publications := map[uint64]bool{}, map[uint64]bool{}
	for len(mails) < 120 || len(publications) < 60 {
		w := p.next()
		all, key := mails, w.Mail
		if key == 0 {
			all, key = publications, w.Offset
		}
		if all[key] {
			t.Fatalf("twice: %+v", w)
		}
		all[key] = true
	}
	if p.longest > 280<<10 || p.longest < 200<<10 {
		t.Errorf("the longest answer has %d bytes", p.longest)
	}
}

// TestLettersWaitForMemory: when there is no memory for output letters wait, and are given when there is some again, also to those
// to whom nothing else is sent.
func TestLettersWaitForMemory(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.Loops = 1 })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	var all []slowPeer
	for _, way := range ways[:3] {
		all = append(all, come(t, r, way, ticket))
	}
	poll := &poller{peer: newPeer(t, r.public), query: ticket}
	poll.get("/poll?channels=news&wait=60&" + ticket)
	goes := newWS(t, r.public, "/ws?"+ticket)
	waitFor(t, "all to be here", func() bool { return userState(t, r, "42").Connections == 5 })
	r.Starve(true)
	n, m := r.letter(t, "42", "1"), r.letter(t, "42", "2")
	r.Starve(true) // what was posted before this has been seen
	goes.Close()
	waitFor(t, "one to go", func() bool { return userState(t, r, "42").Connections == 4 })
	r.Starve(false)
	for i, p := range all {
		if a, b := p.next(), p.next(); a.Mail != n || b.Mail != m {
			t.Errorf("%s: %+v %+v", ways[i], a, b)
		}
	}
	if got := poll.answered(); len(got) != 2 {
		t.Errorf("poll: %+v", got)
	}
	r.Starve(true)
	r.letter(t, "42", "3") // nobody is left to whom it could be given when there is memory again
	for _, p := range append(all, slowPeer{poll.peer, nil}) {
		p.Close()
	}
	r.leavesNothing(t)
}

// TestPollsDoNotSpin: a poll is not answered with letters that one was given before, however long it is parked; when nobody has
// polled for the grace all come again. A HEAD gives nobody anything.
func TestPollsDoNotSpin(t *testing.T) {
	t.Parallel()
	const grace = 1500 * time.Millisecond // a poll follows the other in less, however busy the machine is
	r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = grace })
	p := &poller{peer: newPeer(t, r.public), query: "token=" + tokenFor(t, "42", time.Hour, "news"), wait: "1700ms"}
	first := r.letter(t, "42", "1")
	p.write("HEAD /poll?wait=0&channels=news&" + p.query + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	p.head("HEAD")
	expect := func(what string, got []wire, want ...uint64) {
		t.Helper()
		if !slices.Equal(numbersOf(got), want) {
			t.Errorf("%s: %+v, want %v", what, got, want)
		}
	}
	expect("the first poll", p.poll(""), first)
	expect("a poll that is parked for longer than the grace", p.poll(""))
	expect("the one after it", p.poll(""))
	p.get("/poll?channels=news&wait=20&since=" + p.position + "&" + p.query)
	parked := time.Now()
	waitFor(t, "the grace to be over", func() bool { return time.Since(parked) > grace+200*time.Millisecond })
	more := r.letter(t, "42", "more")
	expect("a letter to a poll that was parked for longer than the grace", p.answered(), more)
	p.get("/poll?channels=news&wait=20&since=" + p.position + "&" + p.query)
	parked = time.Now()
	waitFor(t, "the grace to be over", func() bool {
		return time.Since(parked) > grace+200*time.Millisecond && r.Stats().Connections["poll"] == 1
	})
	p.Close() // cut off; comes back at once
	waitFor(t, "the poll to be over", func() bool { return r.Stats().Connections["poll"] == 0 })
	r.push(t, "news", "x")
	p.peer = newPeer(t, r.public)
	p.wait = "0"
	if got := p.poll(""); len(got) != 1 || got[0].Channel != "news" {
		t.Errorf("back at once: %+v", got)
	}
	r.away(t, "42", grace)
	expect("after the grace", p.poll(""), r.kept(t, "42")...)
	expect("and not again", p.poll(""))
}

// TestLetterBounds: by number, bytes, age and their own time; each is counted, and what is new is kept.
func TestLetterBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*edge.Config)
		ttl    string
		want   int // of 20 letters of 1,000 bytes
		count  string
	}{
		{"number", func(c *edge.Config) { c.MailboxLength = 7 }, "", 7, "length"},
		{"bytes", func(c *edge.Config) { c.MailboxBytes = 9000 }, "", 8, "bytes"},
		{"memory", func(c *edge.Config) { c.MailboxMemory = 9000 }, "", 7, "memory"},
		{"age", func(c *edge.Config) { c.MailboxAge = 50 * time.Millisecond }, "", 0, "age"},
		{"own time", nil, `,"ttl":"50ms"`, 0, "age"},
		{"none", nil, `,"ttl":3600`, 20, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, _ := guarded(t, c.change)
			line := `{"user":"42","mailbox":"away"` + c.ttl + `,"data":"` + strings.Repeat("x", 1000) + `"}` + "\n"
			if _, text := r.ask(t, "POST", "/publish", strings.Repeat(line, 20), "Content-Type: application/x-ndjson"); strings.Contains(text, "error") {
				t.Fatal(text)
			}
			waitFor(t, "what is over to go", func() bool { return r.Stats().Users.Mailboxes.Letters <= int64(c.want) })
			m := r.Stats().Users.Mailboxes
			got := map[string]uint64{"length": m.DroppedLength, "bytes": m.DroppedBytes, "age": m.DroppedAge, "memory": m.DroppedMemory}
			for why, n := range got {
				if want := map[bool]uint64{true: uint64(20 - c.want)}[why == c.count]; n != want {
					t.Errorf("%s: %d, want %d", why, n, want)
				}
			}
			kept := r.kept(t, "42")
			if len(kept) != c.want {
				t.Fatalf("%d are kept", len(kept))
			}
			p := come(t, r, "stream", "token="+tokenFor(t, "42", time.Hour, "news"))
			for _, n := range kept {
				if w := p.next(); w.Mail != n {
					t.Errorf("%+v, want %d", w, n)
				}
			}
			r.push(t, "news", "x")
			if w := p.next(); w.Channel != "news" {
				t.Errorf("%+v", w)
			}
			r.balanced(t)
		})
	}
}

// TestLetterRefusals: what can be no letter, and harms no other of the same request.
func TestLetterRefusals(t *testing.T) {
	small, all := 10, "user:*"
	r, _ := guarded(t, func(c *edge.Config) {
		c.MaxMessage, c.MailboxBytes = 3000, 2000
		c.Rules = []edge.Rule{{Pattern: all, MaxMessage: &small}, {Pattern: "user:small", MaxMessage: &small}}
		c.Rules[0].Pattern = "user:tiny*"
	})
	const object, batch = "Content-Type: application/json", "Content-Type: application/x-ndjson"
	long := strings.Repeat("x", 2500)
	for _, c := range []struct {
		target, body string
		lines        []string
		want         string
	}{
		{"/users/42", "x", []string{"Encke-Mailbox: sometimes"}, "bad_mailbox"},
		{"/users/42", "x", []string{"Encke-Mailbox: AWAY"}, "bad_mailbox"},
		{"/users/42", "x", []string{"Encke-Mailbox: off"}, `"offset":1`},
		{"/channels/news", "x", []string{"Encke-Mailbox: away"}, "bad_mailbox"},
		{"/channels/$stats", "x", []string{"Encke-Mailbox: away"}, "bad_mailbox"},
		{"/channels/user:", "x", []string{"Encke-Mailbox: away"}, "bad_mailbox"},
		{"/users/42", "x", []string{"Encke-Mailbox: away", "Encke-Expect: 0"}, "bad_mailbox"},
		{"/users/42", "x", []string{"Encke-Mailbox: always", "Encke-Expect: 0"}, "bad_mailbox"},
		{"/users/42", "x", []string{"Encke-Mailbox: away", "Encke-TTL: -1"}, "bad_ttl"},
		{"/users/42", "x", []string{"Encke-Mailbox: away", "Idempotency-Key: a b"}, "bad_id"},
		{"/users/42", "x", []string{"Encke-Mailbox: away", "Idempotency-Key: " + strings.Repeat("x", 129)}, "bad_id"},
		{"/users/42", "{", []string{"Encke-Mailbox: away", object}, "bad_json"},
		{"/users/42", "x", []string{"Encke-Mailbox: away", "Encke-Event: " + strings.Repeat("x", 257)}, "bad_message"},
		{"/users/42", "", []string{"Encke-Mailbox: away"}, "empty_message"},
		{"/users/42", long + long, []string{"Encke-Mailbox: away"}, "message_too_large"},
		{"/users/42", long, []string{"Encke-Mailbox: away"}, "message_too_large"}, // as a letter
		{"/users/tiny", "longer than 10 bytes", []string{"Encke-Mailbox: away"}, "message_too_large"},
		{"/users/tiny", "longer than 10 bytes", nil, "message_too_large"},
		{"/users/tiny", "short", []string{"Encke-Mailbox: away"}, `"mail":`},
		{"/publish", `{"user":"42","mailbox":"no","data":1}`, []string{object}, "bad_mailbox"},
		{"/publish", `{"user":"42","mailbox":7,"data":1}`, []string{object}, "bad_message"},
		{"/publish", `{"channel":"news","mailbox":"away","data":1}`, []string{object}, "bad_mailbox"},
		{"/publish", `{"user":"a b","mailbox":"away","data":1}`, []string{object}, "bad_mailbox"},
		{"/publish", `{"user":"42","mailbox":"away","expect":"0","data":1}`, []string{object}, "bad_mailbox"},
		{"/publish", `{"user":"42","mailbox":"away","id":"","data":1}`, []string{object}, "bad_id"},
	} {
		before := r.Stats().Users.Mailboxes.Put
		if _, text := r.ask(t, "POST", c.target, c.body, c.lines...); !strings.Contains(text, c.want) {
			t.Errorf("%s %.40s %v: %s, want %s", c.target, c.body, c.lines, text, c.want)
		} else if put := r.Stats().Users.Mailboxes.Put - before; (put == 1) != strings.Contains(c.want, "mail\"") {
			t.Errorf("%s %.40s %v: %d put", c.target, c.body, c.lines, put)
		}
	}
	_, text := r.ask(t, "POST", "/publish", `{"users":["a","b c","b"],"channels":["x"],"mailbox":"away","data":1}
{"users":["a","b c","b"],"mailbox":"away","data":1}
nonsense
{"channels":["user:a","news"],"mailbox":"away","data":2}
{"user":"a","data":3}
`, batch)
	want := regexp.MustCompile(`^\{"error":\{"code":"bad_message".*\}\}
\{"channel":"user:a","mail":\d+,"subscribers":0\}
\{"error":\{"code":"bad_mailbox".*\}\}
\{"channel":"user:b","mail":\d+,"subscribers":0\}
\{"error":\{"code":"bad_json".*\}\}
\{"channel":"user:a","mail":\d+,"subscribers":0\}
\{"error":\{"code":"bad_mailbox".*\}\}
\{"channel":"user:a","offset":1,.*\}
$`)
	if !want.MatchString(text) {
		t.Errorf("%s", text)
	}
	r.balanced(t)
}

// TestLetterID: a message that is pushed again with its id is put once, and stays what it was when the user has come or gone
// meanwhile.
func TestLetterID(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = 50 * time.Millisecond })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	push := func(id, data string) wire {
		t.Helper()
		_, text := r.ask(t, "POST", "/users/42", data, "Encke-Mailbox: away", "Idempotency-Key: "+id)
		return parseWire(t, []byte(text))
	}
	first := push("a", "1")
	if w := push("a", "1"); w.Mail != first.Mail || w.Mail == 0 {
		t.Errorf("again: %+v, want %+v", w, first)
	}
	if w := push("a", "2"); w.Error == nil || w.Error.Code != "id_reused" {
		t.Errorf("another message: %+v", w)
	}
	_, text := r.ask(t, "POST", "/publish", `{"users":["42","7"],"mailbox":"always","id":"a","data":"1"}`, "Content-Type: application/json")
	if !strings.Contains(text, "id_reused") || !strings.Contains(text, `"channel":"user:7","mail"`) { // text and JSON are not the same message
		t.Errorf("%s", text)
	}
	p := come(t, r, "ws", ticket)
	if w := p.next(); w.Mail != first.Mail {
		t.Errorf("%+v", w)
	}
	if w := push("a", "1"); w.Mail != first.Mail || w.Offset != 0 {
		t.Errorf("again, when the user is here: %+v", w)
	}
	live := push("b", "live")
	if live.Offset != 1 || live.Mail != 0 {
		t.Errorf("%+v", live)
	}
	if w := p.next(); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
	p.Close()
	waitFor(t, "nobody to be here", func() bool { return userState(t, r, "42").Connections == 0 })
	if w := push("b", "live"); w.Offset != 1 || w.Mail != 0 {
		t.Errorf("again, when the user has gone: %+v", w)
	}
	r.acknowledge(t, "mail="+fmt.Sprint(first.Mail)+"&"+ticket)
	if w := push("a", "1"); w.Mail != first.Mail {
		t.Errorf("again, when it was acknowledged: %+v", w)
	}
	if kept := r.kept(t, "42"); len(kept) != 0 {
		t.Errorf("%v are kept", kept)
	}
	m := r.Stats().Users.Mailboxes
	if m.Put != 2 || m.Repeated != 3 {
		t.Errorf("%+v", m)
	}
}

// TestMailboxOfTheBackend lists letters in pages, and deletes all or some.
func TestMailboxOfTheBackend(t *testing.T) {
	r, _ := guarded(t, nil)
	all := r.letters(t, "42", 7, 100)
	r.letter(t, "7", "another's")
	if b := r.box(t, "nobody", ""); b.Total != 0 || b.More || len(b.Letters) != 0 {
		t.Errorf("%+v", b)
	}
	after := uint64(0)
	for _, want := range [][]uint64{all[:3], all[3:6], all[6:], nil} {
		b := r.box(t, "42", fmt.Sprintf("limit=3&after=%d", after))
		if got := numbersOf(b.Letters); !slices.Equal(got, want) || b.Total != 7 || b.More != (len(want) == 3) {
			t.Errorf("after %d: %v %+v, want %v", after, got, b, want)
		}
		if len(want) > 0 {
			after = want[len(want)-1]
		}
	}
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/users/42/mailbox?limit=0", "bad_limit"},
		{"GET", "/users/42/mailbox?limit=1001", "bad_limit"},
		{"GET", "/users/42/mailbox?limit=-1", "bad_limit"},
		{"GET", "/users/42/mailbox?limit=", "bad_limit"},
		{"GET", "/users/42/mailbox?after=-1", "bad_ack"},
		{"GET", "/users/42/mailbox?after=x", "bad_ack"},
		{"GET", "/users/42/mailbox?after=99999999999999999999", "bad_ack"},
		{"GET", "/users/42/mailbox?after=18446744073709551615", `"letters":[]}`},
		{"GET", "/users/a%20b/mailbox", "bad_user"},
		{"GET", "/users//mailbox", "bad_user"},
		{"GET", "/users/42/mailbox/", "not_found"},
		{"GET", "/users/42/mailbox/mailbox", "not_found"},
		{"GET", "/users/42/mailbox/connections", "not_found"},
		{"DELETE", "/users/42/mailbox/connections", "not_found"},
		{"DELETE", "/users/42/connections/mailbox", "not_found"},
		{"POST", "/users/42/mailbox", "method_not_allowed"},
		{"PUT", "/users/42/mailbox", "method_not_allowed"},
		{"DELETE", "/users/42", "method_not_allowed"},
		{"DELETE", "/users/42/mailbox?only=", "bad_ack"},
		{"DELETE", "/users/42/mailbox?only", "bad_ack"},
		{"DELETE", "/users/42/mailbox?only=x", "bad_ack"},
		{"DELETE", "/users/42/mailbox?only=-1", "bad_ack"},
		{"DELETE", fmt.Sprintf("/users/42/mailbox?only=%d,", all[0]), "bad_ack"},
		{"DELETE", "/users/42/mailbox?only=17", `{"deleted":0}`},
		{"DELETE", fmt.Sprintf("/users/7/mailbox?only=%d", all[0]), `{"deleted":0}`},
	} {
		if _, text := r.ask(t, c.method, c.target, ""); !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %s, want %s", c.method, c.target, text, c.want)
		}
	}
	if kept := r.kept(t, "42"); !slices.Equal(kept, all) {
		t.Errorf("%v are kept of %v", kept, all)
	}
	if res, text := r.ask(t, "HEAD", "/users/42/mailbox", ""); res.StatusCode != 200 || text != "" || res.ContentLength < 700 {
		t.Errorf("HEAD: %s %d %s", res.Status, res.ContentLength, text)
	}
	if res, _ := r.ask(t, "OPTIONS", "/users/42/mailbox", ""); res.Header.Get("Allow") != "GET, HEAD, DELETE, OPTIONS" {
		t.Errorf("OPTIONS: %v", res.Header)
	}
	for _, c := range []struct {
		query string
		want  int
		left  []uint64
	}{
		{fmt.Sprintf("?only=%d,%d,17,%d", all[4], all[1], all[4]), 2, []uint64{all[0], all[2], all[3], all[5], all[6]}},
		{fmt.Sprintf("?only=%d%%2C%d", all[0], all[2]), 2, []uint64{all[3], all[5], all[6]}},
		{"", 3, nil},
		{"", 0, nil},
	} {
		if _, text := r.ask(t, "DELETE", "/users/42/mailbox"+c.query, ""); text != fmt.Sprintf(`{"deleted":%d}`, c.want) {
			t.Errorf("%s: %s", c.query, text)
		}
		if kept := r.kept(t, "42"); !slices.Equal(kept, c.left) {
			t.Errorf("%s: %v are left, want %v", c.query, kept, c.left)
		}
	}
	if m := r.Stats().Users.Mailboxes; m.Deleted != 7 || m.Letters != 1 || m.Boxes != 1 {
		t.Errorf("%+v", m)
	}
	r.balanced(t)
}

// TestMailboxKeys: a backend key lists letters with the scope read, and deletes them with manage.
func TestMailboxKeys(t *testing.T) {
	scopes := []string{"publish", "read", "manage", "stats"}
	r, _ := guarded(t, func(c *edge.Config) {
		for _, s := range scopes {
			c.BackendKeys = append(c.BackendKeys, keys(t, s+"-key-of-16-bytes "+s)...)
		}
	})
	for _, c := range []struct{ method, target, body, needs string }{
		{"GET", "/users/42/mailbox", "", "read"}, {"HEAD", "/users/42/mailbox", "", "read"},
		{"DELETE", "/users/42/mailbox", "", "manage"}, {"DELETE", "/users/42/mailbox?only=1", "", "manage"},
		{"POST", "/users/42", "x", "publish"},
	} {
		for _, s := range append(scopes, "") {
			lines := []string{"Encke-Mailbox: away"}
			if s != "" {
				lines = append(lines, "Authorization: Bearer "+s+"-key-of-16-bytes")
			}
			res, text := r.ask(t, c.method, c.target, c.body, lines...)
			want := map[bool]int{true: 2, false: 4}[s == c.needs]
			if res.StatusCode/100 != want {
				t.Errorf("%s %s with %q: %s %s", c.method, c.target, s, res.Status, text)
			}
		}
	}
}

// TestLettersInTheMomentOfConnecting: letters are put by several while connections of their user come, over all transports; each
// connection is given all of them, in order, and each once.
func TestLettersInTheMomentOfConnecting(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, nil)
	for round := range 15 {
		user := fmt.Sprint("m", round)
		ticket := "token=" + tokenFor(t, user, time.Hour, "news")
		const putters, each = 4, 5
		var all sync.WaitGroup
		got := make([][]uint64, 8)
		for i := range got {
			way := ways[i%3]
			if i == len(got)-1 { // pollers share what they are given, so there is one
				way = ways[3+round%2]
			}
			all.Go(func() {
				p := come(t, r, way, ticket)
				for range putters * each {
					got[i] = append(got[i], p.next().Mail)
				}
				p.Close()
			})
		}
		for range putters {
			all.Go(func() {
				for range each {
					r.letter(t, user, "x")
				}
			})
		}
		all.Wait()
		kept := r.kept(t, user)
		for i := range got {
			if i == len(got)-1 { // what came in one answer is in order, and so is the next
				slices.Sort(got[i])
			}
			if !slices.Equal(got[i], kept) || len(kept) != putters*each {
				t.Fatalf("round %d, connection %d: %v, kept %v", round, i, got[i], kept)
			}
		}
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// mailUser is what became of a user's letters, as seen from outside.
type mailUser struct {
	name, ticket string

	mu    sync.Mutex
	put   map[uint64]bool // answered
	given map[uint64]bool // to anybody
	acked map[uint64]bool // answered
	upTo  uint64          // answered: all up to this one
}

// acknowledged returns what has been acknowledged by now, as a function.
func (u *mailUser) acknowledged() func(uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	acked, upTo := maps.Clone(u.acked), u.upTo
	return func(n uint64) bool { return n <= upTo || acked[n] }
}

func (u *mailUser) note(change func()) { u.mu.Lock(); defer u.mu.Unlock(); change() }

// listen opens a connection whose end is no failure, and returns what reads its next letter.
func listen(t *testing.T, r *rig, way, query string) (*peer, func() (wire, bool)) {
	p := newPeer(t, r.public)
	_ = p.SetDeadline(time.Now().Add(10 * time.Second))
	if way == "ws" {
		p.Close()
		s := newWS(t, r.public, "/ws?"+query)
		return s.peer, func() (w wire, ok bool) {
			for w.Mail == 0 {
				m, ok := s.frame()
				if !ok || m.op != ws.OpText {
					return w, false
				}
				w = parseWire(t, []byte(m.data))
			}
			return w, true
		}
	}
	p.get("/" + way + "?" + query)
	body := p.head("GET").Body
	lines := bufio.NewReader(body)
	return p, func() (w wire, ok bool) {
		for w.Mail == 0 {
			line, err := lines.ReadString('\n')
			if err != nil {
				return w, false
			}
			if line = strings.TrimPrefix(line, "data: "); strings.HasPrefix(line, "{") {
				w = parseWire(t, []byte(line))
			}
		}
		return w, true
	}
}

// visit lives through a connection of the user: letters come in order, none that was acknowledged before; some are acknowledged,
// and the connection ends at some time.
func (u *mailUser) visit(t *testing.T, r *rig, rng *rand.Rand) {
	way := ways[rng.IntN(3)]
	gone := u.acknowledged()
	p, next := listen(t, r, way, u.ticket)
	defer p.Close()
	_ = p.SetReadDeadline(time.Now().Add(time.Duration(rng.IntN(60)) * time.Millisecond))
	for last := uint64(0); ; {
		w, ok := next()
		if !ok {
			return
		}
		if w.Mail <= last || gone(w.Mail) || w.Channel != "user:"+u.name {
			t.Errorf("%s, %s: %+v after %d; acknowledged before: %v", u.name, way, w, last, gone(w.Mail))
		}
		last = w.Mail
		u.note(func() { u.given[w.Mail] = true })
		if rng.IntN(4) == 0 {
			r.acknowledge(t, fmt.Sprintf("mail=%d&%s", last, u.ticket))
			u.note(func() { u.upTo = max(u.upTo, last) })
		}
		if rng.IntN(20) == 0 {
			return
		}
	}
}

// poll lives through some polls, of which the answers of some are not read.
func (u *mailUser) poll(t *testing.T, r *rig, rng *rand.Rand) {
	p := newPeer(t, r.public)
	defer p.Close()
	says, has := rng.IntN(2) == 0, uint64(0)
	for range rng.IntN(6) {
		gone, mail := u.acknowledged(), ""
		if says {
			mail = fmt.Sprint("&mail=", has)
		}
		p.get(fmt.Sprintf("/poll?wait=%dms&%s%s", rng.IntN(3)*15, u.ticket, mail))
		if rng.IntN(8) == 0 {
			return
		}
		last, only := uint64(0), ""
		if says {
			last = has
		}
		answer := parseWire(t, []byte(p.want(200)))
		has = max(has, answer.Mail)
		for _, w := range answer.Publications {
			if w.Mail <= last || gone(w.Mail) {
				t.Errorf("%s: a poll brought %+v after %d; acknowledged before: %v", u.name, w, last, gone(w.Mail))
			}
			last = w.Mail
			u.note(func() { u.given[last] = true })
			if rng.IntN(3) == 0 {
				only += fmt.Sprint(",", last)
			}
		}
		if only == "" {
			continue
		}
		r.acknowledge(t, "only="+only[1:]+"&"+u.ticket)
		for _, text := range strings.Split(only[1:], ",") {
			var n uint64
			_, _ = fmt.Sscan(text, &n)
			u.note(func() { u.acked[n] = true })
		}
	}
}

// TestLettersAtRandom: letters are put while connections come, are cut off, acknowledge and poll. At the end each letter was given
// to somebody or is in its box, and none is there that was acknowledged.
func TestLettersAtRandom(t *testing.T) {
	t.Parallel()
	seed := wanderSeed(t)
	r, log := guarded(t, func(c *edge.Config) { c.MailboxLength, c.UserGrace = 10_000, 30*time.Millisecond })
	users := make([]*mailUser, 3)
	var putting, visiting sync.WaitGroup
	over := make(chan struct{})
	for i := range users {
		name := fmt.Sprint("r", i)
		u := &mailUser{name: name, ticket: "token=" + tokenFor(t, name, time.Hour), put: map[uint64]bool{}, given: map[uint64]bool{}, acked: map[uint64]bool{}}
		users[i] = u
		for k := range 4 {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(i*100+k)))
			visiting.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					if k == 3 {
						u.poll(t, r, rng)
					} else {
						u.visit(t, r, rng)
					}
				}
			})
		}
	}
	for k := range 4 {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(1000+k)))
		putting.Go(func() {
			for range 120 {
				u := users[rng.IntN(len(users))]
				n := r.letter(t, u.name, "x")
				u.note(func() { u.put[n] = true })
			}
		})
	}
	putting.Wait()
	close(over)
	visiting.Wait()
	total := 0
	for _, u := range users {
		kept, gone := r.kept(t, u.name), u.acknowledged()
		total += len(u.put)
		for n := range u.put {
			if !u.given[n] && !slices.Contains(kept, n) {
				t.Errorf("%s: letter %d was given to nobody and is not there", u.name, n)
			}
		}
		for _, n := range kept {
			if gone(n) || !u.put[n] {
				t.Errorf("%s: letter %d is kept; acknowledged: %v", u.name, n, gone(n))
			}
		}
		u.visit(t, r, rand.New(rand.NewPCG(1, 2)))
	}
	m := r.Stats().Users.Mailboxes
	if m.Put != uint64(total) || m.Dropped() != 0 || m.Acknowledged == 0 {
		t.Errorf("%d put: %+v", total, m)
	}
	r.balanced(t)
	if strings.Contains(log(), "BUG") {
		t.Error(log())
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}
