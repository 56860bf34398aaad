package wsframe

import "bytes"

// scanner walks a header value. httphead would do, but it takes "a b" and "a;x=" for well-formed and costs a callback
// and more time than the rest of the handshake.
type scanner struct{ rest []byte }

// isToken says which bytes are tchar of RFC 9110 section 5.6.2.
var isToken = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// space skips optional white space.
func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// next skips the separator c and the white space around it; without a c it skips only white space.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	s.space()
	return true
}

// element moves to the next element of a list, over empty ones (RFC 9110 section 5.6.1.2). It returns false at the end.
func (s *scanner) element() bool {
	for s.next(',') {
	}
	return len(s.rest) > 0
}

// endElement says whether the element that was read ends here, as it must.
func (s *scanner) endElement() bool {
	s.space()
	return len(s.rest) == 0 || s.rest[0] == ','
}

// token takes the longest token; it is empty when there is none.
func (s *scanner) token() []byte {
	n := 0
	for n < len(s.rest) && isToken[s.rest[n]] {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

// value takes a token, or a quoted string that holds one once its backslashes are gone (RFC 6455 section 9.1). The
// backslashes are left in: no token has any of its own. It is empty when there is no such thing.
func (s *scanner) value() []byte {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return s.token()
	}
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			v := s.rest[1:i]
			s.rest = s.rest[i+1:]
			return v
		case c == '\\' && i+1 < len(s.rest) && isToken[s.rest[i+1]]:
			i++
		case !isToken[c]:
			return nil
		}
	}
	return nil
}

// hasToken says whether the comma-separated list names the token, in whatever case.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if equalFold(trim(item), token) {
			return true
		}
	}
	return false
}

// equalFold compares without regard to ASCII case; lower is in lower case. bytes.EqualFold would take U+212A for a k.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trim removes the optional white space around a header value.
func trim(b []byte) []byte { return bytes.Trim(b, " \t") }
