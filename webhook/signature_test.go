package webhook

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	const body = `{"a":1}`
	good := sign(secrets, []byte(body), begin)
	stamp, hash, _ := strings.Cut(good, ",")
	other := sign([][]byte{[]byte("another secret of some length")}, []byte(body), begin)[len(stamp)+1:]
	both := sign([][]byte{[]byte("another secret of some length"), secret}, []byte(body), begin)
	if both != stamp+","+other+","+hash {
		t.Errorf("with two secrets it is %s", both)
	}
	for _, c := range []struct {
		name, header, body string
		later              time.Duration
		want               error
	}{
		{"as signed", good, body, 0, nil},
		{"at the last moment", good, body, 300 * time.Second, nil},
		{"within that second", good, body, 300*time.Second + 999*time.Millisecond, nil},
		{"a second too late", good, body, 301 * time.Second, ErrTime},
		{"ahead of our clock", good, body, -300 * time.Second, nil},
		{"too far ahead", good, body, -301 * time.Second, ErrTime},
		{"another body", good, body + " ", 0, ErrSignature},
		{"no body", good, "", 0, ErrSignature},
		{"another secret", stamp + "," + other, body, 0, ErrSignature},
		{"two secrets, theirs first", stamp + "," + other + "," + hash, body, 0, nil},
		{"two secrets, ours first", stamp + "," + hash + "," + other, body, 0, nil},
		{"a scheme to come", good + ",v2=zz", body, 0, nil},
		{"two secrets, as signed", both, body, 0, nil},
		{"two secrets, another body", both, "", 0, ErrSignature},
		{"order", hash + "," + stamp, body, 0, nil},
		{"another time", "t=1700000001," + hash, body, 0, ErrSignature},
		{"two times", stamp + "," + good, body, 0, ErrSignature},
		{"a sign", "t=+1700000000," + hash, body, 0, ErrSignature},
		{"a time without end", "t=99999999999999999999999," + hash, body, 0, ErrSignature},
		{"no time", hash, body, 0, ErrSignature},
		{"no hash", stamp, body, 0, ErrSignature},
		{"an empty hash", stamp + ",v1=", body, 0, ErrSignature},
		{"half a hash", good[:len(good)-32], body, 0, ErrSignature},
		{"longer", good + "00", body, 0, ErrSignature},
		{"no hex", stamp + ",v1=" + strings.Repeat("z", 64), body, 0, ErrSignature},
		{"nothing", "", body, 0, ErrSignature},
	} {
		if err := Verify(secret, c.header, []byte(c.body), begin.Add(c.later), 5*time.Minute); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestSignature holds the signature against one that openssl made:
// printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
func TestSignature(t *testing.T) {
	const want = "t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"
	if got := sign(secrets, []byte(`{"a":1}`), begin); got != want {
		t.Error(got)
	}
}

// TestVerifyNeedsASecret: with none, anybody could sign.
func TestVerifyNeedsASecret(t *testing.T) {
	for _, weak := range []string{"", "0123456789abcde"} {
		if Verify([]byte(weak), sign([][]byte{[]byte(weak)}, nil, begin), nil, begin, time.Minute) == nil {
			t.Errorf("a secret of %d bytes", len(weak))
		}
	}
}

// FuzzVerify: no header but those that end in the right hash is taken, and none makes it panic.
func FuzzVerify(f *testing.F) {
	good := sign(secrets, []byte("body"), begin)
	for _, seed := range []string{good, "", "t=,v1=", "t=1,t=1,v1=00", good + "," + good, "v1=" + strings.Repeat("0", 64) + ",t=1700000000"} {
		f.Add(seed, []byte("body"))
	}
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if Verify(secret, header, body, begin, time.Minute) == nil {
			_, macs := parseSignature(header)
			right := false
			for at := begin.Add(-time.Minute); !at.After(begin.Add(time.Minute)); at = at.Add(time.Second) {
				_, hash, _ := strings.Cut(sign(secrets, body, at), "v1=")
				for _, m := range macs {
					right = right || strings.EqualFold(m, hash)
				}
			}
			if !right {
				t.Errorf("%q was taken", header)
			}
		}
		if err := Verify(secret, sign(secrets, body, begin), body, begin, 0); err != nil {
			t.Error(err)
		}
	})
}
