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
	"slices"
	"strconv"
	"syscall"
	"time"

	"encke/bench/proc"
	"encke/bench/push"
)

// Target says which server is measured: one that runs (Public and Backend set), or one to start.
type Target struct {
	Kind      string   // encke, or one of its peers: nchan, coder, ws, uws
	Server    string   // the program to start; empty: the usual one
	Loops     int      // its loops, threads or workers
	Processes int      // encke: processes that share the public port
	Args      []string // more arguments
	Public    string   // ws://host:port of a server that runs
	Backend   string   // http://host:port of it
	Key       string   // that its backend listener asks for; "" for none

	// TokenSecret is by what it verifies clients' tokens (HS256); "" where there are none, or for one that is made for a
	// server that is started.
	TokenSecret string

	PID int // its process; 0: no processor time and memory can be told
}

var kinds = []string{"encke", "nchan", "coder", "ws", "uws"}

// Name says what is measured.
func (t Target) Name() string {
	if t.Public != "" {
		return t.Kind + " at " + t.Public
	}
	return t.Kind
}

// servers are the processes of a target: one, or several that share the public address.
type servers struct {
	kind   string
	public netip.AddrPort
	all    []*server
}

// server is one process.
type server struct {
	kind    string
	public  netip.AddrPort
	backend netip.AddrPort
	key     string // of its backend listener
	pid     int
	child   *exec.Cmd
	exited  chan struct{}
	stderr  bytes.Buffer // valid after exited
}

var errExited = errors.New("it ended at once")

// open finds or starts the servers, and waits until they answer. close ends those that it started.
func (t Target) open() (*servers, error) {
	if !slices.Contains(kinds, t.Kind) {
		return nil, fmt.Errorf("cannot measure a server of kind %q: one of %v", t.Kind, kinds)
	}
	if t.Public != "" {
		return t.find()
	}
	n := max(t.Processes, 1)
	if n > 1 && t.Kind != "encke" {
		return nil, fmt.Errorf("cannot start %d processes of %s: only encke shares a port", n, t.Kind)
	}
	ports, err := freePorts(n + 1)
	if err != nil {
		return nil, err
	}
	s := &servers{kind: t.Kind, public: local(ports[0])}
	for i := range n {
		one := &server{kind: t.Kind, public: s.public, backend: local(ports[i+1])}
		s.all = append(s.all, one)
		if err = one.start(t, n > 1); err == nil {
			err = one.answers(10 * time.Second)
		}
		if err != nil {
			s.close()
			return nil, fmt.Errorf("%w\n%s", err, one.said())
		}
	}
	return s, nil
}

// find uses a server that runs.
func (t Target) find() (*servers, error) {
	public, err := addressOf(t.Public)
	if err != nil {
		return nil, err
	}
	one := &server{kind: t.Kind, public: public, pid: t.PID, key: t.Key}
	push.Authorize(t.Key)
	if one.backend, err = addressOf(t.Backend); err != nil {
		return nil, fmt.Errorf("--backend: %w", err)
	}
	return &servers{kind: t.Kind, public: public, all: []*server{one}}, one.answers(2 * time.Second)
}

func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// command is what starts a server, in the foreground.
func (t Target) command(public, backend netip.AddrPort, shared bool) *exec.Cmd {
	port := func(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }
	loops := strconv.Itoa(max(t.Loops, 1))
	switch t.Kind {
	case "encke":
		program := "bin/encke"
		args := []string{"serve", "--echo", "--loops", loops, "--listen", public.String(), "--backend", backend.String()}
		if t.TokenSecret == "" { // otherwise nobody may read anything without a token
			args = append(args, "--dev")
		}
		if shared {
			args = append(args, "--share-port")
		}
		if t.Server != "" {
			program = t.Server
		}
		return exec.Command(program, append(args, t.Args...)...)
	case "uws":
		return exec.Command(t.Server, append([]string{port(public), port(backend), loops}, t.Args...)...)
	}
	program := "bench/peers/run.sh"
	if t.Server != "" {
		program = t.Server
	}
	return exec.Command(program, append([]string{t.Kind, port(public), port(backend), loops}, t.Args...)...)
}

