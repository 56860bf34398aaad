package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Target says which server is measured: one that runs (Public and Backend set), or one to start.
type Target struct {
	Kind    string   // "encke" or "uws"
	Server  string   // the program to start
	Loops   int      // its loops or threads
	Args    []string // more arguments
	Public  string   // ws://host:port of a server that runs
	Backend string   // http://host:port of it
	PID     int      // its process; 0: no processor time and memory can be told
}

// server is a target that runs.
type server struct {
	kind            string
	public, backend netip.AddrPort
	pid             int
	child           *exec.Cmd
	exited          chan struct{}
	stderr          bytes.Buffer // valid after exited
}

var errExited = errors.New("it ended at once")

// open finds or starts the server, and waits until it answers. close ends it.
func (t Target) open() (*server, error) {
	if t.Kind != "encke" && t.Kind != "uws" {
		return nil, fmt.Errorf("cannot measure a server of kind %q: encke or uws", t.Kind)
	}
	s := &server{kind: t.Kind, pid: t.PID}
	var err error
	if t.Public != "" {
		if s.public, err = addressOf(t.Public); err != nil {
			return nil, err
		}
		if s.backend, err = addressOf(t.Backend); err != nil {
			return nil, err
		}
		return s, s.answers(2 * time.Second)
	}
	if err := s.start(t); err != nil {
		return nil, err
	}
	if err := s.answers(5 * time.Second); err != nil {
		s.close()
		return nil, fmt.Errorf("%w\n%s", err, s.stderr.Bytes())
	}
	return s, nil
}

// try says at once what would otherwise show only after the floor was measured.
func (t Target) try() error {
	s, err := t.open()
	if err != nil {
		return err
	}
	s.close()
	return nil
}

func (s *server) start(t Target) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	s.public, s.backend = netip.AddrPortFrom(local, ports[0]), netip.AddrPortFrom(local, ports[1])
	args := []string{"serve", "--dev", "--echo", "--loops", strconv.Itoa(t.Loops),
		"--listen", s.public.String(), "--backend", s.backend.String()}
	if t.Kind == "uws" {
		args = []string{strconv.Itoa(int(ports[0])), strconv.Itoa(int(ports[1])), strconv.Itoa(t.Loops)}
	}
	s.child = exec.Command(t.Server, append(args, t.Args...)...)
	s.child.Stderr = &s.stderr
	s.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.child.Start(); err != nil {
		return fmt.Errorf("cannot start the server; build it first or name it with --server: %w", err)
	}
	s.pid, s.exited = s.child.Process.Pid, make(chan struct{})
	go func() { // ends with the child
		_ = s.child.Wait()
		close(s.exited)
	}()
	return nil
}

// close ends a server that was started here.
func (s *server) close() {
	if s.child == nil {
		return
	}
	_ = s.child.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(3 * time.Second):
		_ = s.child.Process.Kill()
		<-s.exited
	}
}

// answers waits until both addresses take connections.
func (s *server) answers(limit time.Duration) error {
	end := time.Now().Add(limit)
	for _, a := range []netip.AddrPort{s.public, s.backend} {
		for {
			c, err := net.DialTimeout("tcp", a.String(), time.Second)
			if err == nil {
				_ = c.Close()
				break
			}
			if s.gone() {
				return fmt.Errorf("cannot reach the server: %w", errExited)
			}
			if time.Now().After(end) {
				return fmt.Errorf("cannot reach the server: %w", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

func (s *server) gone() bool {
	if s.child == nil {
		return false
	}
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

func (s *server) cpu() time.Duration {
	if s.pid == 0 {
		return 0
	}
	d, _ := cpuOf(s.pid)
	return d
}

// stats is the part of GET /stats that is used here.
type stats struct {
	Messages struct {
		Delivered    uint64 `json:"delivered"`
		Inconsistent uint64 `json:"inconsistent"`
	} `json:"messages"`
	Loops []struct {
		Sends uint64 `json:"sends"`
	} `json:"loops"`
	Memory struct {
		Objects    int64 `json:"heap_objects"`
		Heap       int64 `json:"heap"`
		GCs        int64 `json:"gc_cycles"`
		Goroutines int64 `json:"goroutines"`
	} `json:"memory"`
	Connections struct {
		Total int `json:"total"`
	} `json:"connections"`
}

func (s stats) sends() (n uint64) {
	for _, l := range s.Loops {
		n += l.Sends
	}
	return n
}

// stats asks the server for its figures.
func (s *server) stats() (out stats, err error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + s.backend.String() + "/stats")
	if err != nil {
		return out, fmt.Errorf("cannot read the server's figures: %w", err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return out, fmt.Errorf("cannot read the server's figures: %w", err)
	}
	return out, nil
}

// addressOf resolves the host and port of a URL.
func addressOf(text string) (netip.AddrPort, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return netip.AddrPort{}, fmt.Errorf("cannot use %q: a URL such as ws://127.0.0.1:8080 is needed", text)
	}
	a, err := net.ResolveTCPAddr("tcp", u.Host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot use %q: %w", text, err)
	}
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), nil
}

// freePorts finds ports that nobody listens on now, below the range that the kernel gives to clients.
func freePorts(n int) (ports []uint16, err error) {
	for p := 20000 + os.Getpid()%5000*2; len(ports) < n && p < 32000; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports = append(ports, uint16(p))
	}
	if len(ports) < n {
		return nil, errors.New("cannot find free ports between 20000 and 32000")
	}
	return ports, nil
}
