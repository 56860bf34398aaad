package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encke/codes"

	"github.com/golang-jwt/jwt/v5"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	now    = time.Unix(1_800_000_000, 0)
	at     = func() time.Time { return now }
)

// private are keys that only the tests have; they are made once.
var private = sync.OnceValue(func() (p struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
}) {
	p.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	p.ecdsa, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, p.ed, _ = ed25519.GenerateKey(rand.Reader)
	return p
})

func publicPEM(t testing.TB, keys ...crypto.PublicKey) (text []byte) {
	t.Helper()
	for _, k := range keys {
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return text
}

// claims are good ones, with changes.
func claims(change func(m jwt.MapClaims)) jwt.MapClaims {
	m := jwt.MapClaims{"sub": "42", "exp": now.Add(time.Minute).Unix()}
	if change != nil {
		change(m)
	}
	return m
}

func sign(t testing.TB, method jwt.SigningMethod, key any, m jwt.MapClaims, kid string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, m)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verifier(t testing.TB, c Config) *Verifier {
	t.Helper()
	c.Now = at
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func TestVerify(t *testing.T) {
	p := private()
	all := Config{Secrets: [][]byte{[]byte("another secret of thirty-two byte"), secret}, Keys: publicPEM(t, &p.rsa.PublicKey, &p.ecdsa.PublicKey, p.ed.Public())}
	v := verifier(t, all)
	onlyRSA := verifier(t, Config{Keys: publicPEM(t, &p.rsa.PublicKey)})
	strict := verifier(t, Config{Secrets: [][]byte{secret}, Issuer: "site", Audience: "encke"})
	hs := func(change func(m jwt.MapClaims)) string {
		return sign(t, jwt.SigningMethodHS256, secret, claims(change), "")
	}
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	none := sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil), "")
	set := func(name string, value any) string { return hs(func(m jwt.MapClaims) { m[name] = value }) }
	without := func(name string) string { return hs(func(m jwt.MapClaims) { delete(m, name) }) }
	good := hs(nil)
	for _, c := range []struct {
		name  string
		v     *Verifier
		token string
		want  codes.Code
	}{
		{"HS256", v, good, codes.None},
		{"RS256", v, sign(t, jwt.SigningMethodRS256, p.rsa, claims(nil), ""), codes.None},
		{"ES256", v, sign(t, jwt.SigningMethodES256, p.ecdsa, claims(nil), ""), codes.None},
		{"EdDSA", v, sign(t, jwt.SigningMethodEdDSA, p.ed, claims(nil), ""), codes.None},
		{"a kid that fixed keys do not have", v, sign(t, jwt.SigningMethodHS256, secret, claims(nil), "k1"), codes.None},
		{"not valid before a minute ago", v, set("nbf", now.Add(-time.Minute).Unix()), codes.None},

		{"expired", v, set("exp", now.Add(-time.Second).Unix()), codes.TokenExpired},
		{"expired, and of another key", v, sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), claims(func(m jwt.MapClaims) { m["exp"] = 1 }), ""), codes.BadToken},
		{"not valid yet", v, set("nbf", now.Add(time.Minute).Unix()), codes.BadToken},
		{"another key", v, sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), claims(nil), ""), codes.BadToken},
		{"another RSA key", v, sign(t, jwt.SigningMethodRS256, other, claims(nil), ""), codes.BadToken},
		{"none", v, none, codes.BadToken},
		{"None", v, strings.Replace(none, strings.Split(none, ".")[0], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None"}`)), 1), codes.BadToken},
		{"HS256 with the RSA key's PEM as the secret", onlyRSA, sign(t, jwt.SigningMethodHS256, publicPEM(t, &p.rsa.PublicKey), claims(nil), ""), codes.BadToken},
		{"HS256 where there are only RSA keys", onlyRSA, good, codes.BadToken},
		{"HS384", v, sign(t, jwt.SigningMethodHS384, secret, claims(nil), ""), codes.BadToken},
		{"PS256", v, sign(t, jwt.SigningMethodPS256, p.rsa, claims(nil), ""), codes.BadToken},
		{"without sub", v, without("sub"), codes.BadToken},
		{"without exp", v, without("exp"), codes.BadToken},
		{"exp that is text", v, set("exp", "tomorrow"), codes.BadToken},
		{"sub that is empty", v, set("sub", ""), codes.BadToken},
		{"sub that is a number", v, set("sub", 42), codes.BadToken},
		{"sub that is no channel's name", v, set("sub", "a b"), codes.BadToken},
		{"sub that is too long", v, set("sub", strings.Repeat("x", 121)), codes.BadToken},
		{"channels that are text", v, set("channels", "all"), codes.BadToken},
		{"a right that there is not", v, set("channels", map[string][]string{"a": {"rule"}}), codes.BadToken},
		{"a pattern that there is not", v, set("channels", []string{"a*b"}), codes.BadToken},
		{"too many channels", v, set("channels", strings.Split(strings.Repeat("a,", 101)+"a", ",")), codes.BadToken},
		{"too much info", v, set("info", strings.Repeat("x", 1100)), codes.BadToken},
		{"a byte less", v, good[:len(good)-1], codes.BadToken},
		{"a byte more", v, good + "x", codes.BadToken},
		{"two parts", v, good[:strings.LastIndexByte(good, '.')], codes.BadToken},
		{"rubbish", v, "x.y.z", codes.BadToken},
		{"nothing", v, "", codes.BadToken},
		{"huge", v, set("x", strings.Repeat("x", MaxToken)), codes.BadToken},
		{"without issuer", strict, good, codes.BadToken},
		{"another issuer", strict, hs(func(m jwt.MapClaims) { m["iss"], m["aud"] = "other", "encke" }), codes.BadToken},
		{"another audience", strict, hs(func(m jwt.MapClaims) { m["iss"], m["aud"] = "site", []string{"a", "b"} }), codes.BadToken},
		{"issuer and audience", strict, hs(func(m jwt.MapClaims) { m["iss"], m["aud"] = "site", []string{"a", "encke"} }), codes.None},
		{"no key at all", verifier(t, Config{}), good, codes.BadToken},
	} {
		got, code, why := c.v.Verify([]byte(c.token))
		if code != c.want || (got == nil) != (code != codes.None) || (why == nil) != (code == codes.None) {
			t.Errorf("%s: %v, %v, want %v", c.name, code, why, c.want)
		}
		if got != nil && got.Subject != "42" {
			t.Errorf("%s: %+v", c.name, got)
		}
		if why != nil && len(c.token) > 20 && strings.Contains(why.Error(), c.token[len(c.token)-20:]) {
			t.Errorf("%s: the log would show the token: %v", c.name, why)
		}
	}
}

