// Package tests runs clients that nobody here wrote against the real server over real sockets.
package tests

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a race-built encke in a process of its own.
type server struct {
	cmd           *exec.Cmd
	command       []string // program and arguments
	site, backend string
	log           bytes.Buffer
}

// freePort returns a port that nobody listens on at the moment.
func freePort(t *testing.T, host string) string {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "encke")
	if out, err := exec.Command("go", "build", "-race", "-o", binary, "encke/cmd/encke").CombinedOutput(); err != nil {
		t.Fatalf("cannot build encke: %v\n%s", err, out)
	}
	public, backend := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	s := &server{site: "http://127.0.0.1:" + public + "/", backend: "http://127.0.0.1:" + backend + "/"}
	s.command = append([]string{binary, "serve", "--dev", "--echo", "--loops", "3", "--listen", ":" + public, "--backend", "127.0.0.1:" + backend}, args...)
	s.launch(t)
	return s
}

// launch starts the process and waits until it is ready.
func (s *server) launch(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.command[0], s.command[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process := s.cmd.Process
	t.Cleanup(func() { _ = process.Kill() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r, err := http.Get(s.backend + "readyz"); err == nil && r.StatusCode == 200 {
			r.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("encke is not ready:\n%s", s.log.String())
		}
	}
}

// end sends SIGTERM and demands an end in order.
func (s *server) end(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil || strings.Contains(s.log.String(), "DATA RACE") {
			t.Errorf("encke ended with %v:\n%s", err, s.log.String())
		}
	case <-time.After(20 * time.Second):
		t.Errorf("encke does not end:\n%s", s.log.String())
	}
}

// need finds a program, or says what to install: by skipping, and in `make test` by failing.
func need(t *testing.T, program, install string, check ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil && len(check) > 0 {
		err = exec.Command(path, check...).Run()
	}
	if err == nil {
		return path
	}
	if os.Getenv("ENCKE_OUTSIDE") != "" || os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: install %s", program, install)
	}
	t.Skipf("%s is missing: install %s", program, install)
	return ""
}

// client runs a program to its end within two minutes.
func client(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func nodePackages(t *testing.T) string {
	return need(t, "node", "nodejs, then `npm ci` in tests/", "-e", `require("ws"); require("playwright-core"); require.resolve("eventsource")`)
}

func TestOutsideClients(t *testing.T) {
	s := start(t)
	t.Run("curl", func(t *testing.T) {
		need(t, "curl", "curl")
		client(t, "sh", "clients/curl.sh", s.site, s.backend, "v4")
	})
	t.Run("curl over IPv6", func(t *testing.T) {
		if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
			t.Skip("no IPv6 here")
		} else {
			l.Close()
		}
		need(t, "curl", "curl")
		client(t, "sh", "clients/curl.sh", strings.Replace(s.site, "127.0.0.1", "[::1]", 1), s.backend, "v6")
	})
	t.Run("PHP", func(t *testing.T) { client(t, need(t, "php", "php-cli"), "clients/push.php", s.site, s.backend) })
	t.Run("Python websockets", func(t *testing.T) {
		client(t, need(t, "/usr/bin/python3", "python3-websockets", "-c", "import websockets"), "clients/ws.py", s.site, s.backend)
	})
	t.Run("npm eventsource", func(t *testing.T) { client(t, nodePackages(t), "clients/sse.mjs", s.site, s.backend) })
	t.Run("Chromium", func(t *testing.T) {
		need(t, "/usr/bin/chromium", "chromium")
		client(t, nodePackages(t), "clients/page.js", s.site, strings.TrimSuffix(s.backend, "/"), "../artefacts")
	})
	t.Run("npm ws, up to the close frames of SIGTERM", func(t *testing.T) { wsUntilTheEnd(t, s) })
	if s.cmd.ProcessState == nil {
		s.end(t)
	}
}

// wsUntilTheEnd lets the client say when it has done everything but be closed.
func wsUntilTheEnd(t *testing.T, s *server) {
	cmd := exec.Command(nodePackages(t), "clients/ws.js", s.site, s.backend)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready") {
		_ = cmd.Wait()
		t.Fatalf("%q %v\n%s", line, err, errs.String())
	}
	s.end(t)
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, rest, errs.String())
	}
	t.Log(string(rest))
}

// TestLoadScript runs the example that README names, for two posts.
func TestLoadScript(t *testing.T) {
	need(t, "curl", "curl")
	s := start(t)
	client(t, "sh", "../examples/push-load.sh", strings.TrimSuffix(s.backend, "/"), "2")
	r, err := http.Get(s.backend + "channels/load/history")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if n := bytes.Count(body, []byte(`"channel":"load"`)); n != 2 {
		t.Errorf("%d publications, want 2: %s", n, body)
	}
	s.end(t)
}

// TestAnAddressInUseIsSaid starts a second server on the first one's ports.
func TestAnAddressInUseIsSaid(t *testing.T) {
	s := start(t)
	out, err := exec.Command(s.cmd.Path, "serve", "--listen", strings.TrimSuffix(strings.TrimPrefix(s.site, "http://"), "/"), "--backend", "127.0.0.1:0").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("address already in use")) {
		t.Errorf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"serve", "--loops", "0"}, {"serve", "--nonsense"}, {"serve", "stray"}, {"fly"}, {}} {
		if out, err := exec.Command(s.cmd.Path, args...).CombinedOutput(); err == nil {
			t.Errorf("encke %s was accepted: %s", fmt.Sprint(args), out)
		}
	}
	s.end(t)
}
