package token

import (
	"encoding/json"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issue makes a token for trying, signed with an HS256 secret.
func Issue(secret []byte, user string, channels Grants, now time.Time, holds time.Duration) (string, error) {
	if _, err := secretKey(secret); err != nil {
		return "", err
	}
	p := &payload{Subject: user, IssuedAt: jwt.NewNumericDate(now), Expires: jwt.NewNumericDate(now.Add(holds))}
	if err := p.Validate(); err != nil {
		return "", err
	}
	if err := channels.check(); err != nil {
		return "", err
	}
	if len(channels) > 0 {
		text, err := json.Marshal(channels)
		if err != nil {
			return "", err
		}
		p.Channels = text
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, p).SignedString(secret)
}
