package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"encke/codes"
	"encke/token"
)

// printed returns what f prints to standard output.
func printed(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := os.Stdout
	os.Stdout = w
	f()
	os.Stdout = out
	w.Close()
	text, _ := io.ReadAll(r)
	return string(text)
}

const secret = "a secret of at least thirty-two bytes"

// TestToken: what encke token prints is what encke serve takes.
func TestToken(t *testing.T) {
	file := write(t, secret+"\n"+strings.Repeat("x", 40)+"\n")
	for name, args := range map[string][]string{"argument": {"--token-secret", secret}, "file": {"--token-secret-file", file}, "environment": nil} {
		if name == "environment" {
			t.Setenv("ENCKE_TOKEN_SECRET", secret)
		}
		text := printed(t, func() {
			if got := run(append([]string{"token", "--sub", "42", "--channels", "news,chat:*=subscribe+publish", "--expires", "1m"}, args...)); got != 0 {
				t.Errorf("%s: status %d", name, got)
			}
		})
		s, err := parseServe(append([]string{}, args...))
		if err != nil {
			t.Fatal(err)
		}
		v, err := token.New(s.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		c, code, why := v.Verify([]byte(strings.TrimSpace(text)))
		if code != codes.None || c.Subject != "42" || !c.May(token.Publish, []byte("chat:1")) || c.May(token.Publish, []byte("news")) || time.Until(time.UnixMilli(c.Expires)) > time.Minute {
			t.Errorf("%s: %+v %v", name, c, why)
		}
	}
}

func TestBadToken(t *testing.T) {
	for name, args := range map[string][]string{
		"no secret": {"--sub", "42"}, "short secret": {"--sub", "42", "--token-secret", "short"}, "no user": {"--token-secret", secret},
		"bad right": {"--sub", "42", "--token-secret", secret, "--channels", "a=rule"}, "argument": {"42"},
		"no file": {"--sub", "42", "--token-secret-file", "/nonexistent"}, "empty file": {"--sub", "42", "--token-secret-file", "/dev/null"},
	} {
		if got := run(append([]string{"token"}, args...)); got != 2 {
			t.Errorf("%s: status %d", name, got)
		}
	}
	for name, args := range map[string][]string{"short secret": {"--token-secret", "short"}, "no keys": {"--token-keys", "/dev/null", "--token-secret", secret}} {
		if got := run(append([]string{"serve", "--check"}, args...)); got == 0 {
			t.Errorf("serve with %s: status %d", name, got)
		}
	}
	if out := printed(t, func() { run([]string{"serve", "--help"}) }); strings.Contains(out, secret) {
		t.Error("help shows the secret of the environment")
	}
}
