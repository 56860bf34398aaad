package edge

import (
	"bytes"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/token"
)

// serveBackend routes a request of the backend listener.
func (r *reactor) serveBackend(q *request) {
	if r.server.namedLocally && !localName(string(q.Header.Host())) {
		r.server.logRefusal(r.address(q.c), codes.BadHost, fmt.Errorf("a request to %s, on the backend listener", quoted(q.Header.Host())))
		r.fail(q, codes.New(codes.BadHost, ""))
		return
	}
	if !sameOrigin(q) {
		r.server.logRefusal(r.address(q.c), codes.BadOrigin, fmt.Errorf("a page of %s, on the backend listener", quoted(q.Header.Peek("Origin"))))
		r.fail(q, codes.New(codes.Forbidden, "pages of other sites may not use the backend listener"))
		return
	}
	if !r.allowed(q) {
		return
	}
	switch path := string(q.path); {
	case path == "/" || path == "/console":
		r.only(q, "GET, HEAD, OPTIONS", r.serveConsole)
	case path == "/sse":
		r.only(q, "GET, HEAD, OPTIONS", r.serveWatch)
	case path == "/publish":
		r.only(q, "POST, OPTIONS", r.servePublish)
	case path == "/stats":
		r.only(q, "GET, HEAD, OPTIONS", func(q *request) { r.elsewhere(q, r.server.statsAnswer) })
	case path == "/metrics":
		r.only(q, "GET, HEAD, OPTIONS", func(q *request) { r.elsewhere(q, r.server.metricsAnswer) })
	case path == "/healthz":
		r.only(q, "GET, HEAD, OPTIONS", func(q *request) { r.answerText(q, 200, "ok\n") })
	case path == "/readyz":
		r.only(q, "GET, HEAD, OPTIONS", r.serveReady)
	case path == "/tokens/revoke":
		r.only(q, "POST, OPTIONS", r.serveRevoke)
	case path == "/users" || strings.HasPrefix(path, "/users/"):
		r.serveUsers(q, path[len("/users"):])
	case strings.HasPrefix(path, "/channels/"):
		r.serveChannel(q)
	default:
		r.fail(q, codes.New(codes.NotFound, ""))
	}
}

// only serves a request whose method is in allow, a list that ends with OPTIONS.
func (r *reactor) only(q *request, allow string, serve func(*request)) {
	method := string(q.Header.Method())
	switch {
	case method == "OPTIONS":
		r.answer(q, longpoll.Response{Status: 204, Extra: []byte("Allow: " + allow + "\r\n")})
	case method != "" && strings.Contains(", "+allow+",", ", "+method+","):
		serve(q)
	default:
		r.failAllow(q, allow)
	}
}

func (r *reactor) answerText(q *request, status int, text string) {
	r.answer(q, longpoll.Response{Status: status, Type: "text/plain; charset=utf-8", Body: []byte(text)})
}

func (r *reactor) serveReady(q *request) {
	if r.server.ending.Load() {
		r.answerText(q, 503, "shutting down\n")
		return
	}
	r.answerText(q, 200, "ok\n")
}

// serveChannel serves /channels/{name}, /channels/{name}/history and /channels/{name}/presence.
func (r *reactor) serveChannel(q *request) {
	raw, rest, more := bytes.Cut(q.path[len("/channels/"):], []byte("/"))
	name, ok := unescape(raw, false)
	switch code := channel.CheckName(name); {
	case more && string(rest) != "history" && string(rest) != "presence":
		r.fail(q, codes.New(codes.NotFound, ""))
	case !ok:
		r.fail(q, codes.New(codes.BadChannel, quoted(raw)))
	case code != codes.None:
		r.fail(q, codes.In(code, string(name), quoted(raw)))
	case string(rest) == "presence":
		r.only(q, "GET, HEAD, OPTIONS", func(q *request) { r.serveMembers(q, name) })
	case string(rest) == "history":
		r.only(q, "GET, HEAD, OPTIONS", func(q *request) { r.serveHistory(q, name) })
	case string(q.Header.Method()) == "POST":
		r.push(q, name)
	default:
		r.only(q, "GET, HEAD, POST, DELETE, OPTIONS", func(q *request) {
			if string(q.Header.Method()) == "DELETE" {
				r.serveDelete(q, name)
			} else {
				r.serveState(q, name)
			}
		})
	}
}

// push publishes the body to one channel.
func (r *reactor) push(q *request, name []byte) {
	event := q.Header.Peek("Encke-Event")
	if len(event) == 0 {
		if e, given := arg(q.query, "event"); given {
			event, _ = unescape(e, true)
		}
	}
	m := channel.Message{Event: string(event), Type: pushedType(q), Data: q.Body(), ID: q.Header.Peek("Idempotency-Key")}
	var err *codes.Error
	if text := q.Header.Peek("Encke-Expect"); len(text) > 0 {
		m.Expect, err = expectation(text)
	}
	if text := q.Header.Peek("Encke-TTL"); len(text) > 0 && err == nil {
		m.TTL, err = parseTTL(text)
	}
	if err != nil {
		r.fail(q, err)
		return
	}
	keep, bad := parseKeeping(q.Header.Peek("Encke-Mailbox"))
	if bad != nil {
		r.fail(q, bad)
		return
	}
	res, err := r.send(name, &m, keep)
	switch {
	case err == nil:
		r.body = res.append(r.body[:0], name, r.server.store.Epoch())
		r.answerJSON(q, pushStatus(res.Subscribers), r.body)
	case err.Code == codes.Overloaded && r.stall(q):
	default:
		r.fail(q, err)
	}
}

