package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The headers of a request. SignatureHeader is
//
//	Encke-Signature: t=1700000000,v1=<hex of HMAC-SHA-256(secret, "1700000000" + "." + body)>
//
// where t is the Unix time in seconds at which this attempt was made; with two secrets it has two v1, one of each, in their order, so
// that a receiver who knows one of them is content. EpochHeader, of a Sender's requests, names the process.
const (
	SignatureHeader = "Encke-Signature"
	EpochHeader     = "Encke-Epoch"
)

// leastSecret is the shortest secret in bytes.
const leastSecret = 16

// What Verify finds wrong. A receiver answers 401 to either.
var (
	ErrSignature = errors.New("the signature is not one of this secret and body")
	ErrTime      = errors.New("the signature is of another time")
)

func sign(secrets [][]byte, body []byte, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	header := "t=" + t
	for _, secret := range secrets {
		header += ",v1=" + hex.EncodeToString(mac(secret, t, body))
	}
	return header
}

func mac(secret []byte, t string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}

// Verify says whether a request's body was signed with the secret, not longer ago than tolerance and not further in the
// future; both times are taken in whole seconds. header is the value of SignatureHeader, body all of the body as it came. Of
// several v1 one has to be right, so that a secret can be changed; names it does not know are passed over. It returns
// ErrSignature or ErrTime. Anybody may call.
func Verify(secret []byte, header string, body []byte, now time.Time, tolerance time.Duration) error {
	if _, err := checkSecret(secret); err != nil {
		return err
	}
	t, macs := parseSignature(header)
	signed, err := strconv.ParseUint(t, 10, 62)
	if err != nil || !anyEqual(macs, mac(secret, t, body)) {
		return ErrSignature
	}
	age := now.Unix() - int64(signed)
	if most := int64(tolerance / time.Second); age > most || age < -most {
		return ErrTime
	}
	return nil
}

// parseSignature returns t and every v1 of a header; no t where there are several.
func parseSignature(header string) (t string, macs []string) {
	times := 0
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
			times++
		case "v1":
			macs = append(macs, value)
		}
	}
	if times != 1 {
		return "", nil
	}
	return t, macs
}

// anyEqual compares in a time that says nothing of where they differ.
func anyEqual(macs []string, want []byte) bool {
	for _, text := range macs {
		if m, err := hex.DecodeString(text); err == nil && hmac.Equal(m, want) {
			return true
		}
	}
	return false
}
