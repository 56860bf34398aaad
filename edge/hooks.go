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
	answers  map[netloop.Handle]*asked           // of requests, until they are shown again
	waiting  queue[waitingQuestion]              // for a worker
	commands map[netloop.ID]*queue[askedCommand] // a client's commands that are asked about, one at a time
}

// askedCommand is a client's command that the site's backend is asked about.
type askedCommand struct {
	start func() // asks
	size  int    // bytes that it takes meanwhile
}

func newHooks() hooks {
	return hooks{answers: map[netloop.Handle]*asked{}, commands: map[netloop.ID]*queue[askedCommand]{}}
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
	// commandMemory is what one of them is reckoned at besides its data.
	commandMemory = 1 << 10
)

// waitingQuestion is one for which there was no worker yet.
type waitingQuestion struct {
	h  netloop.Handle
	a  *asked
	at int64 // since when, Unix time in milliseconds
}

// maxQuestions is how many questions of a loop wait for a worker. They wait no longer than an answer may take.
const maxQuestions = 20_000

// ask has the site's backend asked, after those who wait for that already. It says false when too many do.
func (r *reactor) ask(c netloop.ID, a *asked) bool {
	a.Address = r.address(c).String()
	if a.User == "" {
		a.User = r.subject()
	}
	if r.hooks.waiting.len() >= maxQuestions {
		r.server.figures.shed.Add(1)
		return false
	}
	r.hooks.waiting.push(waitingQuestion{r.loop.Handle(c), a, r.now})
	r.askQueued()
	return true
}

// askQueued gives the workers what they take. It is called again with each answer, and at every tick.
func (r *reactor) askQueued() {
	waiting := &r.hooks.waiting
	for waiting.len() > 0 {
		w := waiting.front()
		_, there := r.loop.Resolve(w.h)
		switch {
		case !there:
		case r.now-w.at > r.server.config.Site.Timeout.Milliseconds():
			w.a.err = errors.New("no worker was free in time")
			r.server.figures.shed.Add(1)
			r.loop.Post(netloop.Mail{To: w.h, Kind: mailAsked, Val: w.a})
		case r.server.askers.Submit(func() {
			w.a.answer, w.a.err = r.server.asker.Ask(w.a.Question)
			r.loop.Post(netloop.Mail{To: w.h, Kind: mailAsked, Val: w.a})
		}) != nil:
			return // all are busy
		}
		waiting.pop()
	}
}

// verdictOn is what an answer means; nil is an allowance.
func (r *reactor) verdictOn(c netloop.ID, a *asked) *codes.Error {
	switch {
	case a.err != nil:
		return codes.In(codes.HookFailed, a.Channel, "")
	case !a.answer.Allow:
		return codes.In(codes.Forbidden, a.Channel, cmp.Or(a.answer.Reason, "the site has refused"))
	}
	return nil
}

// hooked says whether a request may go on, of r.claims, to r.names: when nobody is to be asked, or somebody was and has allowed it.
// Otherwise it has been refused, or will be shown again. At a shutdown no connection begins that would have to be ended: requests
// that had to wait come here after all others have been.
func (r *reactor) hooked(q *request, transport string) bool {
	if r.draining && transport != "poll" {
		r.fail(q, codes.New(codes.GoingAway, ""))
		return false
	}
	channels := r.hookedChannels()
	if r.server.common.hooks&hookConnect == 0 && len(channels) == 0 {
		return true
	}
	var key pollKey
	if transport == "poll" {
		key = r.pollKey(q)
	}
	if a, there := r.hooks.answers[r.loop.Handle(q.c)]; there {
		if err := r.verdictOn(q.c, a); err != nil {
			r.fail(q, err)
			return false
		}
		if transport == "poll" {
			r.server.allowances.add(key, r.now)
		}
		return true
	}
	switch {
	case transport == "poll" && r.server.allowances.has(key, r.now):
		return true
	case r.draining:
		r.fail(q, codes.New(codes.GoingAway, ""))
		return false
	case !r.ask(q.c, &asked{Question: webhook.Question{Hook: webhook.HookConnect, Transport: transport, Channels: channels}}):
		r.fail(q, codes.New(codes.Overloaded, "too many questions to the site's backend"))
		return false
	}
	q.cl.flags |= isStalled
	r.loop.StopTimer(q.c)
	r.loop.Pause(q.c)
	return false
}

// forgetAnswer forgets the answer to a request that has been served: whatever came of it, the next one is another.
func (r *reactor) forgetAnswer(c netloop.ID) {
	if len(r.hooks.answers) > 0 {
		delete(r.hooks.answers, r.loop.Handle(c))
	}
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

// hookCommand has a client's command asked about, after those that wait already: they are carried out in the client's order.
// then is called with the answer and carries the command out, or says why not; the client's claims are r.claims again.
func (r *reactor) hookCommand(c netloop.ID, cl *client, cmd *command, question webhook.Question, then func(*asked) *codes.Error) {
	waiting, size := r.hooks.commands[c], commandMemory+len(question.Data)
	switch {
	case waiting != nil && waiting.len() >= hookCommands:
		r.replyError(c, cl, cmd.ID, codes.New(codes.TooManyCommands, "too many wait for the site's backend"))
		return
	case r.server.askedSpent(size):
		r.replyError(c, cl, cmd.ID, codes.New(codes.Overloaded, "its memory for commands that wait for the site's backend is spent"))
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
		waiting = new(queue[askedCommand])
		r.hooks.commands[c] = waiting
	}
	waiting.push(askedCommand{start, size})
	r.server.figures.asked.Add(int64(size))
	if waiting.len() == 1 {
		start()
	}
}

// hookAnswered takes an answer of the site's backend.
func (r *reactor) hookAnswered(m netloop.Mail) {
	r.askQueued()
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
	if r.loop.Finishing(c) {
		r.forgetCommands(c)
		return
	}
	r.claims = r.identities.of(c).claims
	_ = a.then(a)
	if c, ok = r.loop.Resolve(m.To); !ok {
		return
	}
	waiting := r.hooks.commands[c]
	r.server.figures.asked.Add(int64(-waiting.pop().size))
	if waiting.len() == 0 {
		delete(r.hooks.commands, c)
		return
	}
	r.claims = r.identities.of(c).claims
	waiting.front().start()
}

// forgetHooks forgets what was asked for a connection that has gone.
func (r *reactor) forgetHooks(c netloop.ID) {
	r.forgetCommands(c)
	r.forgetAnswer(c)
}

// forgetCommands forgets a client's commands that wait.
func (r *reactor) forgetCommands(c netloop.ID) {
	waiting := r.hooks.commands[c]
	if waiting == nil {
		return
	}
	for waiting.len() > 0 {
		r.server.figures.asked.Add(int64(-waiting.pop().size))
	}
	delete(r.hooks.commands, c)
}
