package bench

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"encke/bench/fleet"
)

// A connection between coordinator and worker begins with each proving to the other that it knows the secret, by
// HMAC-SHA-256 over both sides' nonces; the secret itself is never sent:
//
//	worker       encke-bench worker 1 NONCE
//	coordinator  NONCE PROOF("coordinator")
//	worker       PROOF("worker")
//
// What follows is not encrypted: it is for a network that is one's own, which a load test is on anyway.
const banner = "encke-bench worker 1 "

// handshakeLimit is how long proving may take.
const handshakeLimit = 5 * time.Second

var errSecret = errors.New("the other side does not know the secret")

func nonce() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func proof(secret, role, theirs, ours string) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "encke-bench\x00%s\x00%s\x00%s", role, theirs, ours)
	return hex.EncodeToString(h.Sum(nil))
}

func line(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	return strings.TrimSuffix(string(b), "\n"), err
}

// proveCoordinator is the coordinator's part.
func proveCoordinator(c net.Conn, r *bufio.Reader, secret string) error {
	text, err := line(r)
	theirs, ok := strings.CutPrefix(text, banner)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("nothing was said within %v: is it a worker, and is the network between?", handshakeLimit)
	}
	if err != nil || !ok {
		return errors.New("there is no worker of this version of encke-bench")
	}
	ours := nonce()
	if _, err := fmt.Fprintf(c, "%s %s\n", ours, proof(secret, "coordinator", theirs, ours)); err != nil {
		return err
	}
	if text, err = line(r); err != nil || !hmac.Equal([]byte(text), []byte(proof(secret, "worker", theirs, ours))) {
		return errSecret
	}
	return nil
}

// proveWorker is the worker's part.
func proveWorker(c net.Conn, r *bufio.Reader, secret string) error {
	ours := nonce()
	if _, err := fmt.Fprintf(c, "%s%s\n", banner, ours); err != nil {
		return err
	}
	text, err := line(r)
	theirs, proved, _ := strings.Cut(text, " ")
	if err != nil || !hmac.Equal([]byte(proved), []byte(proof(secret, "coordinator", ours, theirs))) {
		return errSecret
	}
	_, err = fmt.Fprintf(c, "%s\n", proof(secret, "worker", ours, theirs))
	return err
}

// reach connects to workers on other machines, in turn, until they have room for n clients.
func (c *crew) reach(o *Options, n int) error {
	for i := 0; n > 0; i++ {
		address := o.Remote[i%len(o.Remote)]
		m, err := dialWorker(address, o.Secret, i)
		if err != nil {
			return fmt.Errorf("cannot use the worker at %s: %w", address, err)
		}
		c.members = append(c.members, m)
		if n -= m.room; i >= 1000 {
			return fmt.Errorf("cannot place all clients: 1000 workers have no room for the last %d", n)
		}
		if i < len(o.Remote)-1 {
			n = max(n, 1) // each machine gets a part
		}
	}
	return nil
}

func dialWorker(address, secret string, i int) (*member, error) {
	conn, err := net.DialTimeout("tcp", address, handshakeLimit)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	r := bufio.NewReaderSize(conn, 1<<16)
	if err := proveCoordinator(conn, r, secret); err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	m := &member{name: fmt.Sprintf("worker %d (at %s)", i+1, address), in: r, out: conn, deadline: conn.SetReadDeadline,
		end: func() { _ = conn.Close() }, ended: func() string { return "its connection was closed" }}
	if err := m.greet(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return m, m.compareClocks()
}

// compareClocks estimates how far the worker's clock is off, as NTP does it (RFC 5905 section 8): the answer was given
// somewhere between question and receipt, most likely in the middle of the quickest of several exchanges.
func (m *member) compareClocks() error {
	for i := range 20 {
		asked := time.Now()
		a, err := m.call(fleet.Request{Hello: &struct{}{}})
		if err != nil {
			return err
		}
		took := time.Since(asked)
		if i == 0 || took/2 < m.doubt {
			m.doubt = took / 2
			m.offset = time.Duration(asked.UnixNano() + int64(took)/2 - a.Hello.Clock)
		}
	}
	return nil
}

// Listen lets coordinators on other machines use this one: each connection that proves the secret gets a worker process.
// It returns when the listener fails.
func Listen(address, secret string, log func(format string, args ...any)) error {
	if len(secret) < 16 {
		return errors.New("cannot listen with a secret of fewer than 16 bytes")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	log("workers for coordinators that know the secret, at %s", l.Addr())
	slots := make(chan struct{}, 1000) // connections at a time, those that have proved nothing yet too
	for {
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("cannot accept: %w", err)
		}
		slots <- struct{}{}
		go func() { // ends with the connection
			defer func() { <-slots }()
			defer conn.Close()
			if err := lend(conn, secret); err != nil {
				log("%s: %v", conn.RemoteAddr(), err)
			}
		}()
	}
}

// lend gives a worker process to a coordinator.
func lend(conn net.Conn, secret string) error {
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	r := bufio.NewReader(conn)
	if err := proveWorker(conn, r, secret); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, WorkerCommand)
	child.Stdout, child.Stderr = conn, os.Stderr
	child.Env = append(os.Environ(), "GOMAXPROCS=1")
	child.SysProcAttr = ofOurs()
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("cannot start a worker: %w", err)
	}
	_, _ = io.Copy(in, r) // until the coordinator has enough
	_ = in.Close()
	late := time.AfterFunc(20*time.Second, func() { _ = child.Process.Kill() })
	defer late.Stop()
	return child.Wait()
}
