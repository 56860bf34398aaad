package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"encke/codes"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Config says with which keys tokens are verified, and what they must say.
type Config struct {
	Secrets  [][]byte // for HS256
	Keys     []byte   // PEM: public keys or certificates for RS256, ES256, EdDSA
	KeySet   string   // address of a JSON Web Key Set
	Refresh  time.Duration
	Issuer   string // what iss must be, "" for anything
	Audience string // what aud must contain, "" for anything
	Leeway   time.Duration
	Failed   func(error)      // told when the key set cannot be fetched
	Now      func() time.Time // nil: time.Now
}

// MaxToken is the longest token in bytes.
const MaxToken = 4096

// Verifier verifies tokens. It may be used by any goroutine.
type Verifier struct {
	// immutable
	fixed  []key
	parser *jwt.Parser
	grants *grantTable
	now    func() time.Time
	end    context.CancelFunc

	set     atomic.Pointer[jwkset.Storage] // nil until the key set has been fetched
	fetched atomic.Pointer[snapshot]
}

// New returns a verifier; Close ends what it does in the background. Without any key every token is refused.
func New(c Config) (*Verifier, error) {
	v := &Verifier{now: c.Now, end: func() {}, grants: new(grantTable)}
	if v.now == nil {
		v.now = time.Now
	}
	for _, secret := range c.Secrets {
		k, err := secretKey(secret)
		if err != nil {
			return nil, err
		}
		v.fixed = append(v.fixed, k)
	}
	if len(c.Keys) > 0 {
		keys, err := pemKeys(c.Keys)
		if err != nil {
			return nil, fmt.Errorf("cannot read the public keys: %w", err)
		}
		v.fixed = append(v.fixed, keys...)
	}
	v.parser = jwt.NewParser(options(&c, v.now)...)
	if c.KeySet == "" {
		return v, nil
	}
	return v, v.follow(&c)
}

func options(c *Config, now func() time.Time) []jwt.ParserOption {
	o := []jwt.ParserOption{jwt.WithValidMethods([]string{"HS256", "RS256", "ES256", "EdDSA"}),
		jwt.WithExpirationRequired(), jwt.WithLeeway(c.Leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding()}
	if c.Issuer != "" {
		o = append(o, jwt.WithIssuer(c.Issuer))
	}
	if c.Audience != "" {
		o = append(o, jwt.WithAudience(c.Audience))
	}
	return o
}

// follow fetches the key set in the background, also for the first time: a slow address does not hold up the start.
func (v *Verifier) follow(c *Config) error {
	if err := checkAddress(c.KeySet); err != nil {
		return err
	}
	every, failed := c.Refresh, c.Failed
	if every <= 0 {
		every = time.Minute
	}
	if failed == nil {
		failed = func(error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	v.end = cancel
	go func() { // ends with the first answer; the storage refreshes itself until ctx is done
		set, err := fetch(ctx, c.KeySet, every, failed)
		if err != nil {
			failed(err)
			return
		}
		v.set.Store(&set)
	}()
	return nil
}

// snapshot is what the key set held not long ago.
type snapshot struct {
	keys []key
	at   time.Time
}

// snapshotAge is for how long a snapshot is as good as the set.
const snapshotAge = time.Second

// current returns the keys of the key set.
func (v *Verifier) current() []key {
	set, now := v.set.Load(), v.now()
	if set == nil {
		return nil
	}
	if s := v.fetched.Load(); s != nil && now.Sub(s.at) < snapshotAge {
		return s.keys
	}
	s := &snapshot{fetched(*set), now}
	v.fetched.Store(s)
	return s.keys
}

// Close ends what the verifier does in the background.
func (v *Verifier) Close() { v.end() }

// Verify returns what a token says. It refuses with TokenExpired one whose time is over, and with BadToken everything else;
// why is for the log, not for the client.
func (v *Verifier) Verify(token []byte) (c *Claims, code codes.Code, why error) {
	if len(token) > MaxToken {
		return nil, codes.BadToken, fmt.Errorf("%d bytes, %d allowed", len(token), MaxToken)
	}
	var p payload
	_, err := v.parser.ParseWithClaims(string(token), &p, v.key)
	var channels *Grants
	if err == nil {
		channels, err = v.grants.read(p.Channels)
	}
	switch {
	case err == nil:
		return p.claims(channels), codes.None, nil
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, codes.TokenExpired, err
	}
	return nil, codes.BadToken, err
}

// commonHead is {"alg":"HS256","typ":"JWT"}, as nearly all libraries write it.
const commonHead = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// Dear says whether verifying a token takes long, by its algorithm: tens of microseconds and not some.
func (v *Verifier) Dear(token []byte) bool {
	head, _, _ := bytes.Cut(token, []byte("."))
	if string(head) == commonHead {
		return false
	}
	text, err := base64.RawURLEncoding.AppendDecode(nil, head)
	if err != nil || len(token) > MaxToken {
		return false // refused at once
	}
	var h map[string]any // as the parser reads it: names are exact
	return json.Unmarshal(text, &h) == nil && h["alg"] != "HS256"
}

// key returns the keys for a token: those of its algorithm, and of its kid where it names one.
func (v *Verifier) key(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, keys := range [][]key{v.fixed, v.current()} {
		for i := range keys {
			if k := &keys[i]; k.algorithm == t.Method.Alg() && (id == "" || k.id == "" || k.id == id) {
				set.Keys = append(set.Keys, k.key)
			}
		}
	}
	switch len(set.Keys) {
	case 0:
		return nil, fmt.Errorf("there is no key for %s, kid %q", t.Method.Alg(), id)
	case 1:
		return set.Keys[0], nil
	}
	return set, nil
}
