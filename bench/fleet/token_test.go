package fleet

import (
	"fmt"
	"testing"

	"encke/codes"
	"encke/token"
)

// TestTokens verifies what each client brings, where groups begin and end anywhere.
func TestTokens(t *testing.T) {
	const secret = "a secret of at least thirty-two bytes"
	verifier, err := token.New(token.Config{Secrets: [][]byte{[]byte(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	for _, g := range []Group{{Count: 5}, {Count: 5, Users: 5}, {Count: 30, Users: 12}, {First: 7, Count: 30, Users: 12}, {First: 95, Count: 10, Users: 1000}, {First: 3, Count: 0, Users: 2}} {
		k := kind{Group: g}
		if k.tokens, err = mint(secret, g.First, g.Count, g.Users); err != nil {
			t.Fatal(err)
		}
		for n := g.First; n < g.First+g.Count; n++ {
			text := k.token(&client{number: uint32(n)})
			if g.Users == 0 {
				if text != nil {
					t.Errorf("%+v: client %d brings %q", g, n, text)
				}
				continue
			}
			claims, code, why := verifier.Verify(text)
			if code != codes.None || claims.Subject != fmt.Sprintf("u%d", n%g.Users) || !claims.May(token.Subscribe, []byte("b")) {
				t.Errorf("%+v: client %d brings %q: %v %+v", g, n, text, why, claims)
			}
		}
	}
	pass, err := Pass(secret, "f")
	if err != nil {
		t.Fatal(err)
	}
	if claims, code, _ := verifier.Verify([]byte(pass)); code != codes.None || claims.Subject != "f" || !claims.May(token.Subscribe, []byte("b")) || !claims.May(token.Presence, []byte("b")) {
		t.Errorf("a pass is %+v", claims)
	}
	if _, err := mint("short", 0, 1, 1); err == nil {
		t.Error("a short secret was taken")
	}
}
