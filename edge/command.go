package edge

import (
	"encoding/json"
	"errors"
	"strconv"

	"encke/channel"
	"encke/codes"
	"encke/netloop"
	"encke/webhook"

	"github.com/gobwas/ws"
)

// command is what a client sends over encke.json.
type command struct {
	ID        json.RawMessage `json:"id"`
	Subscribe *struct {
		Channel string `json:"channel"`
		Since   string `json:"since"`
	} `json:"subscribe"`
	Unsubscribe *struct {
		Channel string `json:"channel"`
	} `json:"unsubscribe"`
	Publish *publishCommand `json:"publish"`
	Refresh *struct {
		Token string `json:"token"`
	} `json:"refresh"`
	Presence *struct {
		Channel string `json:"channel"`
		Counts  bool   `json:"counts"`
	} `json:"presence"`
	Ack *struct {
		Mail uint64   `json:"mail"` // this letter and all before it
		Only []uint64 `json:"only"` // these
	} `json:"ack"`
	Ping *struct{} `json:"ping"`
}

// publishCommand is a client's message.
type publishCommand struct {
	Channel   string          `json:"channel"`
	Event     string          `json:"event"`
	Echo      *bool           `json:"echo"`
	MessageID string          `json:"message_id"`
	Data      json.RawMessage `json:"data"`
}

// maxID is the longest id that is repeated, in bytes of JSON.
const maxID = 64

// command carries out a client's command.
func (r *reactor) command(c netloop.ID, cl *client, text []byte) {
	var cmd command
	if err := json.Unmarshal(text, &cmd); err != nil {
		r.replyError(c, cl, nil, jsonError(err, codes.BadCommand))
		return
	}
	if !validID(cmd.ID) {
		r.replyError(c, cl, nil, codes.New(codes.BadCommand, "id is a number or a string of at most 64 bytes"))
		return
	}
	n := 0
	for _, there := range []bool{cmd.Subscribe != nil, cmd.Unsubscribe != nil, cmd.Publish != nil, cmd.Refresh != nil, cmd.Presence != nil, cmd.Ack != nil, cmd.Ping != nil} {
		if there {
			n++
		}
	}
	r.claims = r.identities.of(c).claims
	switch {
	case n != 1:
		r.replyError(c, cl, cmd.ID, codes.New(codes.BadCommand, strconv.Itoa(n)+" commands in one object"))
	case cmd.Ping != nil:
		r.reply(c, cl, cmd.ID, r.appendPong)
	case cmd.Publish != nil:
		r.commandPublish(c, cl, &cmd)
	case cmd.Ack != nil:
		r.commandAck(c, cl, &cmd)
	case cmd.Presence != nil:
		r.commandPresence(c, cl, &cmd)
	case cmd.Refresh != nil:
		r.commandRefresh(c, cl, &cmd)
	case cmd.Subscribe != nil:
		r.commandSubscribe(c, cl, &cmd)
	default:
		r.commandUnsubscribe(c, cl, &cmd)
	}
}

// validID accepts a number or a string, short enough to be repeated.
func validID(id json.RawMessage) bool {
	return len(id) == 0 || len(id) <= maxID && (id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9')
}

// jsonError turns an error of encoding/json into one of ours: with its place when it is not JSON at all.
func jsonError(err error, otherwise codes.Code) *codes.Error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &codes.Error{Code: codes.BadJSON, Detail: syntax.Error(), Offset: int(syntax.Offset)}
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return codes.New(otherwise, typ.Field+" has the wrong type")
	}
	return codes.New(otherwise, err.Error())
}

