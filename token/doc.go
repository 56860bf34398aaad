// Package token says who a client is and what it may do: JSON Web Tokens (RFC 7519) that the site signs and Encke verifies.
// It knows keys and claims, nothing of connections. The algorithms are HS256, RS256, ES256 and EdDSA
// (RFC 7518, RFC 8037) and no other; a key serves the algorithm that it was made for and no other, so that a public key is never
// taken for a secret.
//
// Reading order: claims.go (what a token says), grants.go (what it allows), keys.go (what it is verified with), verifier.go, issue.go.
package token
