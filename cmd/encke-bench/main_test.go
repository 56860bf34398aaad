package main

import (
	"os"
	"path/filepath"
	"testing"

	"encke/bench"
)

// TestStatus gives wrong usage, and files that cannot be written.
func TestStatus(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = null, null
	defer func() { os.Stdout, os.Stderr = out, errs }()
	t.Setenv(secretVariable, "")
	t.Setenv(bench.TokenSecretVariable, "")
	nowhere := filepath.Join(t.TempDir(), "no", "such", "folder")
	unreachable := []string{"run", "--scenario", "broadcast", "--target", "ws://127.0.0.1:1", "--backend", "http://127.0.0.1:1", "--quiet", "--floor=false"}
	with := func(more ...string) []string { return append(append([]string{}, unreachable...), more...) }
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"nothing", nil, 2},
		{"help", []string{"help"}, 0},
		{"version", []string{"version"}, 0},
		{"unknown command", []string{"frobnicate"}, 2},
		{"no scenario", []string{"run"}, 2},
		{"help of run", []string{"run", "--help"}, 0},
		{"unknown scenario", []string{"run", "--scenario", "hurricane"}, 2},
		{"unknown flag", []string{"run", "--scenario=broadcast", "--fast"}, 2},
		{"an argument", []string{"run", "--scenario=broadcast", "now"}, 2},
		{"no number", []string{"run", "--scenario=broadcast", "-n", "many"}, 2},
		{"no clients", []string{"run", "--scenario=broadcast", "-n", "0"}, 2},
		{"too many clients", with("-n", "1000000000"), 1},
		{"remote workers without a secret", with("--worker", "127.0.0.1:1"), 2},
		{"tokens without a secret", with("--users", "5"), 2},
		{"users of a peer", []string{"run", "--scenario=users", "--kind=coder"}, 2},
		{"users of encke.raw", []string{"run", "--scenario=users", "--encke-json=false"}, 2},
		{"presence without users", []string{"run", "--scenario=presence", "--users=0"}, 2},
		{"more members than are listed", []string{"run", "--scenario=presence", "-n=20000", "--users=20000"}, 2},
		{"presence of a kind unknown", []string{"run", "--scenario=presence", "--presence=some"}, 2},
		{"worker without an address", []string{"worker"}, 2},
		{"worker without a secret", []string{"worker", "--listen", "127.0.0.1:0"}, 1},
		{"compare in no scale", []string{"compare", "--scale", "0"}, 2},
		{"unreachable", unreachable, 1},
		{"report nowhere", with("--json", nowhere), 1},
		{"page nowhere", with("--html", nowhere), 1},
		{"report on a full disk", with("--json", "/dev/full"), 1},
	} {
		if got := command(c.args); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}
