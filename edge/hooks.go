package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"encke/channel"
	"encke/codes"
	"encke/netloop"
	"encke/webhook"
)

// hookSet is what the site's backend is asked about.
type hookSet uint8

const (
	hookConnect hookSet = 1 << iota
	hookSubscribe
	hookPublish
)

var hookNames = map[string]hookSet{webhook.HookConnect: hookConnect, webhook.HookSubscribe: hookSubscribe, webhook.HookPublish: hookPublish}

func parseHooks(list string) (all hookSet, err error) {
	for _, name := range strings.Split(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		h, ok := hookNames[name]
		if !ok {
			return 0, fmt.Errorf("%q is none of connect, subscribe, publish", name)
		}
		all |= h
	}
	return all, nil
}

// hooks are questions to the site's backend that are not answered yet, and answers that have not been used. Owned by the loop.
type hooks struct {
	answers  map[netloop.Handle]*asked     // of requests, until they are shown again
	commands map[netloop.ID]*queue[func()] // what waits behind a client's command that is being asked about: one is at a time
	allowed  map[string]int64              // polls that were allowed lately, until when: Unix time in milliseconds
}

func newHooks() hooks {
	return hooks{answers: map[netloop.Handle]*asked{}, commands: map[netloop.ID]*queue[func()]{}, allowed: map[string]int64{}}
}

// asked is a question, and its answer when there is one.
type asked struct {
	webhook.Question
	answer webhook.Answer
	err    error
	then   func(*asked) *codes.Error // nil for a request
}

const (
	// hookCommands is how many commands of a client may wait for the site's backend.
	hookCommands = 16
	// pollAllowed is for how many milliseconds a poll that was allowed is not asked about again.
	pollAllowed = 30_000
	// maxAllowed is how many such polls are remembered.
	maxAllowed = 16384
)

// ask has the site's backend asked. It says false when too much is being asked already.
func (r *reactor) ask(c netloop.ID, a *asked) bool {
	a.Address = r.address(c).String()
	if r.claims != nil {
		a.User = r.claims.Subject
	}
	h := r.loop.Handle(c)
	err := r.server.askers.Submit(func() {
		a.answer, a.err = r.server.asker.Ask(a.Question)
		r.loop.Post(netloop.Mail{To: h, Kind: mailAsked, Val: a})
	})
	if err != nil {
		r.server.figures.shed.Add(1)
	}
	return err == nil
}

// verdictOn is what an answer means; nil is an allowance.
func (r *reactor) verdictOn(c netloop.ID, a *asked) *codes.Error {
	switch {
	case a.err != nil:
		return codes.New(codes.HookFailed, "")
	case !a.answer.Allow:
		return codes.New(codes.Forbidden, cmp.Or(a.answer.Reason, "the site has refused"))
	}
	return nil
}

// hooked says whether a request may go on, of r.claims, to r.names: when nobody is to be asked, or somebody was and has allowed it.
// Otherwise it has been refused, or will be shown again.
func (r *reactor) hooked(q *request, transport string) bool {
	channels := r.hookedChannels()
	if r.server.common.hooks&hookConnect == 0 && len(channels) == 0 {
		return true
	}
	h := r.loop.Handle(q.c)
	key := ""
	if transport == "poll" {
		key = r.pollKey(q)
	}
	if a, there := r.hooks.answers[h]; there {
		delete(r.hooks.answers, h)
		if err := r.verdictOn(q.c, a); err != nil {
			r.fail(q, err)
			return false
		}
		if key != "" && len(r.hooks.allowed) < maxAllowed {
			r.hooks.allowed[key] = r.now + pollAllowed
		}
		return true
	}
	if key != "" && r.now < r.hooks.allowed[key] {
		return true
	}
	if !r.ask(q.c, &asked{Question: webhook.Question{Hook: webhook.HookConnect, Transport: transport, Channels: channels}}) {
		r.fail(q, codes.New(codes.Overloaded, "too many questions to the site's backend"))
		return false
	}
	q.cl.flags |= isStalled
	r.loop.StopTimer(q.c)
	r.loop.Pause(q.c)
	return false
}

