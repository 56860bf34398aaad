package token

import (
	"encoding/json"
	"fmt"
	"strings"

	"encke/channel"
	"encke/codes"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a verified token says. They are immutable, and shared by all who came with the same token. There may be as many
// as connections, so they are small.
type Claims struct {
	Subject  string  // the user
	Expires  int64   // Unix time in milliseconds
	IssuedAt int64   // Unix time in seconds, 0 when the token does not say
	Channels *Grants // nil: none
	rare     *rare   // nil: neither of them
}

// rare is what most tokens do not say.
type rare struct {
	id   string
	info json.RawMessage
}

// ID returns the token's own id, by which it can be revoked; it may be empty.
func (c *Claims) ID() string {
	if c.rare == nil {
		return ""
	}
	return c.rare.id
}

// Info returns what is shown to those who see the user's presence: JSON, nil when there is nothing.
func (c *Claims) Info() []byte {
	if c.rare == nil {
		return nil
	}
	return c.rare.info
}

// May says whether the claims give a right in a channel. A user may always read its own channel, user:{sub}.
func (c *Claims) May(right Rights, name []byte) bool {
	if right == Subscribe && c.Owns(name) {
		return true
	}
	if c.Channels == nil {
		return false
	}
	for i := range *c.Channels {
		if g := &(*c.Channels)[i]; g.Rights&right != 0 && channel.Match(g.Pattern, name) && !Foreign(name, g.Pattern) {
			return true
		}
	}
	return false
}

// Owns says whether a channel is the user's own.
func (c *Claims) Owns(name []byte) bool {
	return len(name) == len(userPrefix)+len(c.Subject) && strings.HasPrefix(string(name), userPrefix) && string(name[len(userPrefix):]) == c.Subject
}

const userPrefix = "user:"

// UserChannel is the channel that only its user may read.
func UserChannel(user string) string { return userPrefix + user }

// ChannelUser returns whose own a channel is; it says false for any other channel.
func ChannelUser(name string) (user string, own bool) { return strings.CutPrefix(name, userPrefix) }

// Foreign says whether a channel is a user's own, which a pattern that does not say user: itself must not open: "*" in a token
// means every channel of the site, not everybody's own.
func Foreign(name []byte, pattern string) bool {
	return strings.HasPrefix(string(name), userPrefix) && !strings.HasPrefix(pattern, userPrefix)
}

const (
	maxInfo = 1024
	maxUser = 120 // so that user:{sub} is a channel's name
)

// CheckUser says whether a user's id can be one.
func CheckUser(id string) bool {
	return len(id) <= maxUser && channel.CheckName([]byte(id)) == codes.None
}

// payload is the JSON form of claims (RFC 7519 section 4).
type payload struct {
	Subject   string           `json:"sub"`
	ID        string           `json:"jti,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	Audience  jwt.ClaimStrings `json:"aud,omitempty"`
	Expires   *jwt.NumericDate `json:"exp,omitempty"`
	NotBefore *jwt.NumericDate `json:"nbf,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
	Channels  json.RawMessage  `json:"channels,omitempty"`
	Info      json.RawMessage  `json:"info,omitempty"`
}

// Validate implements jwt.ClaimsValidator: what every token must say, whatever its signature.
func (p *payload) Validate() error {
	switch {
	case p.Expires == nil:
		return fmt.Errorf("a token has exp")
	case !CheckUser(p.Subject):
		return fmt.Errorf("sub is 1 to %d of the characters of a channel's name", maxUser)
	case len(p.Info) > maxInfo:
		return fmt.Errorf("info is longer than %d bytes", maxInfo)
	}
	return nil
}

// claims returns what a payload says, its grants being read already.
func (p *payload) claims(channels *Grants) *Claims {
	c := &Claims{Subject: p.Subject, Expires: p.Expires.UnixMilli(), Channels: channels}
	if string(p.Info) == "null" {
		p.Info = nil
	}
	if p.ID != "" || len(p.Info) > 0 {
		c.rare = &rare{p.ID, p.Info}
	}
	if p.IssuedAt != nil {
		c.IssuedAt = p.IssuedAt.Unix()
	}
	return c
}

// The methods of jwt.Claims.

// GetExpirationTime implements jwt.Claims.
func (p *payload) GetExpirationTime() (*jwt.NumericDate, error) { return p.Expires, nil }

// GetIssuedAt implements jwt.Claims.
func (p *payload) GetIssuedAt() (*jwt.NumericDate, error) { return p.IssuedAt, nil }

// GetNotBefore implements jwt.Claims.
func (p *payload) GetNotBefore() (*jwt.NumericDate, error) { return p.NotBefore, nil }

// GetIssuer implements jwt.Claims.
func (p *payload) GetIssuer() (string, error) { return p.Issuer, nil }

// GetSubject implements jwt.Claims.
func (p *payload) GetSubject() (string, error) { return p.Subject, nil }

// GetAudience implements jwt.Claims.
func (p *payload) GetAudience() (jwt.ClaimStrings, error) { return p.Audience, nil }
