package edge_test

import (
	"strings"
	"testing"
	"time"

	"encke/edge"
)

// TestProxyProtocol: what a proxy says of whose a connection is counts for limits and the log, in both versions and however it is cut;
// only proxies that are named are believed, and they have to say it.
func TestProxyProtocol(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	v4 := v2 + "\x21\x11\x00\x0c" + "\xc0\x00\x02\x07" + "\x7f\x00\x00\x01" + "\x10\x00\x00\x50"
	v6 := v2 + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + strings.Repeat("\x00", 15) + "\x01" + "\x10\x00\x00\x50"
	withTLV := v2 + "\x21\x11\x00\x10" + "\xc0\x00\x02\x08" + "\x7f\x00\x00\x01" + "\x10\x00\x00\x50" + "\x04\x00\x01x"
	for _, c := range []struct {
		name, header string
		seen         string // in the log; "" when it is refused
	}{
		{"version 1", "PROXY TCP4 192.0.2.7 127.0.0.1 4096 80\r\n", "192.0.2.7"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::7 ::1 4096 80\r\n", "2001:db8::7"},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", "127.0.0.1"},
		{"version 2", v4, "192.0.2.7"}, {"version 2, IPv6", v6, "2001:db8::7"}, {"version 2, more than addresses", withTLV, "192.0.2.8"},
		{"version 2, the proxy itself", v2 + "\x20\x00\x00\x00", "127.0.0.1"},
		{"none", "", ""}, {"an address that is none", "PROXY TCP4 300.0.2.7 127.0.0.1 4096 80\r\n", ""}, {"a line without end", "PROXY TCP4 " + strings.Repeat("1", 200), ""},
		{"version 3", v2 + "\x31\x11\x00\x0c" + strings.Repeat("\x00", 12), ""}, {"version 2, very long", v2 + "\x21\x11\xff\xff" + strings.Repeat("\x00", 100), ""},
		{"version 2, too short for its family", v2 + "\x21\x11\x00\x04" + "\xc0\x00\x02\x07", ""},
	} {
		for _, cut := range []int{0, 1, 5, 13, len(c.header) - 1} {
			r, log := guarded(t, func(c *edge.Config) { c.ProxyFrom = []string{"127.0.0.0/8"} })
			p := newPeer(t, r.public)
			request := c.header + "GET /poll?channels=public&wait=0&token=rubbish HTTP/1.1\r\nHost: localhost\r\n\r\n"
			if cut > 0 && cut < len(request) {
				p.write(request[:cut])
				time.Sleep(5 * time.Millisecond)
				request = request[cut:]
			}
			p.write(request)
			res, text := p.answer()
			switch {
			case c.seen == "" && (res.StatusCode != 400 || !strings.Contains(text, "whose connection")):
				t.Errorf("%s, cut at %d: %s %s", c.name, cut, res.Status, text)
			case c.seen != "" && (res.StatusCode != 401 || !strings.Contains(log(), c.seen+": bad_token")):
				t.Errorf("%s, cut at %d: %s, the log says %s", c.name, cut, res.Status, log())
			}
		}
	}
}

// TestProxyIsNotBelieved from anywhere else, and the limits of addresses are those of clients.
func TestProxyIsNotBelieved(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.ProxyFrom = []string{"192.0.2.1"} })
	p := newPeer(t, r.public)
	p.write("PROXY TCP4 192.0.2.7 127.0.0.1 4096 80\r\nGET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
	p.want(400)

	r = newRig(t, func(c *edge.Config) { c.ProxyFrom, c.MaxPerAddress = []string{"127.0.0.1"}, 1 })
	open := func(from string) int {
		p := newPeer(t, r.public)
		p.write("PROXY TCP4 " + from + " 127.0.0.1 4096 80\r\nGET /sse?channels=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return p.head("GET").StatusCode
	}
	for i, c := range []struct {
		from string
		want int
	}{{"192.0.2.7", 200}, {"192.0.2.7", 429}, {"192.0.2.8", 200}, {"192.0.2.8", 429}} {
		if got := open(c.from); got != c.want {
			t.Errorf("%d, from %s: %d, want %d", i, c.from, got, c.want)
		}
	}
	c := edge.Defaults()
	c.ProxyFrom = []string{"proxy.example"}
	if _, err := edge.New(c); err == nil {
		t.Error("a name was taken for an address")
	}
}