// checkSubscribe says why a command may not be carried out; where it may, r.froms has where to begin.
func (r *reactor) checkSubscribe(c netloop.ID, cl *client, name []byte, since string) (err *codes.Error) {
	err = r.checkReadable(name)
	switch {
	case err != nil:
	case r.subscribed(c, cl, name) != nil || r.followsLatently(c, cl, name):
		err = about(codes.AlreadySubscribed, name)
	case r.chosen(c, cl) >= r.server.config.MaxChannels:
		err = codes.New(codes.TooManyChannels, "")
	case r.checkRoom(name) != nil:
		err = r.checkRoom(name)
	default:
		r.froms, err = channel.ParseSince(r.froms[:0], []byte(since), 1)
	}
	return err
}

// chosen returns how many channels a client, of r.claims, has besides its user's own.
func (r *reactor) chosen(c netloop.ID, cl *client) int {
	all := r.channels(c, cl)
	n := len(all)
	for _, x := range all {
		if r.claims != nil && r.claims.Owns([]byte(r.entries[x].name)) {
			n--
		}
	}
	return n
}

func (r *reactor) commandSubscribe(c netloop.ID, cl *client, cmd *command) {
	name, since := []byte(cmd.Subscribe.Channel), cmd.Subscribe.Since
	err := r.checkSubscribe(c, cl, name, since)
	switch {
	case err != nil:
		r.replyError(c, cl, cmd.ID, err)
	case r.hooksOf(name)&hookSubscribe != 0 && (r.claims == nil || !r.claims.Owns(name)):
		id := append(json.RawMessage(nil), cmd.ID...)
		q := webhook.Question{Hook: webhook.HookSubscribe, Transport: "ws", Channel: string(name)}
		r.hookCommand(c, cl, cmd, q, func(*asked) *codes.Error {
			err := r.checkSubscribe(c, cl, name, since) // much may have happened
			if err == nil {
				r.subscribe(c, cl, id, name, r.froms[0], false)
			}
			return err
		})
	default:
		r.subscribe(c, cl, cmd.ID, name, r.froms[0], false)
	}
}

// subscribe subscribes a WebSocket, says so, and gives what was missed. own says that it is the user's own channel and was not
// asked for. It says whether the connection goes on.
func (r *reactor) subscribe(c netloop.ID, cl *client, id json.RawMessage, name []byte, from channel.From, own bool) bool {
	join := r.join
	if own {
		join = r.joinOwn
	}
	joined, e := join(c, cl, name, from, r.piece(cl, 1, r.loop.Waiting(c)))
	if cl.transport == overWS {
		r.reply(c, cl, id, func(b []byte) []byte {
			b = append(b, `"subscribed":{"channel":"`...)
			b = append(b, name...)
			b = append(b, `","position":"`...)
			b = channel.AppendPosition(b, r.server.store.Epoch(), joined.Begin)
			b = append(b, '"')
			if from.Kind != channel.FromNow {
				b = append(b, `,"recovered":`...)
				b = strconv.AppendBool(b, joined.Recovered)
			}
			return append(b, '}')
		})
	}
	return r.replayWS(c, cl, e, &joined)
}

// replayWS gives a WebSocket what it has missed of a channel. It says whether the connection goes on.
func (r *reactor) replayWS(c netloop.ID, cl *client, e *entry, joined *channel.Joined) bool {
	if cl.transport == overRaw {
		if joined.Gap != "" && e.slow != channel.SlowLatest { // of those channels raw clients want the newest, no more
			r.server.figures.gaps.Add(1)
			r.closeWS(c, cl, codes.Gap.Close(), codes.Gap)
			return false
		}
		joined.Gap = ""
		joined.Replay = withoutGaps(joined.Replay)
	}
	out := r.scratch[:0]
	if joined.Gap != "" {
		r.server.figures.gaps.Add(1)
		r.body = r.appendGap(r.body[:0], e.name, joined)
		out = appendText(out, r.body)
	}
	r.scratch = appendForm(out, formOf(cl), cl.bits, joined.Replay)
	r.countReplay(joined.Replay)
	r.loop.Send(c, r.scratch)
	return true
}

