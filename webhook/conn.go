package webhook

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errGone says that a kept connection cannot be used again. Nothing of the request has been sent.
var errGone = errors.New("the connection is gone")

// dialer makes connections that can be kept.
type dialer struct {
	timeout time.Duration
	tls     *tls.Config // nil: without
}

func newDialer(u *url.URL, c *AskConfig) *dialer {
	d := &dialer{timeout: c.Timeout}
	if u.Scheme == "https" {
		if d.tls = c.TLS.Clone(); d.tls == nil {
			d.tls = &tls.Config{}
		}
		if d.tls.ServerName == "" {
			d.tls.ServerName = u.Hostname()
		}
	}
	return d
}

// hostPort returns the address to connect to.
func hostPort(u *url.URL) string {
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}

// dial connects within a time, 0 for the dialer's own, TLS handshake included. It is fasthttp's DialFuncWithTimeout.
func (d *dialer) dial(address string, within time.Duration) (net.Conn, error) {
	if within <= 0 {
		within = d.timeout
	}
	deadline := time.Now().Add(within)
	plain, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	raw, err := plain.(syscall.Conn).SyscallConn()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if d.tls == nil {
		return &conn{Conn: plain, raw: raw}, nil
	}
	secure, err := d.secure(plain, deadline)
	if err != nil {
		plain.Close()
		return nil, err
	}
	return secureConn{&conn{Conn: secure, raw: raw, secure: true}}, nil
}

func (d *dialer) secure(plain net.Conn, deadline time.Time) (net.Conn, error) {
	c := tls.Client(plain, d.tls)
	if err := plain.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return c, plain.SetDeadline(time.Time{})
}

// conn looks, before it is written to after an answer, whether anything has come since: an end, and the request would be lost
// in it; or bytes, and they would be taken for the answer to another question than they are. One goroutine uses it at a time.
type conn struct {
	net.Conn
	raw      syscall.RawConn // below TLS
	secure   bool            // Conn is TLS
	answered bool            // something was read since the last write
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	c.answered = true
	return c.Conn.Read(b)
}

// Write implements net.Conn. It fails with errGone, and writes nothing, if the connection cannot be used again.
func (c *conn) Write(b []byte) (int, error) {
	if c.answered {
		if c.secure && !drained(c.Conn) || !quiet(c.raw) {
			return 0, errGone
		}
		c.answered = false
	}
	return c.Conn.Write(b)
}

// drained says whether TLS holds nothing that it has taken from the kernel already. It leaves the connection without a
// deadline for reading; fasthttp sets one before each answer.
func drained(c net.Conn) bool {
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := c.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// quiet says whether the kernel has nothing to read, not even an end or an error. It heeds no deadline: the last answer's
// may be over.
func quiet(raw syscall.RawConn) (yes bool) {
	err := raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		yes = err == unix.EAGAIN
	})
	return yes && err == nil
}

// secureConn tells fasthttp, by having this method, that TLS is there already.
type secureConn struct{ *conn }

// Handshake does nothing: dial has done it.
func (secureConn) Handshake() error { return nil }
