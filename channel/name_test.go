package channel

import (
	"strings"
	"testing"

	"encke/codes"
)

func TestCheckName(t *testing.T) {
	check := func(name string, want codes.Code) {
		t.Helper()
		if got := CheckName([]byte(name)); got != want {
			t.Errorf("CheckName(%q) = %v, want %v", name, got, want)
		}
	}
	check("a", codes.None)
	check("AZaz09_-.:@=~$+!", codes.None)
	check("$stats", codes.None)
	check(strings.Repeat("x", 128), codes.None)
	check(strings.Repeat("x", 129), codes.BadChannel)
	check("", codes.BadChannel)
	for c := range 256 {
		known := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:@=~$+!", byte(c)) >= 0
		want := codes.BadChannel
		if known {
			want = codes.None
		}
		check("n"+string([]byte{byte(c)}), want)
	}
}

func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{"$stats": true, "$": true, "a$": false, "": false} {
		if Reserved([]byte(name)) != want {
			t.Errorf("Reserved(%q) is not %v", name, want)
		}
	}
}
