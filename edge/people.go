package edge

import (
	"encoding/json"
	"strconv"
	"strings"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// serveUsers serves /users, /users/{id}, /users/{id}/connections and /users/{id}/mailbox of the backend.
func (r *reactor) serveUsers(q *request, path string) {
	if path == "" {
		r.only(q, "POST, OPTIONS", r.serveUserStates)
		return
	}
	raw, rest, more := strings.Cut(path[1:], "/")
	name, ok := unescape([]byte(raw), false)
	id := string(name)
	switch {
	case more && rest != "connections" && rest != "mailbox":
		r.fail(q, codes.New(codes.NotFound, ""))
	case !ok || !token.CheckUser(id):
		r.fail(q, codes.New(codes.BadUser, quoted([]byte(raw))))
	case rest == "mailbox":
		r.only(q, "GET, HEAD, DELETE, OPTIONS", func(q *request) { r.serveMailbox(q, id) })
	case rest == "connections":
		r.only(q, "DELETE, OPTIONS", func(q *request) { r.disconnectUser(q, id) })
	case string(q.Header.Method()) == "POST":
		r.push(q, []byte(token.UserChannel(id)))
	default:
		r.only(q, "GET, HEAD, POST, OPTIONS", func(q *request) { r.answerAs(q, r.server.users.state(id, r.now)) })
	}
}

// answerAs answers with a value as JSON.
func (r *reactor) answerAs(q *request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	r.answerJSON(q, 200, body)
}

// maxStates is how many users one request may ask about.
const maxStates = 10000

// serveUserStates answers for many users at once.
func (r *reactor) serveUserStates(q *request) {
	var ask struct {
		Users []string `json:"users"`
	}
	if err := json.Unmarshal(q.Body(), &ask); err != nil {
		r.fail(q, jsonError(err, codes.BadMessage))
		return
	}
	if len(ask.Users) > maxStates {
		r.fail(q, codes.New(codes.BadLimit, "users names more than "+strconv.Itoa(maxStates)))
		return
	}
	out := struct {
		Users []userState `json:"users"`
	}{Users: make([]userState, 0, len(ask.Users))}
	for _, id := range ask.Users {
		if !token.CheckUser(id) {
			r.fail(q, codes.New(codes.BadUser, quoted([]byte(id))))
			return
		}
		out.Users = append(out.Users, r.server.users.state(id, r.now))
	}
	r.answerAs(q, out)
}

// disconnectUser ends a user's connections.
func (r *reactor) disconnectUser(q *request, id string) {
	all := r.server.users.connections(id)
	for _, h := range all {
		r.server.engine.Loops()[h.Loop()].Post(netloop.Mail{To: h, Kind: mailEnd, N: uint64(codes.Disconnected)})
	}
	r.answer(q, longpoll.Response{Status: 200, Type: "application/json", Body: []byte(`{"disconnected":` + strconv.Itoa(len(all)) + `}`)})
}

// endAsked ends a connection because somebody outside of its loop asked for it.
func (r *reactor) endAsked(m netloop.Mail) {
	c, ok := r.loop.Resolve(m.To)
	if !ok {
		return
	}
	cl, code := r.clients.at(c), codes.Code(m.N)
	if cl.transport == overPoll {
		r.release(c, cl)
		r.refuse(c, cl, codes.New(code, ""))
		return
	}
	r.end(c, cl, code)
}
