package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"encke/edge"
	"encke/token"

	"github.com/spf13/pflag"
)

// keys reads the files that tokens are verified with.
func (s *settings) keys() error {
	for _, secret := range s.secrets {
		if secret == "" {
			continue // as in the example
		}
		s.Tokens.Secrets = append(s.Tokens.Secrets, []byte(secret))
	}
	if s.secretFile != "" {
		secrets, err := readLines("token-secret-file", s.secretFile)
		if err != nil {
			return err
		}
		s.Tokens.Secrets = append(s.Tokens.Secrets, secrets...)
	}
	if s.keyFile != "" {
		text, err := os.ReadFile(s.keyFile)
		if err != nil {
			return fmt.Errorf("cannot read --token-keys: %w", err)
		}
		if len(text) == 0 {
			return fmt.Errorf("cannot use --token-keys %s: it is empty", s.keyFile)
		}
		s.Tokens.Keys = text
	}
	for _, secret := range s.siteSecrets {
		if secret != "" { // as in the example
			s.Site.Secrets = append(s.Site.Secrets, []byte(secret))
		}
	}
	if s.siteSecretFile != "" {
		secrets, err := readLines("webhook-secret-file", s.siteSecretFile)
		if err != nil {
			return err
		}
		s.Site.Secrets = append(s.Site.Secrets, secrets...)
	}
	return s.readBackendKeys()
}

// readLines reads a file of secrets, one a line; flag names it.
func readLines(flag, path string) (lines [][]byte, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --%s: %w", flag, err)
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("cannot use --%s %s: nothing in it", flag, path)
	}
	return lines, nil
}

// readBackendKeys reads the keys of the backend listener.
func (s *settings) readBackendKeys() error {
	lines := s.backendKeys
	if s.backendKeyFile != "" {
		more, err := readLines("backend-key-file", s.backendKeyFile)
		if err != nil {
			return err
		}
		for _, line := range more {
			lines = append(lines, string(line))
		}
	}
	for _, line := range lines {
		if line == "" {
			continue // as in the example
		}
		k, err := edge.ParseBackendKey(line)
		if err != nil {
			return fmt.Errorf("cannot use the backend keys: %w", err)
		}
		s.BackendKeys = append(s.BackendKeys, k)
	}
	return nil
}

// issue prints a token for trying things out.
func issue(args []string) int {
	f := pflag.NewFlagSet("token", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {
		fmt.Printf("Print a token for trying things out, signed with HS256. In production the site's backend makes tokens.\n\nFlags of encke token:\n%s", f.FlagUsages())
	}
	secret := f.String("token-secret", os.Getenv(variable("token-secret")), "the `secret` that encke serve has; better in ENCKE_TOKEN_SECRET or a file")
	f.Lookup("token-secret").DefValue = ""
	file := f.String("token-secret-file", os.Getenv(variable("token-secret-file")), "`file` with it; the first line counts")
	user := f.String("sub", "", "whom the token is for: the `user`'s id")
	channels := f.StringSlice("channels", nil, "`channels` that the user may subscribe to; with other rights as name=subscribe+publish+presence; a name may end in *")
	holds := f.Duration("expires", time.Hour, "how long it holds")
	err := f.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("cannot use argument %q: flags only", f.Arg(0))
	}
	var text string
	if err == nil {
		text, err = makeToken(*secret, *file, *user, *channels, *holds)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "encke token: %v\n", err)
		return 2
	}
	fmt.Println(text)
	return 0
}

func makeToken(secret, file, user string, channels []string, holds time.Duration) (string, error) {
	key := []byte(secret)
	if len(key) == 0 && file != "" {
		secrets, err := readLines("token-secret-file", file)
		if err != nil {
			return "", err
		}
		key = secrets[0]
	}
	grants := token.Grants{}
	for _, c := range channels {
		g := token.Grant{Pattern: c, Rights: token.Subscribe}
		if i := strings.LastIndexByte(c, '='); i >= 0 {
			var err error
			if g.Rights, err = token.ParseRights(strings.Split(c[i+1:], "+")); err != nil {
				return "", err
			}
			g.Pattern = c[:i]
		}
		grants = append(grants, g)
	}
	return token.Issue(key, user, grants, time.Now(), holds)
}
