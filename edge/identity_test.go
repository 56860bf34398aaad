package edge_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"
	"encke/token"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
)

var tokenSecret = []byte("a secret of at least thirty-two bytes")

// guarded is a rig in which nobody may read anything without a token, and what it logs.
func guarded(t *testing.T, change func(*edge.Config)) (*rig, func() string) {
	var mu sync.Mutex
	var log strings.Builder
	r := newRig(t, func(c *edge.Config) {
		c.Anonymous = []string{"public"}
		c.Tokens.Secrets = [][]byte{tokenSecret}
		c.Log = func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&log, format+"\n", args...)
		}
		if change != nil {
			change(c)
		}
	})
	return r, func() string { mu.Lock(); defer mu.Unlock(); return log.String() }
}

// tokenFor makes a token that holds for some time.
func tokenFor(t testing.TB, user string, holds time.Duration, channels ...string) string {
	t.Helper()
	var grants token.Grants
	for _, c := range channels {
		grants = append(grants, token.Grant{Pattern: c, Rights: token.Subscribe})
	}
	text, err := token.Issue(tokenSecret, user, grants, time.Now(), holds)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// asks are the requests of all transports.
var asks = []struct{ name, target string }{
	{"ws", "/ws?channels="}, {"sse", "/sse?channels="}, {"stream", "/stream?channels="}, {"poll", "/poll?wait=0&channels="}, {"long poll", "/poll?wait=50ms&channels="},
}

// statusOf makes a request of a transport and returns the status and the body of an error.
func statusOf(t *testing.T, r *rig, target string, lines ...string) (int, string) {
	t.Helper()
	p := newPeer(t, r.public)
	if strings.HasPrefix(target, "/ws") {
		p.write("GET " + target + handshake + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	} else {
		p.get(target, lines...)
	}
	res := p.head("GET")
	text := ""
	if res.StatusCode >= 400 {
		b := make([]byte, 4096)
		n, _ := res.Body.Read(b)
		text = string(b[:n])
	}
	return res.StatusCode, text
}

// TestTokens: what a token allows is allowed, on every transport and by every way of bringing it, and nothing else.
func TestTokens(t *testing.T) {
	r, log := guarded(t, nil)
	good, expired := tokenFor(t, "42", time.Minute, "news", "chat:*"), tokenFor(t, "42", -time.Minute, "news")
	forged, _ := token.Issue([]byte(strings.Repeat("x", 32)), "1", token.Grants{{Pattern: "*", Rights: token.Subscribe}}, time.Now(), time.Hour)
	parts := strings.Split(good, ".")
	unsigned := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "42", "exp": time.Now().Add(time.Hour).Unix()})
	none, _ := unsigned.SignedString(jwt.UnsafeAllowNoneSignatureType)
	for _, ask := range asks {
		ok := http.StatusOK
		if ask.name == "ws" {
			ok = http.StatusSwitchingProtocols
		}
		for _, c := range []struct {
			name, channels, token string
			want                  int
			code                  string
		}{
			{"nothing, a public channel", "public", "", ok, ""},
			{"nothing, another", "news", "", 403, "forbidden"},
			{"good", "news", good, ok, ""},
			{"good, by pattern", "chat:7,news", good, ok, ""},
			{"good, a public channel", "public", good, ok, ""},
			{"good, its own channel", "user:42", good, ok, ""},
			{"good, somebody else's", "user:43", good, 403, "forbidden"},
			{"good, another channel", "other", good, 403, "forbidden"},
			{"good, one of two", "news,other", good, 403, "forbidden"},
			{"expired", "public", expired, 401, "token_expired"},
			{"of another key", "public", forged, 401, "bad_token"},
			{"none", "public", none, 401, "bad_token"},
			{"without a signature", "public", parts[0] + "." + parts[1] + ".", 401, "bad_token"},
			{"rubbish", "public", "rubbish", 401, "bad_token"},
			{"huge", "public", strings.Repeat("x", 5000), 401, "bad_token"},
		} {
			for way, bring := range map[string]func() (string, []string){
				"header": func() (string, []string) { return "", []string{"Authorization: Bearer " + c.token} },
				"query":  func() (string, []string) { return "&token=" + c.token, nil },
				"subprotocol": func() (string, []string) {
					return "", []string{"Sec-WebSocket-Protocol: encke.json, encke.token." + c.token}
				},
			} {
				query, lines := bring()
				if got, text := statusOf(t, r, ask.target+c.channels+query, lines...); got != c.want || !strings.Contains(text, c.code) {
					t.Errorf("%s, %s, %s: %d %s, want %d %s", ask.name, c.name, way, got, text, c.want, c.code)
				} else if c.token != "" && strings.Contains(text, c.token) {
					t.Errorf("%s, %s: the answer shows the token", ask.name, c.name)
				}
			}
		}
	}
	for name, secret := range map[string]string{"good": parts[2], "forged": strings.Split(forged, ".")[2], "secret": string(tokenSecret)} {
		if strings.Contains(log(), secret) {
			t.Errorf("the log shows the %s token or key", name)
		}
	}
	if !strings.Contains(log(), "token_expired") || !strings.Contains(log(), "bad_token") || !strings.Contains(log(), "127.0.0.1: ") {
		t.Errorf("the log does not say who was refused and why:\n%s", log())
	}
}

