package edge

import (
	"strconv"

	"encke/channel"
	"encke/codes"
	"encke/netloop"
	"encke/token"
)

// commandRefresh gives a connection another token: its first, or one that lasts longer.
func (r *reactor) commandRefresh(c netloop.ID, cl *client, cmd *command) {
	text := []byte(cmd.Refresh.Token)
	claims := r.identities.known(text, r.now)
	switch {
	case cl.flags&isRefreshing != 0:
		r.replyError(c, cl, cmd.ID, codes.New(codes.TooManyCommands, "the last refresh is not answered yet"))
	case claims != nil:
		r.refreshed(c, cl, cmd.ID, verdict{claims, codes.None})
	case !r.server.tokens.Dear(text):
		r.refreshed(c, cl, cmd.ID, r.verify(c, text))
	default:
		cl.flags |= isRefreshing
		r.submit(c, &verified{text: string(text), command: cmd.ID, isReply: true})
	}
}

// refreshed takes the verdict on a connection's new token. What the new one does not allow any more is unsubscribed.
func (r *reactor) refreshed(c netloop.ID, cl *client, id []byte, v verdict) {
	was := r.identities.of(c).claims
	switch {
	case v.code != codes.None:
		r.replyError(c, cl, id, codes.New(v.code, ""))
		return
	case r.server.revoked.has(v.claims, r.now/1000):
		r.replyError(c, cl, id, codes.New(codes.TokenRevoked, ""))
		return
	case was != nil && was.Subject != v.claims.Subject:
		r.replyError(c, cl, id, codes.New(codes.Forbidden, "a connection stays with its user"))
		return
	case was == nil && r.server.users.many(v.claims.Subject, r.server.config.MaxPerUser):
		r.replyError(c, cl, id, codes.New(codes.UserLimit, ""))
		return
	}
	r.becomeUser(c, v.claims, true)
	r.claims = v.claims
	if was == nil {
		r.introduce(c, cl)
	}
	r.reply(c, cl, id, func(b []byte) []byte {
		b = append(b, `"refreshed":{"user":"`...)
		b = append(b, v.claims.Subject...)
		b = append(b, `","expires":`...)
		return append(strconv.AppendInt(b, v.claims.Expires/1000, 10), '}')
	})
	own := []byte(token.UserChannel(v.claims.Subject))
	if was == nil && r.subscribed(c, cl, own) == nil && !r.subscribe(c, cl, nil, own, channel.From{}, true) {
		return
	}
	r.giveLetters(c, cl)
	for _, x := range append([]uint32(nil), r.channels(c, cl)...) {
		if e := r.entries[x]; r.checkReadable([]byte(e.name)) != nil {
			r.removeChannel(c, cl, e)
			r.leave(c, e, true)
			r.reply(c, cl, nil, func(b []byte) []byte {
				b = append(b, `"unsubscribed":{"channel":"`...)
				return append(append(b, e.name...), `","code":"forbidden"}`...)
			})
		}
	}
}
