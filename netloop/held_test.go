package netloop

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// held sums a gauge over the engine's loops.
func held(e *Engine, gauge func(*Counts) int64) (sum int64) {
	for _, l := range e.Loops() {
		sum += gauge(l.Counts())
	}
	return sum
}

// TestWhatManyWaitForIsHeldOnce: a buffer that waits for several connections counts once a loop, a copy each time.
func TestWhatManyWaitForIsHeldOnce(t *testing.T) {
	big := make([]byte, 16<<20)
	var sharing atomic.Bool
	h := &echo{data: func(l *Loop, c ID, b []byte) int {
		if sharing.Load() {
			l.Share(c, big)
		} else {
			l.Send(c, big)
		}
		return len(b)
	}}
	e, addr := start(t, h, func(c *Config) { c.Loops = 1 })
	gauge := func(c *Counts) int64 { return c.Held.Load() }
	for _, c := range []struct {
		name     string
		sharing  bool
		min, max int64
	}{{"shared", true, 16 << 20, 17 << 20}, {"copied", false, 5 * (8 << 20), 5 * (17 << 20)}} {
		sharing.Store(c.sharing)
		var all []*net.TCPConn
		for range 5 {
			p := dial(t, addr)
			if _, err := p.Write([]byte("go")); err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		eventually(t, c.name+": held", func() bool { n := held(e, gauge); return n >= c.min && n <= c.max })
		got := 0
		for b := make([]byte, 1<<20); got < len(big); { // one reads, the others go away
			n, err := all[0].Read(b)
			if got += n; err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range all {
			p.Close()
		}
		eventually(t, c.name+": held no more", func() bool { return held(e, gauge) == 0 })
	}
}

// TestUntakenInputIsCounted: what a handler leaves is counted until it takes it or the connection ends.
func TestUntakenInputIsCounted(t *testing.T) {
	h := &echo{data: func(_ *Loop, _ ID, b []byte) int {
		if b[len(b)-1] == '.' {
			return len(b)
		}
		return 0
	}}
	e, addr := start(t, h, nil)
	gauge := func(c *Counts) int64 { return c.Untaken.Load() }
	p, q := dial(t, addr), dial(t, addr)
	for _, step := range []struct {
		write func() error
		want  int64
	}{
		{func() error { _, err := p.Write(make([]byte, 1000)); return err }, 2048}, // of the pool's sizes
		{func() error { _, err := q.Write(make([]byte, 500)); return err }, 2560},
		{func() error { _, err := p.Write([]byte("end.")); return err }, 512},
		{q.Close, 0},
	} {
		if err := step.write(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "untaken", func() bool { return held(e, gauge) == step.want })
	}
}

// TestAPeerThatHasVanishedIsGivenUp: a peer whose every segment is dropped, as after a pulled cable, acknowledges nothing.
func TestAPeerThatHasVanishedIsGivenUp(t *testing.T) {
	h := &echo{}
	e, err := New(Config{Loops: 1, Tick: 10 * time.Millisecond, New: func(l *Loop) Handler { return perLoop{h, l} }})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := e.Listen(0, "127.0.0.1:0", ListenOptions{PeerTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	h.mail = func(l *Loop, m Mail) { l.Send(0, []byte("are you there?")) }
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	p := dial(t, addr.String())
	eventually(t, "it is open", func() bool { return h.opened.Load() == 1 })
	vanish(t, p)
	e.Loops()[0].Post(Mail{})
	eventually(t, "it is given up", func() bool { return h.closed[ReasonReset].Load() == 1 })
}

// vanish makes the kernel drop all that arrives for a socket before TCP sees it: a socket filter that lets 0 bytes through.
func vanish(t testing.TB, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const retZero = 0x06 // BPF_RET | BPF_K, k = 0
	filter := []unix.SockFilter{{Code: retZero}}
	var errno error
	err = raw.Control(func(fd uintptr) {
		errno = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &filter[0]})
	})
	if err != nil || errno != nil {
		t.Fatal(err, errno)
	}
}
