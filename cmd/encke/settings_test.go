package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"encke/edge"

	"github.com/spf13/pflag"
)

// write writes a file of settings and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encke.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExample: the example names every setting with its default, and its rules can be used.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../encke.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# ([a-z-]+) = (.*)$`).FindAllStringSubmatch(string(text), -1) {
		if _, twice := shown[m[1]]; !twice { // those of rules come later
			shown[m[1]] = strings.Trim(m[2], `"`)
		}
	}
	s, err := parseServe(nil)
	if err != nil {
		t.Fatal(err)
	}
	machine := map[string]bool{"loops": true, "memory": true, "anonymous": true, "token-secret": true, "backend-key": true, "origins": true, "proxy-from": true, "webhook-events": true, "webhook-secret": true} // whose defaults differ, or is an example
	for _, name := range []string{"pattern", "subscribe", "publish", "hooks", "max-subscribers"} {                                                                                                               // of rules alone
		delete(shown, name)
	}
	fresh := settings{Config: edge.Defaults()}
	fresh.HistoryMemory, fresh.IDMemory, fresh.MaxConnections, fresh.MailboxMemory = 0, 0, 0, 0
	fresh.flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" || f.Name == "check" {
			return
		}
		got, there := shown[f.Name]
		delete(shown, f.Name)
		if !there || got != f.DefValue && !machine[f.Name] {
			t.Errorf("%s is shown as %q, %v; it is %q by default", f.Name, got, there, f.DefValue)
		}
	})
	for name := range shown {
		t.Errorf("there is no setting %q", name)
	}
	plain := regexp.MustCompile(`(?m)^# (\[\[channel\]\]|[a-z-]+ = .*)$`).ReplaceAllString(string(text), "$1")
	s, err = parseServe([]string{"--config", write(t, plain)})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rules) != 2 || *s.Rules[0].SlowReaders != "latest" || *s.Rules[1].HistoryAge != 24*time.Hour || s.Memory != 18<<30 {
		t.Errorf("%+v, %d bytes", s.Rules, s.Memory)
	}
	if _, err := edge.New(s.Config); err != nil {
		t.Error(err)
	}
}

// TestPrecedence: a flag goes before a variable, a variable before the file.
func TestPrecedence(t *testing.T) {
	path := write(t, "max-pending = \"1MiB\"\nmax-channels = 5\nanonymous = [\"a\", \"b*\"]\nconnection-rate = 2.5\necho = true\nhistory-age = \"1h\"\n")
	t.Setenv("ENCKE_MAX_PENDING", "2MiB")
	t.Setenv("ENCKE_MAX_BODY_SIZE", "1.5m")
	t.Setenv("ENCKE_CONFIG", path)
	s, err := parseServe([]string{"--max-body-size", "300"})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.MaxPending, s.MaxBody, s.MaxChannels, s.Anonymous, s.ConnectionRate, s.Echo, s.HistoryAge)
	if want := "2097152 300 5 [a b*] 2.5 true 1h0m0s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBadSettings(t *testing.T) {
	for text, want := range map[string]string{
		"max-pendign = 1":        `there is no setting "max-pendign"`,
		"max-pending = \"lots\"": "bytes are a number, or one with a unit, like 64KiB",
		"loops = \"many\"":       "loops: ",
		"config = \"x\"":         `there is no setting "config"`,
		"[[channel]]\npattern = \"a\"\nhistory-age = 300": "history-age",
		"history-age = 300": "history-age",
		"a = ":              "line 1",
		"[[channel]]\npattern = \"a\"\nlength = 3":                 `there is no setting "length" for channels`,
		"[[channel]]\npattern = \"a\"\nhistory-length = \"three\"": "history-length",
	} {
		if _, err := parseServe([]string{"--config", write(t, text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := parseServe([]string{"--config", "/nonexistent"}); err == nil {
		t.Error("a file that is not there can be used")
	}
	t.Setenv("ENCKE_LOOPS", "many")
	if _, err := parseServe(nil); err == nil || !strings.Contains(err.Error(), "cannot use ENCKE_LOOPS") {
		t.Error(err)
	}
}

// TestCheck says of settings whether they can be used.
func TestCheck(t *testing.T) {
	good := write(t, "[[channel]]\npattern = \"a*\"\nslow-readers = \"latest\"\n")
	bad := write(t, "[[channel]]\npattern = \"a*\"\nslow-readers = \"never\"\n")
	if got := run([]string{"serve", "--check", "--config", good}); got != 0 {
		t.Errorf("good: %d", got)
	}
	if got := run([]string{"serve", "--check", "--config", bad}); got != 1 {
		t.Errorf("bad: %d", got)
	}
}

// TestWebhookSecrets: one, or two while it is being changed, from flags, the environment or a file.
func TestWebhookSecrets(t *testing.T) {
	const old, next = "the old secret, with a comma", "the secret to come"
	file := write(t, "# while it is being changed\n"+old+"\n"+next+"\n")
	for _, c := range []struct {
		name string
		env  string
		args []string
		want []string
		ok   bool
	}{
		{"none", "", nil, nil, false},
		{"a flag", "", []string{"--webhook-secret", old}, []string{old}, true},
		{"two flags", "", []string{"--webhook-secret", old, "--webhook-secret", next}, []string{old, next}, true},
		{"the environment", old, nil, []string{old}, true},
		{"the environment, two lines", old + "\n" + next + "\n", nil, []string{old, next}, true},
		{"an empty one, as in the example", "", []string{"--webhook-secret", "", "--webhook-secret", old}, []string{old}, true},
		{"a file", "", []string{"--webhook-secret-file", file}, []string{old, next}, true},
		{"three", old, []string{"--webhook-secret-file", file}, []string{old, old, next}, false},
		{"a short one", "", []string{"--webhook-secret", old, "--webhook-secret", "short"}, []string{old, "short"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv("ENCKE_WEBHOOK_SECRET", c.env)
			}
			s, err := parseServe(append([]string{"--webhook", "http://127.0.0.1/"}, c.args...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, secret := range s.Site.Secrets {
				got = append(got, string(secret))
			}
			if _, err = edge.New(s.Config); !slices.Equal(got, c.want) || (err == nil) != c.ok {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}
