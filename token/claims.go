package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"encke/channel"
	"encke/codes"

	"github.com/golang-jwt/jwt/v5"
)

// Rights are what a client may do in a channel.
type Rights uint8

// The rights.
const (
	Subscribe Rights = 1 << iota
	Publish
	Presence
)

var rightNames = []struct {
	right Rights
	name  string
}{{Subscribe, "subscribe"}, {Publish, "publish"}, {Presence, "presence"}}

// ParseRights reads names of rights.
func ParseRights(names []string) (all Rights, err error) {
	for _, name := range names {
		found := false
		for _, r := range rightNames {
			if r.name == name {
				all |= r.right
				found = true
			}
		}
		if !found {
			return 0, fmt.Errorf("there is no right %q: subscribe, publish, presence", name)
		}
	}
	return all, nil
}

// Names returns the names of rights.
func (r Rights) Names() (names []string) {
	for _, x := range rightNames {
		if r&x.right != 0 {
			names = append(names, x.name)
		}
	}
	return names
}

// Grant gives rights in the channels whose names fit a pattern (channel.Match).
type Grant struct {
	Pattern string
	Rights  Rights
}

// Grants is the claim "channels": an object from patterns to lists of rights, or a list of patterns that may be subscribed to.
type Grants []Grant

// UnmarshalJSON implements json.Unmarshaler.
func (g *Grants) UnmarshalJSON(text []byte) error {
	const want = "channels is an object of lists of rights, or a list of names"
	if len(text) > 0 && text[0] == '[' {
		var list []string
		if json.Unmarshal(text, &list) != nil {
			return errors.New(want)
		}
		for _, p := range list {
			*g = append(*g, Grant{p, Subscribe})
		}
		return g.check()
	}
	var object map[string][]string
	if json.Unmarshal(text, &object) != nil {
		return errors.New(want)
	}
	for p, names := range object {
		rights, err := ParseRights(names)
		if err != nil {
			return err
		}
		*g = append(*g, Grant{p, rights})
	}
	return g.check()
}

// maxGrants is how many grants a token may have: they are looked through at each subscribe.
const maxGrants = 100

func (g *Grants) check() error {
	if len(*g) > maxGrants {
		return fmt.Errorf("channels names more than %d", maxGrants)
	}
	for _, x := range *g {
		if !channel.CheckPattern(x.Pattern) {
			return fmt.Errorf("channels: %q is neither a channel's name nor the beginning of names and *", x.Pattern)
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (g Grants) MarshalJSON() ([]byte, error) {
	object := map[string][]string{}
	for _, x := range g {
		object[x.Pattern] = x.Rights.Names()
	}
	return json.Marshal(object)
}

// Claims are what a token says. They are immutable once verified, and shared by all who came with the same token.
type Claims struct {
	Subject   string           `json:"sub"`           // the user
	ID        string           `json:"jti,omitempty"` // of the token, by which it can be revoked
	Issuer    string           `json:"iss,omitempty"`
	Audience  jwt.ClaimStrings `json:"aud,omitempty"`
	Expires   *jwt.NumericDate `json:"exp,omitempty"`
	NotBefore *jwt.NumericDate `json:"nbf,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
	Channels  Grants           `json:"channels,omitempty"`
	Info      json.RawMessage  `json:"info,omitempty"` // shown to those who see the user's presence
}

// May says whether the claims give a right in a channel. A user may always read its own channel, user:{sub}.
func (c *Claims) May(right Rights, name []byte) bool {
	if right == Subscribe && string(name) == UserChannel(c.Subject) {
		return true
	}
	for i := range c.Channels {
		if g := &c.Channels[i]; g.Rights&right != 0 && channel.Match(g.Pattern, name) && !Foreign(name, g.Pattern) {
			return true
		}
	}
	return false
}

const userPrefix = "user:"

// UserChannel is the channel that only its user may read.
func UserChannel(user string) string { return userPrefix + user }

// Foreign says whether a channel is a user's own, which a pattern that does not say user: itself must not open: "*" in a token
// means every channel of the site, not everybody's own.
func Foreign(name []byte, pattern string) bool {
	return strings.HasPrefix(string(name), userPrefix) && !strings.HasPrefix(pattern, userPrefix)
}

const (
	maxInfo = 1024
	maxUser = 120 // so that user:{sub} is a channel's name
)

// Validate implements jwt.ClaimsValidator: what every token must say, whatever its signature.
func (c *Claims) Validate() error {
	switch {
	case c.Expires == nil:
		return fmt.Errorf("a token has exp")
	case !CheckUser(c.Subject):
		return fmt.Errorf("sub is 1 to %d of the characters of a channel's name", maxUser)
	case len(c.Info) > maxInfo:
		return fmt.Errorf("info is longer than %d bytes", maxInfo)
	}
	return nil
}

// CheckUser says whether a user's id can be one.
func CheckUser(id string) bool {
	return len(id) <= maxUser && channel.CheckName([]byte(id)) == codes.None
}

// The methods of jwt.Claims.

// GetExpirationTime implements jwt.Claims.
func (c *Claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }

// GetIssuedAt implements jwt.Claims.
func (c *Claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.IssuedAt, nil }

// GetNotBefore implements jwt.Claims.
func (c *Claims) GetNotBefore() (*jwt.NumericDate, error) { return c.NotBefore, nil }

// GetIssuer implements jwt.Claims.
func (c *Claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c *Claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c *Claims) GetAudience() (jwt.ClaimStrings, error) { return c.Audience, nil }
