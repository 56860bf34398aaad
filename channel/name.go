package channel

import "encke/codes"

// maxName is the longest name of a channel in bytes.
const maxName = 128

// nameBytes tells which bytes a name may have. None of them needs escaping in JSON, in a query or in a header, and the
// comma, which separates names, is not among them.
var nameBytes = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:@=~$+!") {
		t[c] = true
	}
	return t
}()

// CheckName returns codes.None or codes.BadChannel. Reserved names are fine here.
func CheckName(name []byte) codes.Code {
	if len(name) == 0 || len(name) > maxName {
		return codes.BadChannel
	}
	for _, c := range name {
		if !nameBytes[c] {
			return codes.BadChannel
		}
	}
	return codes.None
}

// Reserved tells whether the name belongs to the server: clients may read it, nobody else may publish to it. The Store
// itself makes no difference; whoever takes messages from outside asks.
func Reserved(name []byte) bool { return len(name) > 0 && name[0] == '$' }

// Match tells whether a name fits a pattern: a name, or the beginning of names and an asterisk.
func Match(pattern string, name []byte) bool {
	if n := len(pattern) - 1; n >= 0 && pattern[n] == '*' {
		return len(name) >= n && string(name[:n]) == pattern[:n]
	}
	return string(name) == pattern
}

// CheckPattern tells whether a pattern can fit any name.
func CheckPattern(pattern string) bool {
	if n := len(pattern) - 1; n >= 0 && pattern[n] == '*' {
		pattern = pattern[:n]
		if n == 0 {
			return true
		}
	}
	return CheckName([]byte(pattern)) == codes.None
}
