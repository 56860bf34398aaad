package codes

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// markdown returns the table as PROTOCOL.md shows it.
func markdown() string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	var b strings.Builder
	b.WriteString("| code | HTTP | close | come back? | text |\n|---|---|---|---|---|\n")
	for _, c := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c, number(c.Status()), number(c.Close()), c.ComeBack(), c.Text())
	}
	return b.String()
}

func TestProtocolShowsTheTable(t *testing.T) {
	const file, begin, end = "../PROTOCOL.md", "<!-- codes:begin -->\n", "<!-- codes:end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), begin)
	shown, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no marks for the table", file)
	}
	if shown == markdown() {
		return
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(head+begin+markdown()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s differs from the table: UPDATE=1 go test ./codes writes it", file)
}

func TestEveryCodeIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		e := table[c]
		if e.name == "" || e.text == "" || e.status == 0 && e.close == 0 {
			t.Errorf("code %d: incomplete row %+v", c, e)
		}
		if seen[e.name] {
			t.Errorf("code %d: name %s stands twice", c, e.name)
		}
		seen[e.name] = true
	}
}

// TestComeBack: a client that goes by numbers alone does what the table says, or is more careful.
func TestComeBack(t *testing.T) {
	for _, c := range []struct {
		code Code
		want string
	}{
		{Forbidden, "no"}, {BadSince, "no"}, {Disconnected, "no"}, {Normal, "no"}, {FrameTooBig, "no"}, {NotFound, "no"}, {BadKey, "no"},
		{GoingAway, "later"}, {UserLimit, "later"}, {HookFailed, "later"}, {RateLimited, "later"}, {Overloaded, "later"}, {Internal, "later"},
		{SlowConsumer, "yes"}, {PingTimeout, "yes"}, {RequestTimeout, "yes"}, {Gap, "yes, without `since`"},
		{TokenExpired, "with another token"}, {TokenRevoked, "with another token"}, {BadToken, "with another token"},
		{TooManyCommands, "with fewer commands"},
	} {
		if got := c.code.ComeBack(); got != c.want {
			t.Errorf("%s: %s, want %s", c.code, got, c.want)
		}
	}
	for _, c := range All() {
		yes := c.ComeBack() == "later" || strings.HasPrefix(c.ComeBack(), "yes")
		switch n, status := c.Close(), c.Status(); {
		case n >= 4000 && n < 4100 && !yes, (n == 1001 || n == 1013) && !yes:
			t.Errorf("%s: %d asks to come back, the table says %s", c, n, c.ComeBack())
		case n >= 1002 && n <= 1009 && yes, n == 1000 && yes:
			t.Errorf("%s: %d does not ask to come back, the table says %s", c, n, c.ComeBack())
		case (status == 503 || status == 429 || status == 408) != yes && status != 0 && status != 500:
			t.Errorf("%s: %d, and the table says %s", c, status, c.ComeBack())
		}
	}
}

func TestErrorAsJSON(t *testing.T) {
	name := strings.Repeat("n", 128)
	for _, c := range []struct {
		err     *Error
		want    string // without "message"
		message string // part of it
	}{
		{New(NotFound, ""), `{"code":"not_found"}`, "nothing"},
		{&Error{Code: BadJSON, Detail: "say \"what\"?\x01é", Offset: 7}, `{"code":"bad_json","offset":7}`, `say "what"?`},
		{In(Forbidden, "a", "why"), `{"channel":"a","code":"forbidden"}`, "why"},
		{In(BadChannel, `"<é>`+"\n", ""), `{"channel":"\"\u003cé\u003e\n","code":"bad_channel"}`, ""},
		{In(BadChannel, "", "none"), `{"code":"bad_channel"}`, "none"},
		{In(BadChannel, name, ""), `{"channel":"` + name + `","code":"bad_channel"}`, ""},
		{In(BadChannel, name+"n", "nn…"), `{"code":"bad_channel"}`, "nn…"},
		{In(BadChannel, "a\xff", ""), `{"code":"bad_channel"}`, ""},
		{&Error{Code: BadJSON, Channel: "a", Offset: 7}, `{"channel":"a","code":"bad_json","offset":7}`, ""},
	} {
		got := c.err.AppendJSON([]byte("x"))
		var back map[string]any
		if err := json.Unmarshal(got[1:], &back); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		message, _ := back["message"].(string)
		delete(back, "message")
		rest, _ := json.Marshal(back)
		if string(rest) != c.want || message != c.err.Error() || !strings.Contains(message, c.message) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