// formType is what curl -d says when it is told nothing; the message is then of no declared type.
const formType = "application/x-www-form-urlencoded"

func pushedType(q *request) []byte {
	t := q.Header.ContentType()
	if string(t) == formType {
		return nil
	}
	return t
}

func pushStatus(subscribers int) int {
	if subscribers > 0 {
		return 201
	}
	return 202
}

// publish stores and sends a message of the backend's.
func (r *reactor) publish(name []byte, m *channel.Message) (channel.Result, *codes.Error) {
	if channel.Reserved(name) {
		return channel.Result{}, codes.In(codes.ReservedChannel, string(name), "")
	}
	if user, own := token.ChannelUser(string(name)); own && !token.CheckUser(user) {
		return channel.Result{}, codes.New(codes.BadUser, quoted([]byte(user)))
	}
	if err := r.server.fits(name, m); err != nil {
		return channel.Result{}, err
	}
	res, err := r.server.store.Publish(name, m, r.now)
	if err == nil && !res.Repeated {
		r.server.figures.bytesPublished.Add(uint64(len(m.Data)))
	}
	return res, placed(err, name)
}

// fits refuses a message that is larger than the channel's rule allows.
func (s *Server) fits(name []byte, m *channel.Message) *codes.Error {
	if most := s.policy(name).message; most > 0 && len(m.Data) > most {
		return codes.In(codes.MessageTooLarge, string(name), "this channel takes "+strconv.Itoa(most)+" bytes")
	}
	return nil
}

func (r *reactor) serveDelete(q *request, name []byte) {
	if !r.server.store.Delete(name, r.now) {
		r.fail(q, codes.In(codes.UnknownChannel, string(name), ""))
		return
	}
	r.answer(q, longpoll.Response{Status: 204})
}

func (r *reactor) serveState(q *request, name []byte) {
	state, ok := r.server.store.State(name, r.now)
	if !ok {
		r.fail(q, codes.In(codes.UnknownChannel, string(name), ""))
		return
	}
	b := append(r.body[:0], `{"channel":"`...)
	b = append(b, name...)
	b = append(b, `","position":"`...)
	b = channel.AppendPosition(b, r.server.store.Epoch(), state.Offset)
	b = append(b, `","offset":`...)
	b = strconv.AppendUint(b, state.Offset, 10)
	b = append(b, `,"subscribers":`...)
	b = strconv.AppendInt(b, int64(state.Subscribers), 10)
	b = append(b, `,"history":{"length":`...)
	b = strconv.AppendInt(b, int64(state.Length), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, state.Bytes, 10)
	r.body = append(b, "}}"...)
	r.answerJSON(q, 200, r.body)
}

// historyBytes is the size at which no more publications are added to one answer.
const historyBytes = 1 << 20

// serveHistory gives what is kept of a channel. Without since it is everything.
func (r *reactor) serveHistory(q *request, name []byte) {
	limit := 100
	if text, given := arg(q.query, "limit"); given {
		n, err := strconv.Atoi(string(text))
		if err != nil || n < 1 || n > 1000 {
			r.fail(q, codes.New(codes.BadLimit, quoted(text)))
			return
		}
		limit = n
	}
	from := channel.From{Kind: channel.FromStart}
	if since, given := arg(q.query, "since"); given {
		since, _ = unescape(since, true)
		froms, err := channel.ParseSince(r.froms[:0], since, 1)
		if err != nil {
			r.fail(q, err)
			return
		}
		r.froms, from = froms, froms[0]
	}
	joined, err := r.server.store.Read(name, from, channel.Limit{Publications: limit, Bytes: historyBytes}, r.now, r.replay[:0])
	if err != nil {
		r.fail(q, err)
		return
	}
	r.replay = joined.Replay
	body := r.beginPoll()
	for _, p := range joined.Replay {
		body = append(comma(body), p.Wire...)
	}
	body = append(body, `],"position":"`...)
	body = channel.AppendPosition(body, r.server.store.Epoch(), joined.Next)
	body = append(body, `","recovered":`...)
	body = strconv.AppendBool(body, joined.Recovered || from.Kind == channel.FromNow)
	r.body = append(body, '}')
	r.answerJSON(q, 200, r.body)
}

// servePublish takes POST /publish: one JSON object, or a batch of lines.
func (r *reactor) servePublish(q *request) {
	typ, _, err := mime.ParseMediaType(string(q.Header.ContentType()))
	switch {
	case err == nil && typ == "application/x-ndjson":
		r.serveBatch(q)
	case err == nil && (typ == "application/json" || typ == formType): // curl -d says the latter when told nothing
		r.serveOne(q)
	default:
		r.fail(q, codes.New(codes.UnsupportedType, ""))
	}
}

// sameOrigin refuses what a browser sends for a page of another site: any page could otherwise push through the browser of
// somebody who can reach this listener.
func sameOrigin(q *request) bool {
	origin := q.Header.Peek("Origin")
	if len(origin) == 0 {
		return true
	}
	_, host, _ := bytes.Cut(origin, []byte("://"))
	return bytes.EqualFold(host, q.Header.Host())
}