// TestTokenOverTime: a connection ends with its token, unless that is refreshed.
func TestTokenOverTime(t *testing.T) {
	r, _ := guarded(t, nil)
	short, long := tokenFor(t, "42", 1500*time.Millisecond, "news"), tokenFor(t, "42", time.Hour, "news")
	ends := newWS(t, r.public, "/ws?channels=news&token="+short)
	stays := newWS(t, r.public, "/ws?channels=news&token="+short)
	for range 2 { // news, and its own channel
		ends.text()
		stays.text()
	}
	stream := openSlow(t, r, "stream", "news&token="+short)
	sse, _, body := openStream(t, r.public, "/sse?channels=news&token="+short)
	_ = sse.SetReadDeadline(time.Now().Add(10 * time.Second))
	if w := stays.command(`{"id":1,"refresh":{"token":"` + long + `"}}`); w.Refreshed == nil || w.Refreshed.User != "42" || w.Refreshed.Expires < time.Now().Unix()+3000 {
		t.Errorf("refresh: %+v", w)
	}
	ends.closed(4109, "token_expired")
	for e := (events{t, body}); ; {
		if b := e.next(); b.event == "closing" {
			if b.data != `{"closing":"token_expired"}` {
				t.Errorf("%+v", b)
			}
			break
		}
	}
	for {
		line, err := stream.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `{"closing":"token_expired"}`) {
			break
		}
	}
	r.push(t, "news", "still here")
	if w := stays.text(); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
}

// TestRefresh: the first token may come by command, a user stays the same, and what a new token does not allow is over.
func TestRefresh(t *testing.T) {
	r, _ := guarded(t, nil)
	p := newWS(t, r.public, "/ws")
	wantError := func(text, code string) {
		t.Helper()
		if w := p.command(text); w.Error == nil || w.Error.Code != code {
			t.Errorf("%s: %+v, want %s", text, w, code)
		}
	}
	wantError(`{"id":1,"subscribe":{"channel":"news"}}`, "forbidden")
	wantError(`{"id":1,"refresh":{"token":"rubbish"}}`, "bad_token")
	wantError(`{"id":1,"refresh":{"token":"`+tokenFor(t, "42", -time.Hour)+`"}}`, "token_expired")
	p.command(`{"id":2,"refresh":{"token":"` + tokenFor(t, "42", time.Hour, "news", "other") + `"}}`)
	if w := p.text(); w.Subscribed == nil || w.Subscribed.Channel != "user:42" {
		t.Errorf("%+v, want its own channel", w)
	}
	for _, name := range []string{"news", "other"} {
		if w := p.command(`{"id":3,"subscribe":{"channel":"` + name + `"}}`); w.Subscribed == nil {
			t.Errorf("%+v", w)
		}
	}
	wantError(`{"id":4,"refresh":{"token":"`+tokenFor(t, "43", time.Hour)+`"}}`, "forbidden")
	p.command(`{"id":5,"refresh":{"token":"` + tokenFor(t, "42", time.Hour, "news") + `"}}`)
	if w := p.text(); w.Unsubscribed == nil || w.Unsubscribed.Channel != "other" {
		t.Errorf("%+v, want other unsubscribed", w)
	}
	r.push(t, "other", "x")
	r.push(t, "news", "y")
	if w := p.text(); w.Channel != "news" {
		t.Errorf("%+v", w)
	}
}

