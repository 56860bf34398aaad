package encke

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsGoOneWay holds the code against the direction that ARCHITECTURE.md promises.
func TestImportsGoOneWay(t *testing.T) {
	allowed := map[string]string{ // package: those of this module that it may import
		"encke/codes":                  "",
		"encke/bitset":                 "",
		"encke/netloop":                "encke/bitset",
		"encke/wsframe":                "encke/codes",
		"encke/longpoll":               "encke/codes encke/netloop",
		"encke/channel":                "encke/codes",
		"encke/mailbox":                "encke/codes",
		"encke/presence":               "",
		"encke/token":                  "encke/channel encke/codes",
		"encke/webhook":                "",
		"encke/page":                   "",
		"encke/client/js":              "",
		"encke/tests/model":            "encke/token",
		"encke/edge":                   "encke/bitset encke/channel encke/codes encke/longpoll encke/mailbox encke/netloop encke/presence encke/token encke/webhook encke/wsframe",
		"encke/tools/doctor":           "",
		"encke/cmd/encke":              "encke/client/js encke/edge encke/page encke/token encke/tools/doctor",
		"encke/examples/site":          "",
		"encke/examples/charts":        "encke/examples/site",
		"encke/examples/curl":          "encke/examples/site",
		"encke/examples/chat":          "encke/examples/site",
		"encke/examples/editor":        "encke/examples/site",
		"encke/examples/game":          "encke/examples/site",
		"encke/examples/notifications": "encke/examples/site",
		"encke/examples/serve":         "encke/examples/charts encke/examples/chat encke/examples/curl encke/examples/editor encke/examples/game encke/examples/notifications encke/examples/site",
		"encke/bench/report":           "",
		"encke/bench/proc":             "",
		"encke/bench/wire":             "",
		"encke/bench/floor":            "encke/bench/proc encke/bench/wire encke/wsframe",
		"encke/bench/fleet":            "encke/bench/proc encke/bench/report encke/bench/wire encke/netloop encke/token encke/wsframe",
		"encke/bench/push":             "encke/bench/wire encke/netloop",
		"encke/bench":                  "encke/bench/fleet encke/bench/proc encke/bench/push encke/bench/report encke/bench/wire encke/wsframe",
		"encke/bench/suite":            "encke/bench encke/bench/report",
		"encke/cmd/encke-bench":        "encke/bench encke/bench/fleet encke/bench/floor encke/bench/report encke/bench/suite",
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		pkg, imports, _ := strings.Cut(line, " ")
		may, known := allowed[pkg]
		for _, imp := range strings.Fields(imports) {
			if strings.HasPrefix(imp, "encke/") && (!known || !strings.Contains(" "+may+" ", " "+imp+" ")) {
				t.Errorf("%s must not import %s", pkg, imp)
			}
			if pkg == "encke/channel" && strings.Contains(imp, ".") {
				t.Errorf("the core imports %s", imp)
			}
		}
	}
}
