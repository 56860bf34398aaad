package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

type connection = net.Conn

const (
	allowed = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"allow\":true}"
	denied  = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"allow\":false}"
)

// script is a backend that does things to its connections that no http.Server does: the n-th connection, from 0, reads
// requests and answers them by answer.
type script struct {
	net.Listener
	t    testing.TB
	done chan struct{} // one for each answer
}

// newScript serves on a listener; answer says what a request gets, and whether the connection ends after it.
func newScript(t testing.TB, l net.Listener, answer func(conn, request int) (first, then string, end bool)) *script {
	s := &script{Listener: l, t: t, done: make(chan struct{}, 100)}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c, func(request int) (string, string, bool) { return answer(i, request) }) // ends with its connection
		}
	}()
	return s
}

func (s *script) serve(c net.Conn, answer func(request int) (string, string, bool)) {
	defer c.Close()
	for i := 0; ; i++ {
		if err := readRequest(c); err != nil {
			return
		}
		first, then, end := answer(i)
		_, _ = io.WriteString(c, first)
		_, _ = io.WriteString(c, then)
		if end {
			c.Close()
		}
		s.done <- struct{}{}
	}
}

// readRequest reads until the end of a question without data, which is its only }.
func readRequest(c net.Conn) error {
	for b := make([]byte, 1); b[0] != '}'; {
		if _, err := c.Read(b); err != nil {
			return err
		}
	}
	return nil
}

// listeners are one without and one with TLS, each with what a client needs to trust it.
func listeners(t testing.TB) map[string]struct {
	net.Listener
	trust *tls.Config
} {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	open := func() net.Listener {
		l, err := listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	return map[string]struct {
		net.Listener
		trust *tls.Config
	}{
		"http":  {open(), nil},
		"https": {tls.NewListener(open(), &tls.Config{Certificates: server.TLS.Certificates}), &tls.Config{RootCAs: roots}},
	}
}

// TestKeptConnections: what happens to a connection between two questions fails none and answers none.
func TestKeptConnections(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(conn, request int) (first, then string, end bool)
		asked  []bool // what questions are told, one after the other
	}{
		{"kept", func(conn, request int) (string, string, bool) {
			if conn == 0 && request > 0 {
				return allowed, "", false
			}
			return denied, "", false
		}, []bool{false, true, true}},
		{"closed after each", func(int, int) (string, string, bool) { return allowed, "", true }, []bool{true, true, true}},
		{"bytes that nobody asked for", func(conn, request int) (string, string, bool) {
			if conn == 0 && request == 0 {
				return denied, allowed, false
			}
			return denied, "", false
		}, []bool{false, false, false}},
	} {
		for scheme, l := range listeners(t) {
			s := newScript(t, l.Listener, c.answer)
			a, err := NewAsker(AskConfig{URL: scheme + "://" + l.Addr().String(), Secrets: secrets, TLS: l.trust})
			if err != nil {
				t.Fatal(err)
			}
			a.client.MaxIdleConnDuration = time.Hour
			for i, want := range c.asked {
				if answer, err := a.Ask(connect); err != nil || answer.Allow != want {
					t.Errorf("%s, %s, question %d: %v, %v", c.name, scheme, i, answer, err)
				}
				get(t, "the end of the answer", s.done)
			}
			a.Close()
		}
	}
}

// TestConnIsLookedAt below HTTP, where nothing is read ahead of time.
func TestConnIsLookedAt(t *testing.T) {
	for _, c := range []struct {
		name string
		sent string // after the client has begun to write; it reads 5 bytes of it
		end  bool
		want error
	}{
		{"an answer", "12345", false, nil},
		{"an answer and more", "123456", false, errGone},
		{"an answer and an end", "12345", true, errGone},
	} {
		for scheme, l := range listeners(t) {
			sent := make(chan net.Conn)
			go func() { // ends when it has sent
				server, err := l.Accept()
				if err == nil {
					_, _ = io.ReadFull(server, make([]byte, 5))
					_, _ = io.WriteString(server, c.sent)
				}
				if err == nil && c.end {
					server.Close()
				}
				sent <- server
			}()
			d := &dialer{timeout: 20e9, tls: l.trust.Clone()}
			if d.tls != nil {
				d.tls.ServerName = "127.0.0.1"
			}
			client, err := d.dial(l.Addr().String(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(client, "hello"); err != nil {
				t.Errorf("%s, %s: the first write: %v", c.name, scheme, err)
			}
			server := get(t, "an answer", sent)
			if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
				t.Error(err)
			}
			if _, err := io.WriteString(client, "again"); err != c.want {
				t.Errorf("%s, %s: %v, want %v", c.name, scheme, err, c.want)
			}
			if c.want == nil { // an answer before the end of a question is no reason to stop in its middle
				_, _ = io.WriteString(server, "early")
				if _, err := io.WriteString(client, "and again"); err != nil {
					t.Errorf("%s, %s, in the middle: %v", c.name, scheme, err)
				}
			}
			client.Close()
			server.Close()
			l.Close()
		}
	}
}

func TestHostPort(t *testing.T) {
	for address, want := range map[string]string{
		"http://a": "a:80", "https://a/b": "a:443", "http://a:1": "a:1", "https://a:": "a:443",
		"http://[::1]": "[::1]:80", "https://[::1]:1": "[::1]:1",
	} {
		a, err := NewAsker(AskConfig{URL: address, Secrets: secrets})
		if err != nil || a.client.Addr != want {
			t.Errorf("%s: %v, %v", address, a.client.Addr, err)
		}
	}
}
