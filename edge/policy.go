package edge

import (
	"fmt"
	"strings"

	"encke/channel"
	"encke/codes"
	"encke/presence"
	"encke/token"
)

// access is which clients may do something in a channel.
type access uint8

const (
	granted access = iota // those whose token says so
	anybody
	withToken // those with any token
	nobody
)

var accessNames = [...]string{"granted", "anybody", "users", "nobody"}

func parseAccess(name string) (access, error) {
	for i, n := range accessNames {
		if n == name {
			return access(i), nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", name, strings.Join(accessNames[:], ", "))
}

// policy is what holds for the channels of a rule besides what the store must know.
type policy struct {
	pattern     string
	subscribe   access
	publish     access
	seePresence access
	presence    presence.Mode
	hooks       hookSet
	subscribers int // at most; 0: any number
	message     int // bytes of one at most; 0: as --max-message-size
}

// policy returns what holds for a channel: the first rule that fits, or what holds for all.
func (s *Server) policy(name []byte) *policy {
	for i := range s.policies {
		if p := &s.policies[i]; channel.Match(p.pattern, name) && !token.Foreign(name, p.pattern) {
			return p
		}
	}
	return &s.common
}

// allows says whether a client of these claims, nil without a token, has access; says is what the token itself allows.
func (a access) allows(claims *token.Claims, says func() bool) bool {
	switch a {
	case anybody:
		return true
	case withToken:
		return claims != nil
	case nobody:
		return false
	}
	return says()
}

// checkReadable says why a client, of r.claims, has no right to read a channel.
func (r *reactor) checkReadable(name []byte) *codes.Error {
	if code := channel.CheckName(name); code != codes.None {
		return codes.In(code, string(name), quoted(name))
	}
	if base, is := strings.CutPrefix(string(name), presencePrefix); is {
		err := r.checkPresence([]byte(base))
		if err != nil {
			err.Channel = string(name)
		}
		return err
	}
	if r.claims != nil && r.claims.Owns(name) {
		return nil
	}
	p := r.server.policy(name)
	may := p.subscribe.allows(r.claims, func() bool {
		return r.server.config.mayRead(name) || r.claims != nil && r.claims.May(token.Subscribe, name)
	})
	if !may {
		return r.forbidden("read", name)
	}
	return nil
}

// checkRoom says that a channel has as many subscribers as it may have. Two that come in the same moment, on two loops, may both be
// let in.
func (r *reactor) checkRoom(name []byte) *codes.Error {
	if channel.Reserved(name) || r.claims != nil && r.claims.Owns(name) { // nobody bounds the former, and it is subscribed to the latter by itself
		return nil
	}
	if most := r.server.policy(name).subscribers; most > 0 && r.server.store.Subscribers(name) >= most {
		return about(codes.ChannelFull, name)
	}
	return nil
}

// checkPublishable says why a client, of r.claims, may not publish to a channel.
func (r *reactor) checkPublishable(name []byte) *codes.Error {
	if code := channel.CheckName(name); code != codes.None {
		return codes.In(code, string(name), quoted(name))
	}
	if !r.server.policy(name).publish.allows(r.claims, func() bool { return r.claims != nil && r.claims.May(token.Publish, name) }) {
		return r.forbidden("publish to", name)
	}
	return nil
}

// checkPresence says why a client, of r.claims, may not see who is in a channel.
func (r *reactor) checkPresence(name []byte) *codes.Error {
	if code := channel.CheckName(name); code != codes.None {
		return codes.In(code, string(name), quoted(name))
	}
	p := r.server.policy(name)
	switch {
	case r.server.presenceMode(name) == presence.Off:
		return about(codes.NoPresence, name)
	case !p.seePresence.allows(r.claims, func() bool { return r.claims != nil && r.claims.May(token.Presence, name) }):
		return r.forbidden("see who is in", name)
	}
	return nil
}

// forbidden is the error for a client, of r.claims, that may not do something.
func (r *reactor) forbidden(what string, name []byte) *codes.Error {
	if r.claims == nil {
		return codes.In(codes.Forbidden, string(name), "clients without a token may not "+what+" "+string(name))
	}
	return codes.In(codes.Forbidden, string(name), "this token does not allow to "+what+" "+string(name))
}

// about is the error of a channel of which there is no more to say than its name.
func about(code codes.Code, name []byte) *codes.Error {
	text := string(name)
	return codes.In(code, text, text)
}

// placed names the channel in an error of the store's, or of a mailbox, that is about it.
func placed(err *codes.Error, name []byte) *codes.Error {
	if err != nil && (err.Code == codes.BadChannel || err.Code == codes.IDReused || err.Code == codes.Conflict) {
		err.Channel = string(name)
	}
	return err
}
