package fleet

import (
	"runtime/debug"
	"strconv"
	"time"

	"encke/token"
)

// tokens are those of a group's users, one behind the other, without a heap object for each.
type tokens struct {
	text []byte
	ends []uint32
}

// tokenAge is for how long they hold: longer than a run may last.
const tokenAge = 48 * time.Hour

// mint makes the tokens that clients first to first+count-1 bring. They allow to subscribe to every channel of the harness.
func mint(secret string, first, count, users int) (t tokens, err error) {
	if users == 0 {
		return t, nil
	}
	now, all := time.Now(), token.Grants{{Pattern: "*", Rights: token.Subscribe}}
	for n := first; n < first+min(count, users); n++ {
		text, err := token.Issue([]byte(secret), "u"+strconv.Itoa(n%users), all, now, tokenAge)
		if err != nil {
			return t, err
		}
		if t.text == nil { // the others are about as long
			t.text = make([]byte, 0, (len(text)+4)*min(count, users))
		}
		t.text = append(t.text, text...)
		t.ends = append(t.ends, uint32(len(t.text)))
	}
	debug.FreeOSMemory() // what making them left is no client's memory
	return t, nil
}

// Pass makes a token of a user that may follow every channel of the harness, and see who is there.
func Pass(secret, user string) (string, error) {
	all := token.Grants{{Pattern: "*", Rights: token.Subscribe | token.Presence}}
	return token.Issue([]byte(secret), user, all, time.Now(), tokenAge)
}

// token returns what the client brings, nil for one without a token. It stays valid.
func (k *kind) token(c *client) []byte {
	if k.Users == 0 {
		return nil
	}
	i, start := (int(c.number)-k.First)%k.Users, uint32(0)
	if i > 0 {
		start = k.tokens.ends[i-1]
	}
	return k.tokens.text[start:k.tokens.ends[i]]
}
