package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxAnswer is how many bytes of a backend's answer are read.
	maxAnswer = 64 << 10
	// maxText is how many bytes of somebody else's text are passed on: a reason, an error.
	maxText = 200
	// agent is the User-Agent of every request.
	agent = "encke"
)

// target reads the address that requests go to. Its errors never show the address: people put keys into paths and queries.
func target(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("cannot use the URL of a webhook: it cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("cannot use the URL of a webhook: http://host or https://host is wanted")
	case u.User != nil:
		return nil, errors.New("cannot use the URL of a webhook: no user and password are allowed in it, requests are signed")
	}
	u.Fragment = ""
	return u, nil
}

// mostSecrets is how many there may be: the old one and the new one.
const mostSecrets = 2

// checkSecrets returns copies of secrets that are long enough.
func checkSecrets(secrets [][]byte) (own [][]byte, err error) {
	if len(secrets) == 0 || len(secrets) > mostSecrets {
		return nil, fmt.Errorf("cannot use the secrets of a webhook: one of at least %d bytes is needed, or two while it is being changed; there are %d", leastSecret, len(secrets))
	}
	for _, secret := range secrets {
		if secret, err = checkSecret(secret); err != nil {
			return nil, err
		}
		own = append(own, secret)
	}
	return own, nil
}

// checkSecret returns a copy of a secret that is long enough.
func checkSecret(secret []byte) ([]byte, error) {
	if len(secret) < leastSecret {
		return nil, fmt.Errorf("cannot use the secret of a webhook: at least %d bytes are needed, it has %d", leastSecret, len(secret))
	}
	return bytes.Clone(secret), nil
}

// cut shortens text to maxText bytes of valid UTF-8, in one line: what would be control characters, or end a line, are spaces, so
// that nobody can put lines of his own into a log.
func cut(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 2*maxText)], "\uFFFD"))
	if len(text) <= maxText {
		return text
	}
	n := maxText
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
