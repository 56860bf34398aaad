package edge

import (
	"bytes"
	"net/url"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/token"
	"encke/wsframe"

	"github.com/valyala/fasthttp"
)

// arg returns the raw value of a query argument and whether it is there. The first one counts.
func arg(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		key, value, _ := bytes.Cut(pair, []byte("="))
		if string(key) == name {
			return value, true
		}
	}
	return nil, false
}

// unescape percent-decodes; text without a percent sign or a plus is returned as it is.
func unescape(s []byte, plus bool) ([]byte, bool) {
	if bytes.IndexByte(s, '%') < 0 && (!plus || bytes.IndexByte(s, '+') < 0) {
		return s, true
	}
	decode := url.PathUnescape
	if plus {
		decode = url.QueryUnescape
	}
	out, err := decode(string(s))
	return []byte(out), err == nil
}

// parseChannels reads the channels of a request into r.names and where to begin in each into r.froms. atLeast is 1 where
// a request without channels makes no sense.
func (r *reactor) parseChannels(q *request, atLeast int) *codes.Error {
	if err := r.nameChannels(q); err != nil {
		return err
	}
	most := r.server.config.MaxChannels
	own := r.addOwn(q)
	if own {
		most++
	}
	if err := r.checkNames(atLeast, most); err != nil {
		return err
	}
	return r.parseFroms(q, own)
}

// nameChannels reads the channels of a request into r.names. They are not checked.
func (r *reactor) nameChannels(q *request) *codes.Error {
	r.names = r.names[:0]
	list, _ := arg(q.query, "channels")
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(","))
		// "+" may stand in a name, so it is not a space here; a comma inside a name cannot be.
		name, ok := unescape(item, false)
		if !ok {
			return codes.New(codes.BadChannel, "a percent sign must be followed by two hexadecimal digits")
		}
		if bytes.IndexByte(name, ',') >= 0 { // a client that escaped the commas too
			for _, n := range bytes.Split(name, []byte(",")) {
				r.names = append(r.names, n)
			}
			continue
		}
		r.names = append(r.names, name)
	}
	return nil
}

// parseFroms reads where to begin in each of r.names into r.froms; own says that the last of them was added to those of the request.
func (r *reactor) parseFroms(q *request, own bool) *codes.Error {
	since, _ := arg(q.query, "since")
	since, ok := unescape(since, true)
	if last := q.Header.Peek("Last-Event-ID"); len(last) > 0 {
		since = last
	}
	if !ok {
		return codes.New(codes.BadSince, "a percent sign must be followed by two hexadecimal digits")
	}
	if own && len(since) > 0 && bytes.Count(since, []byte(",")) == len(r.names)-2 { // from before the connection had it
		since = append(append([]byte(nil), since...), ',')
	}
	var err *codes.Error
	r.froms, err = channel.ParseSince(r.froms[:0], since, len(r.names))
	return err
}

// addOwn adds the user's own channel, as the last, to those of a client with a token, unless it names it itself.
func (r *reactor) addOwn(q *request) bool {
	if r.claims == nil || wantsRaw(q) {
		return false
	}
	own := []byte(token.UserChannel(r.claims.Subject))
	for _, name := range r.names {
		if bytes.Equal(name, own) {
			return false
		}
	}
	r.names = append(r.names, own)
	return true
}

// wantsRaw says whether a request is for encke.raw, whose messages do not say of which channel they are.
func wantsRaw(q *request) bool {
	i, _, ok := wsframe.Choose(headerList(&q.Header, "Sec-WebSocket-Protocol"), subprotocols)
	return ok && subprotocols[i] == "encke.raw"
}

func (r *reactor) checkNames(atLeast, most int) *codes.Error {
	if len(r.names) < atLeast {
		return codes.New(codes.NoChannel, "")
	}
	if len(r.names) > most {
		return codes.New(codes.TooManyChannels, "")
	}
	for i, name := range r.names {
		if err := r.checkReadable(name); err != nil {
			return err
		}
		if err := r.checkRoom(name); err != nil {
			return err
		}
		for _, before := range r.names[:i] {
			if bytes.Equal(before, name) {
				return about(codes.DuplicateChannel, name)
			}
		}
	}
	return nil
}

// quoted shows untrusted bytes, cut to a reasonable length.
func quoted(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(bytes.ToValidUTF8(b[:most], []byte("?"))) + "…"
	}
	return string(bytes.ToValidUTF8(b, []byte("?")))
}

const (
	defaultWait = 25 * time.Second
	maxWait     = 60 * time.Second
)

// parseWait reads how long a poll may be parked.
func parseWait(q *request) (time.Duration, *codes.Error) {
	text, given := arg(q.query, "wait")
	if !given {
		return defaultWait, nil
	}
	d, err := parseTime(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, codes.New(codes.BadWait, quoted(text))
	}
	return d, nil
}

// parseTime reads a time: a number alone is seconds.
func parseTime(text []byte) (time.Duration, error) {
	s := string(text)
	if n := len(s); n > 0 && s[n-1] >= '0' && s[n-1] <= '9' {
		s += "s"
	}
	return time.ParseDuration(s)
}

// headerList returns the values of a header that may stand on several lines, as one list (RFC 9110 section 5.3).
func headerList(h *fasthttp.RequestHeader, name string) []byte {
	all := h.PeekAll(name)
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return bytes.Join(all, []byte(", "))
}