// TestEveryChangedByte: a token in which any byte is another is refused.
func TestEveryChangedByte(t *testing.T) {
	v := verifier(t, Config{Secrets: [][]byte{secret}})
	good := sign(t, jwt.SigningMethodHS256, secret, claims(nil), "")
	for i := range good {
		for _, b := range []byte("Aa0_.") {
			bad := []byte(good)
			if bad[i] == b {
				continue
			}
			bad[i] = b
			if c, code, _ := v.Verify(bad); code == codes.None {
				t.Errorf("byte %d as %q: taken as %+v", i, b, c)
			}
		}
	}
}

func TestMay(t *testing.T) {
	v := verifier(t, Config{Secrets: [][]byte{secret}})
	read := func(channels any) *Claims {
		c, code, why := v.Verify([]byte(sign(t, jwt.SigningMethodHS256, secret, claims(func(m jwt.MapClaims) { m["channels"] = channels }), "")))
		if code != codes.None {
			t.Fatal(why)
		}
		return c
	}
	list := read([]string{"news", "chat:*"})
	object := read(map[string][]string{"room:1": {"subscribe", "publish"}, "room:*": {"presence"}, "*": {"subscribe"}, "user:7": {"subscribe"}})
	for _, c := range []struct {
		claims *Claims
		right  Rights
		name   string
		want   bool
	}{
		{list, Subscribe, "news", true}, {list, Subscribe, "chat:1", true}, {list, Subscribe, "newsletter", false},
		{list, Publish, "news", false}, {list, Presence, "chat:1", false}, {list, Subscribe, "user:42", true},
		{list, Publish, "user:42", false}, {list, Subscribe, "user:421", false}, {list, Subscribe, "user:4", false},
		{object, Publish, "room:1", true}, {object, Publish, "room:2", false}, {object, Presence, "room:2", true},
		{object, Subscribe, "anything", true}, {object, Subscribe, "user:8", false}, {object, Subscribe, "user:7", true},
		{object, Publish, "anything", false},
	} {
		if got := c.claims.May(c.right, []byte(c.name)); got != c.want {
			t.Errorf("%v: %v in %s: %v", c.claims.Channels, c.right.Names(), c.name, got)
		}
	}
}