// withoutGaps returns the publications of a replay. Raw clients are not told of those whose own time is over.
func withoutGaps(replay []*channel.Publication) []*channel.Publication {
	kept := replay[:0]
	for _, p := range replay {
		if p.Kind != channel.KindGap {
			kept = append(kept, p)
		}
	}
	return kept
}

// commandPublish publishes what a client says, in its user's name. It is told where its message stands, also when it is
// subscribed there and so is given it like everybody else.
func (r *reactor) commandPublish(c netloop.ID, cl *client, cmd *command) {
	p := cmd.Publish
	name := []byte(p.Channel)
	err := r.checkPublishable(name)
	switch {
	case err != nil:
	case r.hooksOf(name)&hookPublish != 0 && len(p.Data) > 0:
		id := append(json.RawMessage(nil), cmd.ID...)
		q := webhook.Question{Hook: webhook.HookPublish, Transport: "ws", Channel: p.Channel, Event: p.Event, Data: p.Data}
		r.hookCommand(c, cl, cmd, q, func(a *asked) *codes.Error {
			if a.answer.Data != nil {
				p.Data = a.answer.Data
			}
			if err := r.checkPublishable(name); err != nil { // as of now
				return err
			}
			if r.subject() != a.User {
				return codes.New(codes.Forbidden, "the site was asked about another user")
			}
			return r.publishFor(c, cl, id, name, p)
		})
	default:
		err = r.publishFor(c, cl, cmd.ID, name, p)
	}
	if err != nil {
		r.replyError(c, cl, cmd.ID, err)
	}
}

// publishFor publishes for a client, of r.claims, and answers it unless there is an error.
func (r *reactor) publishFor(c netloop.ID, cl *client, id json.RawMessage, name []byte, p *publishCommand) *codes.Error {
	m := channel.Message{Event: p.Event, Data: p.Data, JSON: true, User: r.subject()}
	if p.Echo != nil && !*p.Echo {
		m.Except = uint64(r.loop.Handle(c))
	}
	switch m.ID = []byte(p.MessageID); {
	case len(m.ID) == 0:
	case r.claims == nil:
		return codes.New(codes.BadID, "a client without a token has none: everybody could use it")
	}
	res, err := r.publish(name, &m)
	if err != nil {
		return err
	}
	r.server.figures.published.Add(1)
	r.reply(c, cl, id, func(b []byte) []byte {
		b = append(b, `"published":`...)
		return appendResult(b, name, r.server.store.Epoch(), res)
	})
	return nil
}

func (r *reactor) commandUnsubscribe(c netloop.ID, cl *client, cmd *command) {
	name := []byte(cmd.Unsubscribe.Channel)
	e := r.subscribed(c, cl, name)
	switch {
	case e != nil:
		r.removeChannel(c, cl, e)
		r.leave(c, e, true)
	case r.followsLatently(c, cl, name):
		r.leaveOwn(c, cl)
	default:
		r.replyError(c, cl, cmd.ID, codes.In(codes.NotSubscribed, string(name), quoted(name)))
		return
	}
	r.reply(c, cl, cmd.ID, func(b []byte) []byte {
		b = append(b, `"unsubscribed":{"channel":"`...)
		b = append(b, name...)
		return append(b, `"}`...)
	})
}

// reply sends a JSON object to a client: its id, when it gave one, and what add appends.
func (r *reactor) reply(c netloop.ID, cl *client, id json.RawMessage, add func([]byte) []byte) {
	b := append(r.body[:0], '{')
	if len(id) > 0 {
		b = append(b, `"id":`...)
		b = append(b, id...)
		b = append(b, ',')
	}
	r.body = append(add(b), '}')
	r.sendFrame(c, cl, ws.OpText, r.body, false)
}

func (r *reactor) replyError(c netloop.ID, cl *client, id json.RawMessage, err *codes.Error) {
	r.server.figures.refused[err.Code].Add(1)
	r.noteRefusal(c, err)
	r.reply(c, cl, id, func(b []byte) []byte { return err.AppendJSON(append(b, `"error":`...)) })
}
