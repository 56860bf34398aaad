package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/MicahParks/jwkset"
)

// key verifies tokens of one algorithm.
type key struct {
	algorithm string
	id        string // kid; "" fits any
	key       any
}

// leastSecret is the shortest HS256 secret in bytes (RFC 7518 section 3.2).
const leastSecret = 32

func secretKey(secret []byte) (key, error) {
	if len(secret) < leastSecret {
		return key{}, fmt.Errorf("an HS256 secret has at least %d bytes, this one has %d", leastSecret, len(secret))
	}
	return key{algorithm: "HS256", key: secret}, nil
}

// publicKey finds the algorithm that a public key is for.
func publicKey(k crypto.PublicKey) (key, error) {
	switch p := k.(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() < 2048 {
			return key{}, fmt.Errorf("an RSA key has at least 2048 bits, this one has %d", p.N.BitLen())
		}
		return key{algorithm: "RS256", key: p}, nil
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("ES256 needs a key on the curve P-256")
		}
		return key{algorithm: "ES256", key: p}, nil
	case ed25519.PublicKey:
		return key{algorithm: "EdDSA", key: p}, nil
	}
	return key{}, fmt.Errorf("%T is no key for RS256, ES256 or EdDSA", k)
}

// pemKeys reads public keys and certificates from PEM.
func pemKeys(text []byte) (keys []key, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		var public crypto.PublicKey
		switch block.Type {
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = c.PublicKey
			}
		default:
			return nil, fmt.Errorf("a %s: public keys and certificates are wanted", block.Type)
		}
		if err != nil {
			return nil, err
		}
		k, err := publicKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no PEM block in it")
	}
	return keys, nil
}

// fetchTime is how long a key set's address may take to answer.
const fetchTime = 10 * time.Second

func checkAddress(address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("cannot use %q as the address of a key set: http:// or https:// is wanted", address)
	}
	return nil
}

// fetch reads the key set (RFC 7517) at an address, and again and again until ctx is done.
func fetch(ctx context.Context, address string, every time.Duration, failed func(error)) (jwkset.Storage, error) {
	return jwkset.NewStorageFromHTTP(address, jwkset.HTTPClientStorageOptions{
		Client:                    &http.Client{Timeout: fetchTime},
		Ctx:                       ctx,
		HTTPTimeout:               fetchTime,
		NoErrorReturnFirstHTTPReq: true,
		RefreshErrorHandler:       func(_ context.Context, err error) { failed(err) },
		RefreshInterval:           every,
	})
}

// fetched turns what was fetched into keys; those for other uses and algorithms are left out.
func fetched(set jwkset.Storage) (keys []key) {
	all, err := set.KeyReadAll(context.Background()) // from memory
	if err != nil {
		return nil
	}
	for i := range all {
		m := all[i].Marshal()
		k, err := publicKey(all[i].Key())
		if err != nil || m.USE != "" && m.USE != jwkset.UseSig || m.ALG != "" && string(m.ALG) != k.algorithm {
			continue
		}
		k.id = m.KID
		keys = append(keys, k)
	}
	return keys
}
