package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"encke/bench/proc"
	"encke/bench/report"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

func toString(v any) string { return fmt.Sprint(v) }

// build compiles the server.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "encke")
	if out, err := exec.Command("go", "build", "-o", file, "encke/cmd/encke").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// liar is a server that delivers what tell makes of each message.
type liar struct {
	mu    sync.Mutex
	conns []net.Conn // guarded by mu
	seen  int        // guarded by mu
	tell  func(n int, b []byte) [][]byte
}

// startLiar runs it; public and backend are one listener.
func startLiar(t *testing.T, tell func(n int, b []byte) [][]byte) Target {
	l := &liar{tell: tell}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err == nil {
			l.mu.Lock()
			l.conns = append(l.conns, c)
			l.mu.Unlock()
		}
	})
	mux.HandleFunc("POST /channels/b", func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(b)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen++
		for _, message := range l.tell(l.seen, b) {
			for _, c := range l.conns {
				_, _ = c.Write(wsframe.AppendFrame(nil, ws.OpText, message))
			}
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(201)
	})
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(n) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return Target{Kind: "coder", Public: "ws://" + n.Addr().String(), Backend: "http://" + n.Addr().String()}
}

// TestWrongDeliveriesFail measures servers that lie about the third of several messages, to 10 clients.
func TestWrongDeliveriesFail(t *testing.T) {
	var kept []byte
	for _, c := range []struct {
		name string
		tell func(n int, b []byte) [][]byte
		want report.Faults
	}{
		{"honest", func(_ int, b []byte) [][]byte { return [][]byte{b} }, report.Faults{}},
		{"loses", func(n int, b []byte) [][]byte {
			if n == 3 {
				return nil
			}
			return [][]byte{b}
		}, report.Faults{Lost: 10}},
		{"repeats", func(n int, b []byte) [][]byte {
			if n == 3 {
				return [][]byte{b, b}
			}
			return [][]byte{b}
		}, report.Faults{Duplicated: 10}},
		{"reorders", func(n int, b []byte) [][]byte {
			if n == 3 {
				kept = b
				return nil
			} else if n == 4 {
				return [][]byte{b, kept}
			}
			return [][]byte{b}
		}, report.Faults{Reordered: 10}},
		{"corrupts", func(n int, b []byte) [][]byte {
			if n == 3 {
				b[60] ^= 1
			}
			return [][]byte{b}
		}, report.Faults{Corrupted: 10, Lost: 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := small(t, "broadcast", startLiar(t, c.tell))
			o.Clients, o.Floor = 10, false
			r, err := Run(context.Background(), o)
			if r.Faults != c.want || (err == nil) != (c.want == report.Faults{}) || r.Partial != "" {
				t.Errorf("%v, %+v, want %+v", err, r.Faults, c.want)
			}
		})
	}
}

// TestBadTargets wants a clear message and a report that is marked as partial.
func TestBadTargets(t *testing.T) {
	serve := func(answer string) Target { // to everybody, and then close
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() { // ends with l
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if answer != "" {
					_, _ = c.Read(make([]byte, 1000))
					_, _ = c.Write([]byte(answer))
				}
				_ = c.Close()
			}
		}()
		return Target{Kind: "coder", Public: "ws://" + l.Addr().String(), Backend: "http://" + l.Addr().String()}
	}
	shut := serve("")
	shut.Public, shut.Backend = "ws://127.0.0.1:1", "http://127.0.0.1:1"
	good := startEdge(t)
	wrong := good
	wrong.Public, wrong.Backend = "ws"+strings.TrimPrefix(good.Backend, "http"), "http"+strings.TrimPrefix(good.Public, "ws")
	for _, c := range []struct {
		name   string
		target Target
		change func(o *Options)
		want   string
	}{
		{"unreachable", shut, nil, "cannot reach the server"},
		{"closes at once", serve(""), nil, "closed the connection"},
		{"wrong protocol", serve("SSH-2.0-OpenSSH_9.2\r\n\r\n"), nil, "handshake was answered"},
		{"no WebSocket", serve("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), nil, "404 Not Found"},
		{"no frames", serve("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello"), nil, "not asked for"},
		{"the two addresses exchanged", wrong, nil, "404 Not Found"},
		{"no URL", Target{Kind: "encke", Public: "nonsense"}, nil, "a URL such as"},
		{"no backend", Target{Kind: "encke", Public: good.Public}, nil, "--backend"},
		{"no program", Target{Kind: "encke", Server: "/nonexistent", Loops: 1}, nil, "cannot start the server"},
		{"program ends", Target{Kind: "encke", Server: "/bin/false", Loops: 1}, nil, "ended at once"},
		{"unknown kind", Target{Kind: "apache"}, nil, "cannot measure a server of kind"},
		{"unknown scenario", good, func(o *Options) { o.Scenario = "hurricane" }, "unknown scenario"},
		{"unknown transport", good, func(o *Options) { o.Transport = "pigeon" }, "cannot use transport"},
		{"weights", good, func(o *Options) { o.Transport = "ws=-1" }, "weight"},
		{"small messages", good, func(o *Options) { o.Size = 10 }, "cannot use messages of 10 bytes"},
		{"no clients", good, func(o *Options) { o.Clients = 0 }, "fewer than one client"},
		{"sources", good, func(o *Options) { o.Sources = []string{"everywhere"} }, "cannot use the source"},
		{"a source of another machine", good, func(o *Options) { o.Sources = []string{"192.0.2.1"} }, "local ports"},
		{"no time", good, func(o *Options) { o.TimeLimit, o.Seconds = 300*time.Millisecond, 5 }, "time limit"},
		{"no secret", good, func(o *Options) { o.Remote = []string{"127.0.0.1:1"} }, "secret"},
		{"nobody at a worker's address", good, func(o *Options) { o.Remote, o.Secret = []string{"127.0.0.1:1"}, "0123456789abcdef" }, "cannot use the worker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := small(t, "broadcast", c.target)
			o.Floor = false
			if c.change != nil {
				c.change(&o)
			}
			r, err := Run(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && r.Partial == "" && r.Seconds > 0 {
				t.Error("the report does not say that it is partial")
			}
		})
	}
	if err := proc.NeedDescriptors(1 << 30); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("descriptors: %v", err)
	}
}

// TestKilledInMidRun kills a worker, then a server, then interrupts a run.
func TestKilledInMidRun(t *testing.T) {
	server := build(t)
	for _, c := range []struct {
		name string
		kill func(cancel func())
		want string
	}{
		{"worker", func(func()) { killChild(t, WorkerCommand) }, "ended in mid-run: signal: killed"},
		{"server", func(func()) { killChild(t, "serve") }, "ended: signal: killed"},
		{"interrupt", func(cancel func()) { cancel() }, "it was interrupted"},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		o := small(t, "broadcast", Target{Kind: "encke", Server: server, Loops: 1})
		o.Seconds, o.Floor = 20, false
		timer := time.AfterFunc(2500*time.Millisecond, func() { c.kill(cancel) })
		r, err := Run(ctx, o)
		timer.Stop()
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) && !strings.Contains(err.Error(), "closed") || r.Partial == "" || r.Median("handshakes/s") == 0 {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, table(r))
		}
	}
}

// killChild kills the child of this process that was started with a subcommand.
func killChild(t *testing.T, command string) {
	for _, pid := range proc.Tree(syscall.Getpid())[1:] {
		if args, err := proc.Arguments(pid); err == nil && len(args) > 1 && args[1] == command {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
	t.Errorf("there is no child %q", command)
}
