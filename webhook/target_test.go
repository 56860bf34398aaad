package webhook

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSettings(t *testing.T) {
	const url = "https://example.com/hook"
	long, short := secrets, [][]byte{secret[:15]}
	for _, c := range []struct {
		name, url, epoch string
		secrets          [][]byte
		change           func(*Config)
		want             string // in the error; "": none
	}{
		{"good", url, "e", long, nil, ""},
		{"good, with a port and a query", "http://[::1]:8080/a?b=c", "e", long, nil, ""},
		{"another scheme", "ftp://example.com", "e", long, nil, "http://host"},
		{"no scheme", "example.com/hook", "e", long, nil, "http://host"},
		{"no host", "http:///hook", "e", long, nil, "http://host"},
		{"a port alone", "http://:80/hook", "e", long, nil, "http://host"},
		{"nothing", "", "e", long, nil, "http://host"},
		{"a password", "https://me:topsecret@example.com/", "e", long, nil, "no user and password"},
		{"a user", "https://topsecret@example.com/", "e", long, nil, "no user and password"},
		{"not to be parsed", "https://topsecret\x7f@example.com/", "e", long, nil, "cannot be parsed"},
		{"a bad port", "https://me:topsecret@example.com:http/", "e", long, nil, "cannot be parsed"},
		{"no secret", url, "e", nil, nil, "at least 16 bytes"},
		{"a short secret", url, "e", short, nil, "at least 16 bytes"},
		{"two secrets", url, "e", [][]byte{secret, secret}, nil, ""},
		{"two secrets, one of them short", url, "e", [][]byte{secret, secret[:15]}, nil, "at least 16 bytes"},
		{"three secrets", url, "e", [][]byte{secret, secret, secret}, nil, "two while"},
		{"no epoch", url, "", long, nil, "epoch"},
		{"an epoch of two lines", url, "a\r\nb", long, nil, "epoch"},
		{"a long epoch", url, strings.Repeat("e", 65), long, nil, "epoch"},
		{"a negative time", url, "e", long, func(c *Config) { c.Timeout = -1 }, "negative"},
		{"a negative number", url, "e", long, func(c *Config) { c.MaxBatch = -1 }, "negative"},
	} {
		config := Config{URL: c.url, Secrets: c.secrets, Epoch: c.epoch}
		if c.change != nil {
			c.change(&config)
		}
		_, err := New(config)
		refused(t, c.name, err, c.want)
		if c.epoch == "e" && c.change == nil {
			_, err = NewAsker(AskConfig{URL: c.url, Secrets: c.secrets})
			refused(t, c.name+", asking", err, c.want)
		}
	}
	_, err := NewAsker(AskConfig{URL: url, Secrets: long, MaxConns: -1})
	refused(t, "negative, asking", err, "negative")
}

func refused(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("%s: taken", name)
	case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v", name, err)
	case err != nil && (strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), string(secret[:15]))):
		t.Errorf("%s: the error shows a secret: %v", name, err)
	}
}

func TestDefaults(t *testing.T) {
	s, err := New(Config{URL: "http://a", Secrets: secrets, Epoch: "e"})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.config; c.Timeout != 5*time.Second || c.MaxBatch != 100 || c.MaxPending != 100_000 || c.MaxAge != time.Hour {
		t.Errorf("%+v", c)
	}
	a, err := NewAsker(AskConfig{URL: "http://a", Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	if c := a.config; c.Timeout != 2*time.Second || c.MaxConns != 64 || c.Failures != 10 || c.OpenFor != 5*time.Second {
		t.Errorf("%+v", c)
	}
}

// TestSecretIsCopied: what the caller does to its secret afterwards changes nothing.
func TestSecretIsCopied(t *testing.T) {
	mine := bytes.Clone(secret)
	s, err := New(Config{URL: "http://a", Secrets: [][]byte{mine}, Epoch: "e"})
	clear(mine)
	if err != nil || !bytes.Equal(s.config.Secrets[0], secret) {
		t.Error(err, "the secret changed")
	}
}

func TestCut(t *testing.T) {
	long := strings.Repeat("a", 199)
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{long + "b", long + "b"},
		{long + "bc", long + "b"},
		{long + "é", long},
		{long + "\xff", long},
		{"a\xff\xfeb", "a\uFFFDb"},
		{"a\nb\r\nc\x00\x1b[31m\x7f\u0085\u2028\u2029d", "a b  c  [31m    d"},
		{strings.Repeat("\n", 1000), strings.Repeat(" ", 200)},
	} {
		if got := cut(c.in); got != c.want || !utf8.ValidString(got) || len(got) > 200 {
			t.Errorf("%q: %q", c.in, got)
		}
	}
}