// TestDearTokens: signatures that take long to check are checked outside of the loop; requests wait for that and nobody else.
func TestDearTokens(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKIXPublicKey(public)
	r, _ := guarded(t, func(c *edge.Config) { c.Tokens.Keys = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}) })
	made := func(user string, key ed25519.PrivateKey) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "channels": []string{"news"}}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	var all sync.WaitGroup
	for i := range 30 {
		for _, ask := range asks {
			all.Go(func() {
				if got, text := statusOf(t, r, ask.target+"news&token="+made(fmt.Sprint(i), private)); got/100 > 2 {
					t.Errorf("%s: %d %s", ask.name, got, text)
				}
				if got, text := statusOf(t, r, ask.target+"news&token="+made(fmt.Sprint(i), foreign)); got != 401 || !strings.Contains(text, "bad_token") {
					t.Errorf("%s, of a foreign key: %d %s", ask.name, got, text)
				}
			})
		}
	}
	all.Wait()
	p := newWS(t, r.public, "/ws")
	if w := p.command(`{"id":1,"refresh":{"token":"` + made("42", private) + `"}}`); w.Refreshed == nil || w.Refreshed.User != "42" {
		t.Errorf("%+v", w)
	}
	p.text()
	if w := p.command(`{"id":2,"refresh":{"token":"` + made("42", foreign) + `"}}`); w.Error == nil || w.Error.Code != "bad_token" {
		t.Errorf("%+v", w)
	}
	p.send(ws.OpPing, "")
}

