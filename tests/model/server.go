package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// liveness is how long anything may take that has to happen at last. It is generous: nothing here fails on a time that a
// busy machine could need.
const liveness = 90 * time.Second

// Build builds encke into a directory, with the race detector unless TORTURE_NORACE is set. TORTURE_BINARY names one that is
// built already.
func Build(dir string) (binary string, err error) {
	if binary = os.Getenv("TORTURE_BINARY"); binary != "" {
		return binary, nil
	}
	binary = filepath.Join(dir, "encke")
	args := []string{"build", "-race", "-o", binary, "encke/cmd/encke"}
	if os.Getenv("TORTURE_NORACE") != "" {
		args = []string{"build", "-o", binary, "encke/cmd/encke"}
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build encke: %w\n%s", err, out)
	}
	return binary, nil
}

// freePort returns a port that nobody listens on, below those that the kernel gives to connections going out: while the
// server is dead, one of these could take its port, or even connect to itself. No port is given twice: whom it was given to
// may not listen yet.
func freePort(rng *rand.Rand) (string, error) {
	for range 1000 {
		port := fmt.Sprint(12000 + rng.IntN(20000))
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			return port, l.Close()
		}
	}
	return "", fmt.Errorf("cannot find a free port")
}

var givenPorts sync.Map

// Server is an encke in a process of its own, at the same addresses however often it is started.
type Server struct {
	Public, Backend string // host:port
	command         []string
	env             []string // besides that of the test
	truth           *Truth

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended; read after ended
	log   *bytes.Buffer // read after ended
}

// NewServer makes one that is not started yet.
func NewServer(binary string, truth *Truth, rng *rand.Rand, args ...string) (*Server, error) {
	public, err := freePort(rng)
	if err != nil {
		return nil, err
	}
	backend := public
	for backend == public {
		if backend, err = freePort(rng); err != nil {
			return nil, err
		}
	}
	s := &Server{Public: "127.0.0.1:" + public, Backend: "127.0.0.1:" + backend, truth: truth}
	s.command = append([]string{binary, "serve", "--listen", s.Public, "--backend", s.Backend}, args...)
	return s, nil
}

// Launch starts the process and waits until it is ready.
func (s *Server) Launch() error {
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it does not outlive the test
	// Else the race detector waits for a second at the end, for races that none of us can cause any more.
	cmd.Env = append(append(os.Environ(), s.env...), "GORACE=atexit_sleep_ms=50 "+os.Getenv("GORACE"))
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	s.truth.Starting()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start encke: %w", err)
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.ended, s.log = cmd, ended, log
	s.mu.Unlock()
	go func() { // ends with the process
		s.err = cmd.Wait()
		close(ended)
	}()
	return s.ready(ended)
}

func (s *Server) ready(ended chan struct{}) error {
	for end := time.Now().Add(liveness); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if r, err := http.Get("http://" + s.Backend + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				return nil
			}
		}
		select {
		case <-ended:
			return fmt.Errorf("encke ended before it was ready: %v\n%s", s.err, s.log)
		default:
		}
	}
	return fmt.Errorf("encke is not ready after %v", liveness)
}

// Ended is closed when the process that runs now is gone.
func (s *Server) Ended() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Kill ends the process without a word, and reads what it had to say before.
func (s *Server) Kill() error {
	select {
	case <-s.ended:
		return fmt.Errorf("encke ended by itself: %v\n%s", s.err, s.log)
	default:
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
	return s.complaints()
}

// End asks the process to end and demands that it does so in order. Where clients are left it may say that it had to cut some
// of them off.
func (s *Server) End(clientsLeft bool) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(liveness):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // says where it hangs
		<-s.ended
		return fmt.Errorf("encke does not end:\n%s", s.log)
	}
	excused := clientsLeft && s.cmd.ProcessState.ExitCode() == 1 && strings.Contains(s.log.String(), "had to be cut off")
	if s.err != nil && !excused { // with a data race the status is 66
		return fmt.Errorf("encke ended with %v:\n%s", s.err, s.log)
	}
	return s.complaints()
}

func (s *Server) complaints() error {
	for _, word := range []string{"DATA RACE", "panic", "BUG", "fatal error"} {
		if strings.Contains(s.log.String(), word) {
			return fmt.Errorf("encke complains:\n%s", s.log)
		}
	}
	return nil
}

// figures are those of GET /stats that are looked at.
type figures struct {
	Epoch    string
	Messages struct {
		Published, Repeated, Delivered, Replayed, Inconsistent uint64
		IDsForgotten                                           uint64 `json:"ids_forgotten"`
		Delayed                                                uint64 `json:"pushes_delayed"`
	}
	Users struct {
		Mailboxes struct {
			Put, Acknowledged, Deleted int64
			DroppedLength              int64 `json:"dropped_length"`
			DroppedBytes               int64 `json:"dropped_bytes"`
			DroppedAge                 int64 `json:"dropped_age"`
			DroppedMemory              int64 `json:"dropped_memory"`
		}
	}
	Ended map[string]uint64
}

func (s *Server) figures() (f figures, err error) {
	_, err = s.get("/stats", &f)
	return f, err
}

// Head returns where a channel is; ok is false when there is none.
func (s *Server) Head(channel string) (p place, ok bool, err error) {
	var state struct{ Position string }
	status, err := s.get("/channels/"+url.PathEscape(channel), &state)
	if err != nil || status == http.StatusNotFound {
		return place{}, false, err
	}
	p, err = readPlace(state.Position)
	return p, true, err
}

// Stands returns where a channel stands, or would go on if it were there.
func (s *Server) Stands(channel string) (p place, err error) {
	var page struct{ Position string }
	if _, err = s.get("/channels/"+url.PathEscape(channel)+"/history?limit=1&since=", &page); err != nil {
		return p, err
	}
	return readPlace(page.Position)
}

// get asks the backend listener.
func (s *Server) get(path string, into any) (status int, err error) {
	client := http.Client{Timeout: liveness}
	r, err := client.Get("http://" + s.Backend + path)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r.StatusCode, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return r.StatusCode, fmt.Errorf("GET %s: %s: %.200q: %w", path, r.Status, body, err)
	}
	return r.StatusCode, nil
}
