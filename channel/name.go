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
