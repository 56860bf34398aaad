package edge

import (
	"strconv"

	"encke/channel"
	"encke/codes"
	"encke/netloop"
	"encke/token"
	"encke/webhook"
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

// refreshed takes the verdict on a connection's new token. Before its first one is taken the site's backend is asked, where it is about
// connections.
func (r *reactor) refreshed(c netloop.ID, cl *client, id []byte, v verdict) {
	if v.code != codes.None {
		r.replyError(c, cl, id, codes.New(v.code, ""))
		return
	}
	if err := r.checkToken(c, v.claims); err != nil {
		r.replyError(c, cl, id, err)
		return
	}
	ask := r.server.asker != nil && r.server.common.hooks&hookConnect != 0
	if r.identities.of(c).claims != nil || !ask {
		r.takeToken(c, cl, id, v.claims)
		return
	}
	r.names = r.names[:0]
	for _, x := range r.channels(c, cl) {
		r.names = append(r.names, []byte(r.entries[x].name))
	}
	q := webhook.Question{Hook: webhook.HookConnect, User: v.claims.Subject, Transport: "ws", Channels: r.hookedChannels()}
	r.hookCommand(c, cl, &command{ID: id}, q, func(*asked) *codes.Error {
		err := r.checkToken(c, v.claims) // much may have happened
		if err == nil {
			r.takeToken(c, cl, id, v.claims)
		}
		return err
	})
}

// checkToken says why a connection may not take a token that is right by itself.
func (r *reactor) checkToken(c netloop.ID, claims *token.Claims) *codes.Error {
	was := r.identities.of(c).claims
	switch {
	case r.now >= claims.Expires:
		return codes.New(codes.TokenExpired, "")
	case r.server.revoked.has(claims, r.now/1000):
		return codes.New(codes.TokenRevoked, "")
	case was != nil && was.Subject != claims.Subject:
		return codes.New(codes.Forbidden, "a connection stays with its user")
	case was == nil && r.server.users.many(claims.Subject, r.server.config.MaxPerUser):
		return codes.New(codes.UserLimit, "")
	}
	return nil
}

// takeToken makes a connection one of the token's user, or prolongs that. What the token does not allow any more is unsubscribed.
func (r *reactor) takeToken(c netloop.ID, cl *client, id []byte, claims *token.Claims) {
	was := r.identities.of(c).claims
	r.becomeUser(c, claims, true)
	r.claims = claims
	if was == nil {
		r.introduce(c, cl)
	} else {
		r.renew(c, cl)
	}
	r.reply(c, cl, id, func(b []byte) []byte {
		b = append(b, `"refreshed":{"user":"`...)
		b = append(b, claims.Subject...)
		b = append(b, `","expires":`...)
		return append(strconv.AppendInt(b, claims.Expires/1000, 10), '}')
	})
	own := []byte(token.UserChannel(claims.Subject))
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
