package site

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
)

// Visitor is who looks at a page: one browser, by a cookie. A real site has its own accounts; here everybody says what they are called.
type Visitor struct {
	ID   string `json:"id"` // of characters that an Encke user may have
	Name string `json:"name"`
}

const cookieName = "examples_visitor"

// card is what the cookie says. Everybody sees ids; only the browser itself knows the key that its id is made of, so that nobody can
// come as somebody else, and the site need not remember anything.
type card struct {
	Key  string
	Name string
}

// visitor returns whose card it is.
func (c card) visitor() Visitor {
	sum := sha256.Sum256([]byte("visitor " + c.Key))
	return Visitor{ID: strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:20]), Name: CleanName(c.Name)}
}

// nameLength bounds names, in characters.
const nameLength = 24

// Visitor returns who makes a request. Who has not been here before gets a cookie, and with it an id, which stays from then on.
func (s *Site) Visitor(w http.ResponseWriter, r *http.Request) Visitor { return s.card(w, r).visitor() }

// card returns that of a request, or a new one, which the answer brings.
func (s *Site) card(w http.ResponseWriter, r *http.Request) card {
	if c, err := r.Cookie(cookieName); err == nil {
		var known card
		if text, err := base64.RawURLEncoding.DecodeString(c.Value); err == nil && json.Unmarshal(text, &known) == nil && len(known.Key) >= keyLength {
			return known
		}
	}
	c := card{Key: rand.Text()}
	c.give(w)
	return c
}

// keyLength is how long keys are at least, in characters of base32: 128 bits, as rand.Text makes them.
const keyLength = 26

func (c card) give(w http.ResponseWriter) {
	text, err := json.Marshal(c)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: base64.RawURLEncoding.EncodeToString(text), Path: "/", MaxAge: 30 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// CleanName returns a name as it is shown: without control characters, without spaces around, and not too long.
func CleanName(name string) string {
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, name)
	name = strings.TrimSpace(name)
	if all := []rune(name); len(all) > nameLength {
		name = string(all[:nameLength])
	}
	return strings.TrimSpace(name)
}

// Visitors serves GET /visitor, who one is, and PUT /visitor, which changes the name.
func (s *Site) Visitors(mux *http.ServeMux) {
	mux.HandleFunc("GET /visitor", func(w http.ResponseWriter, r *http.Request) { Answer(w, s.Visitor(w, r)) })
	mux.HandleFunc("PUT /visitor", func(w http.ResponseWriter, r *http.Request) {
		var say struct{ Name string }
		if !Read(w, r, &say) {
			return
		}
		c := s.card(w, r)
		c.Name = CleanName(say.Name)
		w.Header().Del("Set-Cookie")
		c.give(w)
		Answer(w, c.visitor())
	})
}

// Rights are what a token allows, by channel or the beginning of names and "*": of "subscribe", "publish", "presence".
type Rights map[string][]string

// tokenLife is how long tokens are good for. encke.js asks for the next one before.
const tokenLife = 10 * time.Minute

// Token issues a visitor's token. info is what others see of them where presence is kept.
func (s *Site) Token(user string, info any, rights Rights) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{"sub": user, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "channels": rights}
	if info != nil {
		claims["info"] = info
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(s.Secret)
}

// Tokens serves tokens at a path: of the visitor who asks, with its name as info.
func (s *Site) Tokens(mux *http.ServeMux, path string, rights func(Visitor) Rights) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		v := s.Visitor(w, r)
		text, err := s.Token(v.ID, map[string]string{"name": v.Name}, rights(v))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(text))
	})
}

// maxRequest bounds what a page may send to the site, in bytes.
const maxRequest = 64 << 10

// Read takes a request's JSON. It says false when the request has been refused. Pages of other sites cannot send JSON without asking
// before, which this site never allows.
func Read(w http.ResponseWriter, r *http.Request, to any) bool { return ReadUpTo(maxRequest, w, r, to) }

// ReadUpTo is Read for what may be larger, in bytes.
func ReadUpTo(most int64, w http.ResponseWriter, r *http.Request, to any) bool {
	if typ, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); typ != "application/json" {
		http.Error(w, "send application/json", http.StatusUnsupportedMediaType)
		return false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(to); err != nil {
		http.Error(w, "this is not the JSON that is expected: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// Answer answers with JSON.
func Answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(what) // who asked has gone
}