func TestIssue(t *testing.T) {
	v := verifier(t, Config{Secrets: [][]byte{secret}})
	text, err := Issue(secret, "42", Grants{{"chat:*", Subscribe | Publish}}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, code, why := v.Verify([]byte(text))
	if code != codes.None || !c.May(Publish, []byte("chat:1")) || c.May(Presence, []byte("chat:1")) || c.Expires != now.Add(time.Hour).UnixMilli() {
		t.Errorf("%+v %v", c, why)
	}
	for name, issue := range map[string]func() (string, error){
		"short secret": func() (string, error) { return Issue(secret[:31], "42", nil, now, time.Hour) },
		"no user":      func() (string, error) { return Issue(secret, "", nil, now, time.Hour) },
		"bad pattern":  func() (string, error) { return Issue(secret, "1", Grants{{"a*b", Subscribe}}, now, time.Hour) },
	} {
		if _, err := issue(); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestBadKeys(t *testing.T) {
	p := private()
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	privateDER, _ := x509.MarshalPKCS8PrivateKey(p.rsa)
	for name, c := range map[string]Config{
		"a short secret":    {Secrets: [][]byte{[]byte("short")}},
		"no PEM":            {Keys: []byte("hello")},
		"a private key":     {Keys: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})},
		"a small RSA key":   {Keys: publicPEM(t, small.Public())},
		"a key on P-384":    {Keys: publicPEM(t, p384.Public())},
		"rubbish in PEM":    {Keys: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})},
		"a file as key set": {KeySet: "file:///etc/passwd"},
		"no address":        {KeySet: "jwks"},
	} {
		if v, err := New(c); err == nil {
			v.Close()
			t.Errorf("%s: taken", name)
		}
	}
}

// keySet serves public keys as a JSON Web Key Set (RFC 7517).
type keySet struct {
	keys  atomic.Value // []map[string]string
	asked atomic.Int64
}

func (s *keySet) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.asked.Add(1)
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": s.keys.Load()})
}

func edJWK(kid string, k ed25519.PublicKey) map[string]string {
	return map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(k)}
}