// TestClientPublish: clients publish where their token allows it, in their user's name, and nowhere else.
func TestClientPublish(t *testing.T) {
	r, _ := guarded(t, nil)
	text, err := token.Issue(tokenSecret, "42", token.Grants{{Pattern: "chat:*", Rights: token.Subscribe | token.Publish}, {Pattern: "news", Rights: token.Subscribe}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	writer, reader := newWS(t, r.public, "/ws?token="+text), newWS(t, r.public, "/ws?channels=chat:1&token="+tokenFor(t, "7", time.Hour, "chat:*"))
	reader.text()
	reader.text()
	writer.text() // its own channel
	first := writer.command(`{"id":1,"publish":{"channel":"chat:1","event":"said","data":{"text":"hello"}}}`)
	if first.Published == nil || first.Published.Offset != 1 || first.Published.Subscribers != 1 {
		t.Errorf("%+v", first)
	}
	if w := reader.text(); w.User != "42" || w.Event != "said" || string(w.Data) != `{"text":"hello"}` {
		t.Errorf("%+v", w)
	}
	for range 2 { // again, under its id: once
		if w := writer.command(`{"id":2,"publish":{"channel":"chat:1","message_id":"m1","data":2}}`); w.Published == nil || w.Published.Offset != 2 {
			t.Errorf("%+v", w)
		}
	}
	r.push(t, "chat:1", "from the backend")
	reader.text()
	if w := reader.text(); w.User != "" || w.Offset != 3 {
		t.Errorf("%+v", w)
	}
	for _, c := range []struct {
		p          *wsPeer
		text, code string
	}{
		{writer, `{"channel":"news","data":1}`, "forbidden"}, {writer, `{"channel":"chat","data":1}`, "forbidden"},
		{writer, `{"channel":"user:42","data":1}`, "forbidden"}, {writer, `{"channel":"$stats","data":1}`, "forbidden"},
		{writer, `{"channel":"a b","data":1}`, "bad_channel"}, {writer, `{"channel":"chat:1"}`, "empty_message"},
		{writer, `{"channel":"chat:1","data":"` + strings.Repeat("x", 65000) + `"}`, ""},
		{reader, `{"channel":"chat:1","data":1}`, "forbidden"},
		{newWS(t, r.public, "/ws"), `{"channel":"public","data":1}`, "forbidden"},
	} {
		w := c.p.command(`{"id":3,"publish":` + c.text + `}`)
		if c.code == "" && w.Published == nil || c.code != "" && (w.Error == nil || w.Error.Code != c.code) {
			t.Errorf("%.60s: %+v, want %s", c.text, w.Error, c.code)
		}
		if c.code == "" {
			reader.text()
		}
	}
}

// TestRevoke: tokens of a user that were made before, and single ones, are not taken any more, and end the connections that they
// opened; new ones of the same user are taken.
func TestRevoke(t *testing.T) {
	r, _ := guarded(t, nil)
	made := func(user, id string, ago time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "jti": id, "iat": time.Now().Add(-ago).Unix(),
			"exp": time.Now().Add(time.Hour).Unix(), "channels": []string{"news"}}).SignedString(tokenSecret)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	old, other, single := made("42", "a", time.Minute), made("7", "b", time.Minute), made("8", "c", time.Minute)
	byUser, byID, stays := newWS(t, r.public, "/ws?token="+old), newWS(t, r.public, "/ws?token="+single), newWS(t, r.public, "/ws?token="+other)
	for _, p := range []*wsPeer{byUser, byID, stays} {
		p.text()
	}
	poll := newPeer(t, r.public)
	poll.get("/poll?token=" + old)
	r.subscribers(t, "user:42", 2)
	for _, body := range []string{`{"user":"42"}`, `{"id":"c","for":"1h"}`} {
		if res, text := r.ask(t, "POST", "/tokens/revoke", body); res.StatusCode != 204 {
			t.Errorf("%s: %s %s", body, res.Status, text)
		}
	}
	byUser.closed(4112, "token_revoked")
	byID.closed(4112, "token_revoked")
	if text := poll.want(401); !strings.Contains(text, "token_revoked") {
		t.Error(text)
	}
	for _, ask := range asks {
		for name, text := range map[string]string{"of the user": old, "single": single} {
			if got, answer := statusOf(t, r, ask.target+"news&token="+text); got != 401 || !strings.Contains(answer, "token_revoked") {
				t.Errorf("%s, %s: %d %s", ask.name, name, got, answer)
			}
		}
		if got, answer := statusOf(t, r, ask.target+"news&token="+made("42", "d", -2*time.Second)); got/100 > 2 {
			t.Errorf("%s, a new one: %d %s", ask.name, got, answer)
		}
	}
	if w := stays.command(`{"id":1,"refresh":{"token":"` + other + `"}}`); w.Refreshed == nil {
		t.Errorf("%+v", w)
	}
	p := newWS(t, r.public, "/ws")
	if w := p.command(`{"id":1,"refresh":{"token":"` + old + `"}}`); w.Error == nil || w.Error.Code != "token_revoked" {
		t.Errorf("%+v", w)
	}
	for body, code := range map[string]string{"x": "bad_json", "{}": "bad_message", `{"user":"1","id":"2"}`: "bad_message", `{"user":"a b"}`: "bad_user", `{"user":"1","for":"soon"}`: "bad_message"} {
		if _, text := r.ask(t, "POST", "/tokens/revoke", body); !strings.Contains(text, code) {
			t.Errorf("%s: %s", body, text)
		}
	}
}

// TestExpiriesDoNotPileUp: a connection has one end, however often it is refreshed, and a poll has none.
func TestExpiriesDoNotPileUp(t *testing.T) {
	r, _ := guarded(t, nil)
	var tickets []string
	for i := range 4 {
		tickets = append(tickets, tokenFor(t, "42", time.Hour+time.Duration(i)*time.Minute))
	}
	p := newWS(t, r.public, "/ws?token="+tickets[3])
	p.text()
	for i := range 40 {
		if w := p.command(`{"id":1,"refresh":{"token":"` + tickets[1+i%3] + `"}}`); w.Refreshed == nil {
			t.Fatalf("%+v", w)
		}
	}
	poll := newPeer(t, r.public)
	for range 40 {
		poll.get("/poll?wait=1ms&token=" + tickets[0])
		poll.want(200)
	}
	if n := r.Expiries(); n > 3 { // each that was earlier than those before
		t.Errorf("%d ends are remembered", n)
	}
	for range 2000 {
		q := newPeer(t, r.public)
		q.get("/sse?token=" + tickets[0])
		q.head("GET")
		q.Close()
	}
	if n := r.Expiries(); n > 3*600 {
		t.Errorf("%d ends are remembered of connections that have gone", n)
	}
}

// TestClientPublishWithoutEcho: the connection that publishes is not given what it said, other connections of its user are, and what
// others say reaches all.
func TestClientPublishWithoutEcho(t *testing.T) {
	r, _ := guarded(t, nil)
	text, err := token.Issue(tokenSecret, "42", token.Grants{{Pattern: "pad", Rights: token.Subscribe | token.Publish}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{nil, {"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"}} {
		name := "pad"
		writer, other := newWS(t, r.public, "/ws?channels=pad&token="+text, lines...), newWS(t, r.public, "/ws?channels=pad&token="+text)
		for range 2 {
			writer.text()
			other.text()
		}
		var first uint64
		for i := range 30 {
			if i%3 == 0 {
				r.push(t, name, "theirs")
			}
			writer.send(ws.OpText, `{"id":1,"publish":{"channel":"pad","echo":false,"data":"mine"}}`)
		}
		for got, mine, theirs := 0, 0, 0; got < 40; got++ {
			w := other.text()
			if first == 0 {
				first = w.Offset
			}
			if w.Offset != first+uint64(got) {
				t.Fatalf("the other got %+v after %d", w, got)
			}
			if string(w.Data) == `"mine"` {
				mine++
			} else {
				theirs++
			}
			if got == 39 && (mine != 30 || theirs != 10) {
				t.Errorf("the other got %d and %d", mine, theirs)
			}
		}
		for replies, theirs := 0, 0; replies < 30 || theirs < 10; {
			switch w := writer.text(); {
			case w.Published != nil:
				replies++
			case string(w.Data) == `"theirs"`:
				theirs++
			default:
				t.Fatalf("the writer got %+v", w)
			}
		}
	}
}
