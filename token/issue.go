package token

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issue makes a token for trying, signed with an HS256 secret.
func Issue(secret []byte, user string, channels Grants, now time.Time, holds time.Duration) (string, error) {
	if _, err := secretKey(secret); err != nil {
		return "", err
	}
	c := &Claims{Subject: user, Channels: channels, IssuedAt: jwt.NewNumericDate(now), Expires: jwt.NewNumericDate(now.Add(holds))}
	if err := c.Validate(); err != nil {
		return "", err
	}
	if err := c.Channels.check(); err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
}
