package edge_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"encke/edge"
)

// from asks for /healthz's public sister, an interval poll, over a new connection from a loopback address, and leaves the
// connection open.
func from(t *testing.T, r *rig, source string) (net.Conn, string) {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.Dial("tcp", r.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(c, "GET /poll?channels=a&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	return c, string(b[:n])
}

func status(answer string) string { return strings.TrimPrefix(answer, "HTTP/1.1 ")[:3] }

// TestConnectionsOfOneAddress opens more than an address may hold, and closes one.
func TestConnectionsOfOneAddress(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxPerAddress = 3 })
	var held []net.Conn
	for range 3 {
		c, answer := from(t, r, "127.0.0.1")
		held = append(held, c)
		if status(answer) != "200" {
			t.Fatalf("within the limit: %s", answer)
		}
	}
	if _, answer := from(t, r, "127.0.0.1"); status(answer) != "429" || !strings.Contains(answer, `"address_limit"`) || !strings.Contains(answer, "\r\nRetry-After: ") ||
		!strings.Contains(answer, "\r\nAccess-Control-Expose-Headers: Retry-After\r\n") {
		t.Errorf("over the limit: %s", answer)
	}
	if _, answer := from(t, r, "127.0.0.2"); status(answer) != "200" {
		t.Errorf("another address: %s", answer)
	}
	if res, _ := r.ask(t, "GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("the backend listener is limited too: %s", res.Status)
	}
	_ = held[1].Close()
	waitFor(t, "room", func() bool { _, answer := from(t, r, "127.0.0.1"); return status(answer) == "200" })
	if n := r.Stats().Refused["address_limit"]; n < 1 {
		t.Errorf("%d counted", n)
	}
}

// TestConnectionRate connects faster than is allowed, from one address and from many.
func TestConnectionRate(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit func(c *edge.Config)
		other string // status for another address
	}{
		{"of one address", func(c *edge.Config) { c.ConnectionRatePerAddress = 0.5 }, "200"},
		{"in all", func(c *edge.Config) { c.ConnectionRate = 0.5 }, "429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.limit)
			if _, answer := from(t, r, "127.0.0.1"); status(answer) != "200" {
				t.Fatalf("the first: %s", answer)
			}
			_, answer := from(t, r, "127.0.0.1")
			_, after, _ := strings.Cut(answer, "Retry-After: ")
			after, _, _ = strings.Cut(after, "\r\n")
			if n, err := strconv.Atoi(after); status(answer) != "429" || !strings.Contains(answer, `"rate_limited"`) || err != nil || n < 1 || n > 2 {
				t.Errorf("the second: %s", answer)
			}
			if _, answer := from(t, r, "127.0.0.3"); status(answer) != c.other {
				t.Errorf("another address: %s", answer)
			}
			waitFor(t, "a token", func() bool { _, answer := from(t, r, "127.0.0.1"); return status(answer) == "200" })
		})
	}
}
