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
	b.WriteString("| code | HTTP | close | text |\n|---|---|---|---|\n")
	for _, c := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c, number(c.Status()), number(c.Close()), c.Text())
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

func TestErrorAsJSON(t *testing.T) {
	got := (&Error{Code: BadJSON, Detail: "say \"what\"?\x01é", Offset: 7}).AppendJSON(nil)
	var back struct {
		Code, Message string
		Offset        int
	}
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if back.Code != "bad_json" || back.Offset != 7 || !strings.Contains(back.Message, `say "what"?`) {
		t.Errorf("got %s", got)
	}
}
