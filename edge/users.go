package edge

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"strconv"
	"sync"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// users are who is here: the users of tokens, with their connections on any transport. Any loop may call. A user whose last
// connection has gone stays online for a grace time, so that a reload of the page, or the moment between two polls, is no
// going away; and is remembered for a while after, for who asks when it was last seen.
type users struct {
	// immutable
	seed  maphash.Seed
	grace int64 // milliseconds

	shards [userShards]userShard

	// owned by loop 0
	swept int
}

const (
	userShards = 64
	// userMemory is for how many milliseconds one who has gone is remembered.
	userMemory = 60 * 60 * 1000
)

type userShard struct {
	mu sync.Mutex
	by map[string]*user // guarded by mu
	_  [40]byte         // keep the next shard off this cache line
}

// user is one who is here, or was not long ago. It is guarded by its shard's mutex.
type user struct {
	here []netloop.Handle // its connections
	seen int64            // when it was last here, Unix time in milliseconds
}

func newUsers(c *Config) *users {
	u := &users{seed: maphash.MakeSeed(), grace: c.UserGrace.Milliseconds()}
	for i := range u.shards {
		u.shards[i].by = map[string]*user{}
	}
	return u
}

// lock returns the shard of a user with its mutex held.
func (u *users) lock(id string) *userShard {
	s := &u.shards[maphash.String(u.seed, id)%userShards]
	s.mu.Lock()
	return s
}

// join notes a connection of a user; leave that it has gone.
func (u *users) join(id string, h netloop.Handle, now int64) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x == nil {
		x = new(user)
		s.by[id] = x
	}
	x.here, x.seen = append(x.here, h), now
}

func (u *users) leave(id string, h netloop.Handle, now int64) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x == nil {
		panic("BUG: a connection leaves a user who is not here")
	}
	i := slices.Index(x.here, h)
	last := len(x.here) - 1
	x.here[i] = x.here[last]
	x.here, x.seen = x.here[:last], now
	if last == 0 {
		x.here = nil
	}
}

// many says whether a user holds as many connections as one may. Two that come in the same moment, on two loops, may both be
// let in.
func (u *users) many(id string, most int) bool {
	if most == 0 {
		return false
	}
	s := u.lock(id)
	defer s.mu.Unlock()
	return s.by[id] != nil && len(s.by[id].here) >= most
}

// touch notes that a user was here just now, by a request that leaves no connection of its own behind.
func (u *users) touch(id string, now int64) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x == nil {
		x = new(user)
		s.by[id] = x
	}
	x.seen = now
}

// userState is what is answered of a user.
type userState struct {
	User        string `json:"user"`
	Online      bool   `json:"online"`
	Connections int    `json:"connections"`
	LastSeen    *int64 `json:"last_seen"` // Unix time in milliseconds; null for one who was not here for long
}

func (u *users) state(id string, now int64) userState {
	s := u.lock(id)
	defer s.mu.Unlock()
	out := userState{User: id}
	x := s.by[id]
	if x == nil {
		return out
	}
	seen := x.seen
	if out.Connections = len(x.here); out.Connections > 0 {
		seen = now
	}
	out.Online = now-seen < u.grace || out.Connections > 0
	out.LastSeen = &seen
	return out
}

// connections returns a user's connections.
func (u *users) connections(id string) []netloop.Handle {
	s := u.lock(id)
	defer s.mu.Unlock()
	if x := s.by[id]; x != nil {
		return slices.Clone(x.here)
	}
	return nil
}

// count returns how many users have a connection.
func (u *users) count() (n int) {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for _, x := range s.by {
			if len(x.here) > 0 {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// sweep forgets those of one shard who have been away for long. Loop 0 calls it at every tick.
func (u *users) sweep(now int64) {
	u.swept = (u.swept + 1) % userShards
	s := &u.shards[u.swept]
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.by {
		if len(x.here) == 0 && now-x.seen > max(userMemory, u.grace) {
			delete(s.by, id)
		}
	}
}

// serveUsers serves /users, /users/{id} and /users/{id}/connections of the backend.
func (r *reactor) serveUsers(q *request, path string) {
	if path == "" {
		r.only(q, "POST, OPTIONS", r.serveUserStates)
		return
	}
	raw, connections := cutSuffix(path[1:], "/connections")
	name, ok := unescape([]byte(raw), false)
	id := string(name)
	switch {
	case !ok || !token.CheckUser(id):
		r.fail(q, codes.New(codes.BadUser, quoted([]byte(raw))))
	case connections:
		r.only(q, "DELETE, OPTIONS", func(q *request) { r.disconnectUser(q, id) })
	case string(q.Header.Method()) == "POST":
		r.push(q, []byte(token.UserChannel(id)))
	default:
		r.only(q, "GET, HEAD, POST, OPTIONS", func(q *request) { r.answerAs(q, r.server.users.state(id, r.now)) })
	}
}

func cutSuffix(s, suffix string) (string, bool) {
	if len(s) > len(suffix) && s[len(s)-len(suffix):] == suffix {
		return s[:len(s)-len(suffix)], true
	}
	return s, false
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
	if cl.transport == overSSE || cl.transport == overStream {
		r.tellStream(c, cl, code)
	}
	r.end(c, cl, code)
}
