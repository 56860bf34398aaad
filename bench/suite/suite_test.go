package suite

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"encke/bench"
	"encke/bench/fleet"
	"encke/bench/floor"
	"encke/bench/report"
)

// TestMain lets this binary be the processes too that a run starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		var err error
		switch os.Args[1] {
		case bench.FloorCommand:
			err = floor.Main(os.Args[2:], os.Stdin, os.Stdout)
		case bench.WorkerCommand:
			err = fleet.Serve(os.Stdin, os.Stdout, runtime.NumCPU(), os.Getenv(bench.TokenSecretVariable))
		default:
			os.Exit(m.Run())
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestMeasure measures a few rows in small, with the real server, and reads the page.
func TestMeasure(t *testing.T) {
	server := filepath.Join(t.TempDir(), "encke")
	if out, err := exec.Command("go", "build", "-o", server, "encke/cmd/encke").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := Settings{Runs: 2, Only: []string{"connect", "saturated", "longpoll", "idle-users", "users"}, Kinds: []string{"encke"}, Scale: 0.01, Server: server, Progress: io.Discard}
	if testing.Verbose() {
		s.Progress = os.Stderr
	}
	res, err := Measure(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := res.Write(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| handshakes/s | ", "encke-bench run --scenario broadcast --saturate --seconds 5", "Nothing was lost", "(not measured in this sitting)",
		"| | encke | beside | target |", "encke-bench run --scenario users` beside `--scenario targeted --encke-json`", "encke-bench run --scenario idle --users 15000"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in:\n%s", want, page.String())
		}
	}
}

// TestVerdicts writes a page of results that were made up: a target missed, a peer that was better, one that failed.
func TestVerdicts(t *testing.T) {
	of := func(value, floor float64) *report.Report {
		r := &report.Report{}
		r.Add("server CPU per handshake", "µs", value)
		r.AddFloor("server CPU per handshake", "µs", floor)
		return r
	}
	broken := of(9, 9)
	broken.Faults.Lost = 7
	failed := &report.Report{Partial: "the server closed the connection\nand more"}
	rate := func(runs ...float64) *report.Report { // the first one is beside it
		r := &report.Report{}
		for _, v := range runs[1:] {
			r.Add("deliveries/s", "/s", v)
		}
		r.AddFloor("deliveries/s", "/s", runs[0])
		return r
	}
	storm := &report.Report{Faults: report.Faults{Untrue: 3}}
	storm.Add("server CPU per join+leave, of all : of a tenth", "", 1.6)
	storm.AddFloor("server CPU per join+leave, of all : of a tenth", "", 1.2)
	res := &Results{Runs: 1, all: []result{
		{row: rowOf(t, "connect"), reports: map[string]*report.Report{"encke": of(30, 20), "nchan": of(28, 20), "coder": broken, "ws": failed}},
		{row: rowOf(t, "users"), reports: map[string]*report.Report{"encke": rate(1000, 700)}},
		{row: rowOf(t, "presence"), reports: map[string]*report.Report{"encke": storm}},
		{row: rowOf(t, "storm-users"), reports: map[string]*report.Report{"encke": {}}},
	}}
	var b strings.Builder
	if err := res.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- WebSocket handshakes, server CPU a handshake, with accept and close: 30 µs, target ≤ 25 µs (floor 20 µs: 1.50 ×)",
		"nchan 28 µs, encke 30 µs", "9 µs ⚠", "| failed |", "- WebSocket handshakes, ws: the server closed the connection\n",
		"7 lost", "≤ 25 µs: **missed**",
		"messages/s: 700, target ≥ 0.8 × channels (beside 1000: 0.70 ×)", "| 1000: 0.70 × | ≥ 0.8 × channels: **missed** |", "≤ 1.3 × without: not measured",
		"| 1.6 ⚠ | 1.2: 1.33 × | ≤ 1.5: **missed** |", "3 times it was not true who is there", "`encke-bench run --scenario presence` beside `--scenario presence --presence off`",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "coder 9 µs, encke") {
		t.Error("a server that loses messages was called better")
	}
}

func rowOf(t *testing.T, key string) row {
	t.Helper()
	for _, w := range rows {
		if w.key == key {
			return w
		}
	}
	t.Fatalf("there is no row %q", key)
	return row{}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{{8.384, "µs", "8.38 µs"}, {55, "B", "55 B"}, {10239, "B", "10.2 kB"}, {8_450_000, "/s", "8.45 M"}, {123.4, "ms", "123 ms"}, {0.3412, "s", "0.341 s"}, {11_700, "ms", "11.7 s"}} {
		if got := strings.TrimSpace(short(c.v, c.unit)); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}
