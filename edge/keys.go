package edge

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"strings"

	"encke/codes"
	"encke/longpoll"
)

// Scope is what a backend key may be used for.
type Scope uint8

// The scopes.
const (
	ScopePublish Scope = 1 << iota // pushes
	ScopeRead                      // states, histories, users
	ScopeManage                    // forgetting histories, ending connections
	ScopeStats                     // figures, those of $console too
	allScopes    = ScopePublish | ScopeRead | ScopeManage | ScopeStats
)

var scopeNames = map[string]Scope{"publish": ScopePublish, "read": ScopeRead, "manage": ScopeManage, "stats": ScopeStats}

// BackendKey lets those who have it use the backend listener. What is kept is its hash: lengths tell nothing then, and a copy of
// the memory does not have it.
type BackendKey struct {
	hash   [sha256.Size]byte
	scopes Scope
}

// leastKey is the shortest backend key in bytes.
const leastKey = 16

// ParseBackendKey reads "key" or "key scope,scope": publish, read, manage, stats; a key without scopes has them all.
func ParseBackendKey(line string) (k BackendKey, err error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || len(fields) > 2 {
		return k, fmt.Errorf("a backend key stands in a line of its own, its scopes behind it")
	}
	if len(fields[0]) < leastKey {
		return k, fmt.Errorf("a backend key has at least %d characters, this one has %d", leastKey, len(fields[0]))
	}
	k = BackendKey{hash: sha256.Sum256([]byte(fields[0])), scopes: allScopes}
	if len(fields) == 2 {
		k.scopes = 0
		for _, name := range strings.Split(fields[1], ",") {
			scope, ok := scopeNames[name]
			if !ok {
				return k, fmt.Errorf("there is no scope %q: publish, read, manage, stats", name)
			}
			k.scopes |= scope
		}
	}
	return k, nil
}

// scope says what a request of the backend listener needs, all of it; 0 is nothing.
func scope(q *request) Scope {
	path, method := string(q.path), string(q.Header.Method())
	switch {
	case path == "/healthz" || path == "/readyz" || method == "OPTIONS":
		return 0
	case path == "/" || path == "/console": // the page asks for the key
		return 0
	case path == "/stats" || path == "/metrics":
		return ScopeStats
	case method == "DELETE" || path == "/tokens/revoke":
		return ScopeManage
	case method == "POST" && path != "/users":
		return ScopePublish
	case path == "/sse":
		return watchScope(q)
	case strings.HasPrefix(path, "/channels/"):
		return channelScope(path)
	}
	return ScopeRead
}

// allowed says whether a request of the backend listener brings the key that it needs; where it does not it has been refused.
// Every key is compared, and in the same time however much of it is right.
func (r *reactor) allowed(q *request) bool {
	keys, need := r.server.config.BackendKeys, scope(q)
	if len(keys) == 0 || need == 0 {
		return true
	}
	hash := sha256.Sum256(bearer(q))
	known, scopes := 0, Scope(0)
	for i := range keys {
		same := subtle.ConstantTimeCompare(hash[:], keys[i].hash[:])
		known |= same
		scopes |= keys[i].scopes * Scope(same)
	}
	switch {
	case known == 0:
		r.server.logRefusal(r.address(q.c), codes.BadKey, fmt.Errorf("%s %s with a key that is none, or without one", q.Header.Method(), q.path))
		r.failWith(q, codes.New(codes.BadKey, ""), longpoll.ErrorOptions{})
		return false
	case scopes&need != need:
		r.server.logRefusal(r.address(q.c), codes.Forbidden, fmt.Errorf("%s %s with a key that is not for that", q.Header.Method(), q.path))
		r.fail(q, codes.New(codes.Forbidden, "this key is not for that"))
		return false
	}
	return true
}

// checkBackend refuses a backend listener that others can reach and that asks for no key.
func (c *Config) checkBackend() error {
	if len(c.BackendKeys) > 0 || c.OpenBackend {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Backend); err != nil {
		return nil // Listen says what is wrong
	}
	if onLoopback(c.Backend) {
		return nil
	}
	return fmt.Errorf("cannot use --backend %s without keys: whoever reaches it could push; set --backend-key-file, or listen on 127.0.0.1", c.Backend)
}

// onLoopback says whether an address to listen on is for this machine alone.
func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// localName says whether a Host is one that no stranger can give to this machine: localhost, what ends with .localhost (RFC 6761
// section 6.3), or an address. A page at a name of its own, which its owner has resolved to 127.0.0.1 for the second request (DNS
// rebinding), is of the same origin as what it asks there, and sends no Origin with a GET. Who sends no Host is no browser.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	address := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(address) != nil
}
