package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConsole looks at the console with Chromium: on a server without keys, on one with keys, and with a key that is not for all of it.
func TestConsole(t *testing.T) {
	need(t, "/usr/bin/chromium", "chromium")
	node := nodePackages(t)
	const secret, all, some = "0123456789abcdef0123456789abcdef", "all-of-it-all-of-it", "read-read-read-read"
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(all+"\n"+some+" read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"without keys": nil, "with keys": {"--backend-key-file", file}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, append(args, "--token-secret", secret, "--memory", "512MiB")...)
			which := []string{"", ""}
			if args != nil {
				which = []string{all, some}
			}
			client(t, node, append([]string{"clients/console.js", s.site, strings.TrimSuffix(s.backend, "/"), "../artefacts", secret}, which...)...)
			s.end(t)
		})
	}
}
