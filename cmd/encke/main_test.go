package main

import (
	"os"
	"testing"
)

// TestStatus gives wrong usage.
func TestStatus(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = null, null
	defer func() { os.Stdout, os.Stderr = out, errs }()
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"nothing", nil, 2},
		{"help", []string{"help"}, 0},
		{"unknown command", []string{"frobnicate"}, 2},
		{"serve with an argument", []string{"serve", "now"}, 2},
		{"serve on no address", []string{"serve", "--listen", "nonsense"}, 1},
		{"doctor for nobody", []string{"doctor", "--connections", "0"}, 2},
		{"doctor for fewer", []string{"doctor", "--connections", "-5"}, 2},
		{"doctor for many", []string{"doctor", "--connections", "many"}, 2},
		{"doctor for too many", []string{"doctor", "--connections", "1000000000000"}, 2},
		{"doctor with an argument", []string{"doctor", "now"}, 2},
		{"doctor for what no process can open", []string{"doctor", "--connections", "100000000", "--json"}, 1},
		{"help of doctor", []string{"doctor", "--help"}, 0},
	} {
		if got := run(c.args); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}