func (s *server) start(t Target, shared bool) error {
	s.child = t.command(s.public, s.backend, shared)
	s.child.Stderr = &s.stderr
	s.child.SysProcAttr = ofOurs()
	s.child.Env = os.Environ()
	if shared { // many processes on few processors
		s.child.Env = append(s.child.Env, "GOMAXPROCS=1")
	}
	if t.TokenSecret != "" {
		s.child.Env = append(s.child.Env, "ENCKE_TOKEN_SECRET="+t.TokenSecret)
	}
	if err := s.child.Start(); err != nil {
		s.child = nil
		return fmt.Errorf("cannot start the server; build it first or name it with --server: %w", err)
	}
	s.pid, s.exited = s.child.Process.Pid, make(chan struct{})
	go func() { // ends with the child
		_ = s.child.Wait()
		close(s.exited)
	}()
	return nil
}

// said is what a server that has ended wrote to its standard error.
func (s *server) said() []byte {
	if s.gone() {
		return s.stderr.Bytes()
	}
	return nil
}

// close ends servers that were started here.
func (s *servers) close() {
	for _, one := range s.all {
		if one.child != nil {
			_ = one.child.Process.Signal(syscall.SIGTERM)
		}
	}
	late := time.After(5 * time.Second)
	for _, one := range s.all {
		if one.child == nil {
			continue
		}
		select {
		case <-one.exited:
		case <-late:
			for _, pid := range proc.Tree(one.pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			<-one.exited
			late = time.After(0)
		}
	}
}

// answers waits until both addresses take connections.
func (s *server) answers(limit time.Duration) error {
	end := time.Now().Add(limit)
	for _, a := range []netip.AddrPort{s.public, s.backend} {
		for {
			c, err := net.DialTimeout("tcp", a.String(), limit)
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

// pids are the processes of all servers, and their children; none where that is not known.
func (s *servers) pids() (pids []int) {
	for _, one := range s.all {
		switch {
		case one.pid == 0:
		case s.kind == "encke": // it has no children; reading all of /proc costs
			pids = append(pids, one.pid)
		default:
			pids = append(pids, proc.Tree(one.pid)...)
		}
	}
	return pids
}

func (s *servers) known() bool { return s.all[0].pid != 0 }

// cpu is the processor time of all processes.
func (s *servers) cpu() time.Duration {
	d, _ := proc.CPU(s.pids()...)
	return d
}

// resident is the memory of all processes, bytes.
func (s *servers) resident() int64 {
	n, _ := proc.Resident(s.pids()...)
	return n
}

func (s *servers) descriptors() (n int) {
	for _, pid := range s.pids() {
		n += proc.Descriptors(pid)
	}
	return n
}

// err says that a server has gone that was to stay.
func (s *servers) err() error {
	for _, one := range s.all {
		if one.gone() {
			return fmt.Errorf("the server's process %d ended: %v\n%s", one.pid, one.child.ProcessState, one.stderr.Bytes())
		}
	}
	return nil
}

// stats is the part of GET /stats that is used here, of all processes together.
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
	Users struct {
		Presence struct {
			Published uint64 `json:"published"`
			Refused   uint64 `json:"refused"`
		} `json:"presence"`
	} `json:"users"`
}

func (s stats) sends() (n uint64) {
	for _, l := range s.Loops {
		n += l.Sends
	}
	return n
}

func (s *stats) add(o stats) {
	s.Messages.Delivered += o.Messages.Delivered
	s.Messages.Inconsistent += o.Messages.Inconsistent
	s.Loops = append(s.Loops, o.Loops...)
	s.Memory.Objects += o.Memory.Objects
	s.Memory.Heap += o.Memory.Heap
	s.Memory.GCs += o.Memory.GCs
	s.Memory.Goroutines += o.Memory.Goroutines
	s.Connections.Total += o.Connections.Total
	s.Users.Presence.Published += o.Users.Presence.Published
	s.Users.Presence.Refused += o.Users.Presence.Refused
}

// stats asks encke for its figures; of other servers it knows nothing.
func (s *servers) stats() (sum stats, err error) {
	if s.kind != "encke" {
		return sum, nil
	}
	for _, one := range s.all {
		got, err := one.stats()
		if err != nil {
			return sum, err
		}
		sum.add(got)
	}
	return sum, nil
}

func (s *server) stats() (out stats, err error) {
	if err = get("http://"+s.backend.String()+"/stats", s.key, &out); err != nil {
		return out, fmt.Errorf("cannot read the server's figures (is it encke?): %w", err)
	}
	return out, nil
}

// longestAnswer bounds what get reads: ten thousand members of a channel are a third of it.
const longestAnswer = 1 << 20

// get asks for JSON over a connection of its own, with a key or token unless that is "".
func get(url, bearer string, into any) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	q, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return err
	}
	if bearer != "" {
		q.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := client.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != 200 {
		return fmt.Errorf("%s %.200s", answer.Status, b)
	}
	return json.Unmarshal(b, into)
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
