package edge_test

import (
	"net"
	"testing"
	"time"

	"encke/edge"

	"golang.org/x/sys/unix"
)

// TestVanishedPeers: of peers that vanish without a word, as behind a pulled cable, nothing is left on any transport.
func TestVanishedPeers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *edge.Config) { c.PingInterval, c.WriteTimeout = time.Second, time.Second })
	var all []net.Conn
	for _, transport := range []string{"ws", "sse", "stream"} {
		all = append(all, openSlow(t, r, transport, "a"))
	}
	raw := newWS(t, r.public, "/ws?channels=a", "Sec-WebSocket-Protocol: encke.raw")
	poll := newPeer(t, r.public)
	poll.get("/poll?channels=a&wait=1")
	r.subscribers(t, "a", 5)
	for _, c := range append(all, raw, poll) {
		vanish(t, c)
	}
	waitFor(t, "all to be given up", func() bool { return r.Stats().Connections["total"] == 0 })
}

// vanish makes the kernel drop all that arrives for a socket before TCP sees it: a socket filter that lets 0 bytes through.
func vanish(t testing.TB, c net.Conn) {
	t.Helper()
	for {
		switch p := c.(type) {
		case slowPeer:
			c = p.Conn
			continue
		case *wsPeer:
			c = p.Conn
			continue
		case *peer:
			c = p.Conn
			continue
		}
		break
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const retZero = 0x06 // BPF_RET | BPF_K, k = 0
	filter := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: retZero}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter)
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
