package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// State says how a setting stands.
type State string

// The states.
const (
	OK    State = "ok"
	Risk  State = "risk"  // it works, until something else goes wrong
	Raise State = "raise" // so many connections do not work with it
)

// Finding is what is said of one setting.
type Finding struct {
	Setting string `json:"setting"`
	Live    string `json:"live"`
	Want    string `json:"want"`
	State   State  `json:"state"`
	Why     string `json:"why,omitempty"`
	Fix     string `json:"fix,omitempty"` // a command, or what to change
}

// Report is what the doctor says.
type Report struct {
	Connections int       `json:"connections"`
	Memory      Memory    `json:"memory"`
	Findings    []Finding `json:"findings"`
}

// MaxConnections is the largest number that is reckoned with.
const MaxConnections = 100_000_000

// Examine looks at everything for n connections, 1 to MaxConnections.
func Examine(s Source, n int) (*Report, error) {
	if n < 1 || n > MaxConnections {
		return nil, fmt.Errorf("cannot reckon with %d connections: 1 to %d", n, MaxConnections)
	}
	r := &Report{Connections: n, Memory: s.memory(n)}
	for _, check := range checks {
		r.Findings = append(r.Findings, check(s, n)...)
	}
	return r, nil
}

// checks, in the order in which they are told. What the machine does not have is absent.
var checks = []func(s Source, n int) []Finding{
	descriptors, openable, fileMax, watches,
	enoughMemory, swap, goMemory, hugePages,
	backlog, synBacklog, cookies, overflows,
	tcpMemory, tcpMinima, established, orphans, timeWait, ports, conntrack,
	netdevBacklog, steering, numa, clock,
}

// Status is the exit status: 0 where nothing has to be raised, otherwise 1. Risks do not change it.
func (r *Report) Status() int {
	for _, f := range r.Findings {
		if f.State == Raise {
			return 1
		}
	}
	return 0
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Print writes the report for people: a table, then what to do.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%d connections: %s\n\n", r.Connections, r.Memory)
	rows := [][]string{{"", "setting", "live", "wanted"}}
	for _, f := range r.Findings {
		rows = append(rows, []string{string(f.State), f.Setting, f.Live, f.Want})
	}
	widths := make([]int, 4)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	r.advise(w)
}

// advise tells why, and what to do, of everything that is not ok.
func (r *Report) advise(w io.Writer) {
	for _, state := range []State{Raise, Risk} {
		for _, f := range r.Findings {
			if f.State != state {
				continue
			}
			fmt.Fprintf(w, "\n%s  %s: %s\n", f.State, f.Setting, f.Why)
			if f.Fix != "" {
				fmt.Fprintf(w, "    %s\n", f.Fix)
			}
		}
	}
	if r.Status() == 0 {
		fmt.Fprintln(w, "\nNothing has to be raised. tools/sysctl/README.md explains the settings.")
		return
	}
	fmt.Fprintln(w, "\nsysctl -w lasts until the next boot; tools/sysctl/99-encke.conf is for good, and its README explains the settings.")
}

// absent is said of what this kernel, container or network namespace does not have, or does not show. It is no fault.
func absent(setting string) []Finding {
	return []Finding{{Setting: setting, Live: "not there", State: OK}}
}

// atLeast judges a sysctl that has to be want or more. state is what it is otherwise.
func (s Source) atLeast(name string, want int64, state State, why string) []Finding {
	values, ok := s.sysctl(name)
	if !ok {
		return absent(name)
	}
	f := Finding{Setting: name, Live: fmt.Sprint(values[0]), Want: fmt.Sprintf("≥ %d", want), State: OK}
	if values[0] < want {
		f.State, f.Why, f.Fix = state, why, fmt.Sprintf("sysctl -w %s=%d", name, want)
	}
	return []Finding{f}
}
