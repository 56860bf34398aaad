package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// encke is the server as a process beside this one.
type encke struct {
	cmd  *exec.Cmd
	over chan struct{} // closed when it has ended
}

// startEncke starts it. Whatever becomes of this process, it does not stay.
func startEncke(binary string, secret []byte, args ...string) (*encke, error) {
	e := &encke{cmd: exec.Command(binary, args...), over: make(chan struct{})}
	e.cmd.Env = append(os.Environ(), "ENCKE_TOKEN_SECRET="+string(secret))
	e.cmd.Stdout, e.cmd.Stderr = os.Stdout, os.Stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Ctrl-C is for this process, which ends it
	started := make(chan error)
	go func() { // ends with Encke. The kernel sends that signal when the thread ends that has started the process
		runtime.LockOSThread()
		err := e.cmd.Start()
		started <- err
		if err == nil {
			_ = e.cmd.Wait()
		}
		close(e.over)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start Encke: %w", err)
	}
	return e, nil
}

// free says which setting is to be changed where an address cannot be listened on: another Encke may be there, which would answer in
// place of this one.
func free(flag, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	return l.Close()
}

// ready waits until Encke serves.
func (e *encke) ready(ctx context.Context, backend string) error {
	for range 200 {
		if res, err := http.Get(backend + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-e.over:
			return fmt.Errorf("encke did not start: %s", e.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("encke is not ready after 10 s")
}

// end ends it in order.
func (e *encke) end() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.over:
	case <-time.After(15 * time.Second):
		_ = e.cmd.Process.Kill()
		<-e.over
	}
}