// hookedChannels returns those of r.names that are asked about: all, where connections are.
func (r *reactor) hookedChannels() (channels []string) {
	connect := r.server.common.hooks&hookConnect != 0
	for _, name := range r.names {
		own := r.claims != nil && r.claims.Owns(name)
		if !own && (connect || r.hooksOf(name)&hookSubscribe != 0) {
			channels = append(channels, string(name))
		}
	}
	return channels
}

// hooksOf returns what is asked about a channel: nothing about those of the server.
func (r *reactor) hooksOf(name []byte) hookSet {
	if r.server.asker == nil || channel.Reserved(name) {
		return 0
	}
	return r.server.policy(name).hooks
}

// pollKey stands for polls of the same client for the same channels.
func (r *reactor) pollKey(q *request) string {
	who := "@" + r.address(q.c).String()
	if r.claims != nil {
		who = r.claims.Subject
	}
	var b strings.Builder
	b.WriteString(who)
	for _, name := range r.names {
		b.WriteByte(',')
		b.Write(name)
	}
	return b.String()
}

// forgetAllowed forgets polls that are to be asked about again.
func (r *reactor) forgetAllowed() {
	for key, until := range r.hooks.allowed {
		if r.now >= until {
			delete(r.hooks.allowed, key)
		}
	}
}

// hookCommand has a client's command asked about, after those that wait already: they are carried out in the client's order.
// then is called with the answer and carries the command out, or says why not; the client's claims are r.claims again.
func (r *reactor) hookCommand(c netloop.ID, cl *client, cmd *command, question webhook.Question, then func(*asked) *codes.Error) {
	waiting := r.hooks.commands[c]
	if waiting != nil && waiting.len() >= hookCommands {
		r.replyError(c, cl, cmd.ID, codes.New(codes.TooManyCommands, "too many wait for the site's backend"))
		return
	}
	id := append(json.RawMessage(nil), cmd.ID...)
	a := &asked{Question: question}
	a.then = func(a *asked) *codes.Error {
		err := r.verdictOn(c, a)
		if err == nil {
			err = then(a)
		}
		if err != nil {
			r.replyError(c, r.clients.at(c), id, err)
		}
		return err
	}
	start := func() {
		if !r.ask(c, a) {
			a.err = errors.New("too many questions")
			r.loop.Post(netloop.Mail{To: r.loop.Handle(c), Kind: mailAsked, Val: a})
		}
	}
	if waiting == nil {
		waiting = new(queue[func()])
		r.hooks.commands[c] = waiting
	}
	waiting.push(start)
	if waiting.len() == 1 {
		start()
	}
}

// hookAnswered takes an answer of the site's backend.
func (r *reactor) hookAnswered(m netloop.Mail) {
	c, ok := r.loop.Resolve(m.To)
	if !ok {
		return
	}
	a := m.Val.(*asked)
	if a.then == nil {
		r.hooks.answers[m.To] = a
		r.clients.at(c).flags &^= isStalled
		r.loop.Resume(c)
		return
	}
	r.claims = r.identities.of(c).claims
	if !r.loop.Finishing(c) {
		_ = a.then(a)
	}
	if c, ok = r.loop.Resolve(m.To); !ok {
		return
	}
	waiting := r.hooks.commands[c]
	waiting.pop()
	if waiting.len() == 0 {
		delete(r.hooks.commands, c)
		return
	}
	r.claims = r.identities.of(c).claims
	waiting.front()()
}

// forgetHooks forgets what was asked for a connection that has gone.
func (r *reactor) forgetHooks(c netloop.ID) {
	delete(r.hooks.commands, c)
	if len(r.hooks.answers) > 0 {
		delete(r.hooks.answers, r.loop.Handle(c))
	}
}