// TestKeySet: keys are fetched, refreshed, and told apart by their kid; those for other uses do not count.
func TestKeySet(t *testing.T) {
	oldPublic, oldKey, _ := ed25519.GenerateKey(rand.Reader)
	newPublic, newKey, _ := ed25519.GenerateKey(rand.Reader)
	forSecrecy := edJWK("enc", newPublic)
	forSecrecy["use"] = "enc"
	set := &keySet{}
	set.keys.Store([]map[string]string{edJWK("old", oldPublic), forSecrecy})
	server := httptest.NewServer(set)
	defer server.Close()
	v, err := New(Config{KeySet: server.URL, Refresh: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	future := func(m jwt.MapClaims) { m["exp"] = time.Now().Add(time.Minute).Unix() }
	byOld := sign(t, jwt.SigningMethodEdDSA, oldKey, claims(future), "old")
	byNew := sign(t, jwt.SigningMethodEdDSA, newKey, claims(future), "new")
	encrypts := sign(t, jwt.SigningMethodEdDSA, newKey, claims(future), "enc")
	taken := func(token string) bool { _, code, _ := v.Verify([]byte(token)); return code == codes.None }
	eventually(t, "the old key", func() bool { return taken(byOld) })
	if taken(byNew) || taken(encrypts) {
		t.Error("a key that is not in the set, or not for signatures, was taken")
	}
	set.keys.Store([]map[string]string{edJWK("new", newPublic)})
	eventually(t, "the new key", func() bool { return taken(byNew) && !taken(byOld) })
}

// TestKeySetThatHangs: neither the start nor a token waits for it.
func TestKeySetThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connections are made by the kernel, and never answered
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v, err := New(Config{KeySet: "http://" + l.Addr().String(), Secrets: [][]byte{secret}, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	p := private()
	if _, code, _ := v.Verify([]byte(sign(t, jwt.SigningMethodEdDSA, p.ed, claims(nil), "k"))); code != codes.BadToken {
		t.Errorf("without keys: %v", code)
	}
	if _, code, why := v.Verify([]byte(sign(t, jwt.SigningMethodHS256, secret, claims(nil), ""))); code != codes.None {
		t.Errorf("by the secret: %v", why)
	}
}

// TestKeySetThatFails: it is told, and asked again.
func TestKeySetThatFails(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); http.Error(w, "no", 500) }))
	defer server.Close()
	told := make(chan error, 100)
	v, err := New(Config{KeySet: server.URL, Refresh: 10 * time.Millisecond, Failed: func(err error) {
		select {
		case told <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := <-told; err == nil {
		t.Error("told of nothing")
	}
	eventually(t, "it is asked again", func() bool { return asked.Load() > 2 })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func FuzzVerify(f *testing.F) {
	v := verifier(f, Config{Secrets: [][]byte{secret}})
	good := sign(f, jwt.SigningMethodHS256, secret, claims(nil), "")
	f.Add([]byte(good))
	f.Add([]byte("a.b.c"))
	f.Fuzz(func(t *testing.T, token []byte) {
		if c, code, _ := v.Verify(token); (code == codes.None) != (string(token) == good) {
			t.Errorf("%q: %v %+v", token, code, c)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := private()
	v := verifier(b, Config{Secrets: [][]byte{secret}, Keys: publicPEM(b, &p.rsa.PublicKey, &p.ecdsa.PublicKey, p.ed.Public())})
	m := claims(func(m jwt.MapClaims) { m["channels"] = map[string][]string{"chat:*": {"subscribe", "publish"}} })
	for _, c := range []struct {
		method jwt.SigningMethod
		key    any
	}{{jwt.SigningMethodHS256, secret}, {jwt.SigningMethodRS256, p.rsa}, {jwt.SigningMethodES256, p.ecdsa}, {jwt.SigningMethodEdDSA, p.ed}} {
		token := []byte(sign(b, c.method, c.key, m, ""))
		b.Run(fmt.Sprint(c.method.Alg()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, code, why := v.Verify(token); code != codes.None {
					b.Fatal(why)
				}
			}
		})
	}
}

// A token whose signature is dear to check is known by what the parser takes for its algorithm, whatever else its head says.
func TestDear(t *testing.T) {
	v := verifier(t, Config{Secrets: [][]byte{secret}})
	for _, c := range []struct {
		head string
		dear bool
	}{
		{`{"alg":"HS256","typ":"JWT"}`, false},
		{`{"typ":"JWT","alg":"HS256"}`, false},
		{`{"alg":"HS256","typ":"JWT","kid":"` + strings.Repeat("k", 300) + `"}`, false},
		{`{"alg":"RS256","typ":"JWT"}`, true},
		{`{"alg":"ES256"}`, true},
		{`{"alg":"RS256","kid":"\"HS256\""}`, true},
		{`{"alg":"RS256","x":"HS256"}`, true},
		{`{"alg":"RS256","ALG":"HS256"}`, true},
		{`not JSON`, false}, // refused at once
	} {
		if got := v.Dear([]byte(base64.RawURLEncoding.EncodeToString([]byte(c.head)) + ".e30.x")); got != c.dear {
			t.Errorf("%s: dear %v", c.head, got)
		}
	}
	if v.Dear([]byte("a.b")) || v.Dear([]byte("%%%")) {
		t.Error("rubbish is dear")
	}
}
