package bench

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// TokenSecretVariable names where this program and its workers find the secret of clients' tokens. It is no flag, since
// everybody on a machine can read those, and it is not sent to workers on other machines: they have it in theirs.
const TokenSecretVariable = "ENCKE_BENCH_TOKEN_SECRET"

// leastTokenSecret is the shortest HS256 secret in bytes (RFC 7518 section 3.2).
const leastTokenSecret = 32

// checkUsers refuses tokens that nobody would take.
func (o *Options) checkUsers() error {
	switch {
	case o.Users == 0 && o.Scenario == "users":
		return errors.New("cannot push to users without any (--users)")
	case o.Users == 0 && o.Scenario == "presence":
		return errors.New("cannot see who is there without any users (--users)")
	case o.Users == 0:
		return nil
	case o.Users < 0:
		return fmt.Errorf("cannot have %d users", o.Users)
	case o.Target.Kind != "encke":
		return fmt.Errorf("cannot bring tokens to a server of kind %q: only encke takes these", o.Target.Kind)
	case o.Scenario == "http" || scenarios[o.Scenario].bare:
		return fmt.Errorf("cannot measure %s with users: it has no clients that bring tokens", o.Scenario)
	case o.Scenario == "users" && !o.JSON:
		return errors.New("cannot push to users over encke.raw, which gives them no channel of their own (--encke-json)")
	case o.Target.TokenSecret == "" && (o.Target.Public != "" || len(o.Remote) > 0):
		return fmt.Errorf("set %s to the secret by which the server verifies tokens; workers on other machines need it in their environment too", TokenSecretVariable)
	case o.Target.TokenSecret != "" && len(o.Target.TokenSecret) < leastTokenSecret:
		return fmt.Errorf("cannot use %s: it has fewer than %d bytes", TokenSecretVariable, leastTokenSecret)
	}
	return nil
}

// secretOfTokens makes one where the server is started here and none was given. Without users a server takes no tokens.
func (o *Options) secretOfTokens() {
	switch {
	case o.Users == 0:
		o.Target.TokenSecret = ""
	case o.Target.TokenSecret == "":
		o.Target.TokenSecret = rand.Text() + rand.Text()
	}
}
