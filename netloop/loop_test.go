package netloop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo is a handler that sends back what it gets, with hooks for the cases.
type echo struct {
	l      *Loop
	data   func(l *Loop, c ID, b []byte) int
	opened atomic.Int64
	closed [NumReasons]atomic.Int64
	eof    func(l *Loop, c ID)
	mail   func(l *Loop, m Mail)
	timer  func(l *Loop, c ID, kind TimerKind)
	silent func(l *Loop, c ID)
	onOpen func(l *Loop, c ID, listener int)
	drain  func(l *Loop, c ID)
}

type perLoop struct {
	*echo
	l *Loop
}

func (h perLoop) Open(c ID, ln int) {
	h.opened.Add(1)
	if h.onOpen != nil {
		h.onOpen(h.l, c, ln)
	}
}

func (h perLoop) Data(c ID, b []byte) int {
	if h.data != nil {
		return h.data(h.l, c, b)
	}
	h.l.Send(c, b)
	return len(b)
}

func (h perLoop) EOF(c ID) {
	if h.eof != nil {
		h.eof(h.l, c)
		return
	}
	h.l.Finish(c, ReasonPeer)
}

func (h perLoop) Drained(c ID) {
	if h.drain != nil {
		h.drain(h.l, c)
	}
}

func (h perLoop) Timeout(c ID, k TimerKind) {
	if h.timer != nil {
		h.timer(h.l, c, k)
	}
}

func (h perLoop) Silent(c ID, _ time.Duration) {
	if h.silent != nil {
		h.silent(h.l, c)
	}
}
func (h perLoop) Stalled(ID, int, time.Duration) {}
func (h perLoop) Closed(_ ID, why Reason)        { h.closed[why].Add(1) }

func (h perLoop) Mail(m Mail) {
	if h.mail != nil {
		h.mail(h.l, m)
	}
}
func (h perLoop) Turn() bool     { return false }
func (h perLoop) Tick(time.Time) {}

// start runs an engine of two loops over h; it is stopped at the end of the test.
func start(t testing.TB, h *echo, change func(*Config)) (*Engine, string) {
	t.Helper()
	c := Config{Loops: 2, Tick: 10 * time.Millisecond, Linger: 200 * time.Millisecond,
		New: func(l *Loop) Handler { return perLoop{h, l} }}
	if change != nil {
		change(&c)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := e.Listen(0, "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return e, addr.String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestEchoWholeStreamsOnManyConnections(t *testing.T) {
	h := &echo{}
	e, addr := start(t, h, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		c := dial(t, addr)
		sent := make([]byte, 3<<20) // far more than socket buffers hold: output has to wait
		rand.New(rand.NewSource(int64(i))).Read(sent)
		wg.Add(2)
		go func() {
			defer wg.Done()
			_, _ = c.Write(sent)
			_ = c.CloseWrite()
		}()
		go func() {
			defer wg.Done()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("connection %d: got %d bytes of %d, %v", i, len(got), len(sent), err)
			}
		}()
	}
	wg.Wait()
	eventually(t, "all closed", func() bool { return e.Open() == 0 })
	if n := h.closed[ReasonPeer].Load(); n != 20 {
		t.Errorf("%d ended in order, want 20", n)
	}
}

func TestUntakenInputIsShownAgain(t *testing.T) {
	// The handler takes whole lines only; the client sends a byte at a time.
	h := &echo{data: func(l *Loop, c ID, b []byte) int {
		n := bytes.LastIndexByte(b, '\n') + 1
		if n > 0 {
			l.Send(c, b[:n])
		}
		return n
	}}
	_, addr := start(t, h, nil)
	c := dial(t, addr)
	const text = "one\ntwo\nthree\n"
	go func() {
		for i := range text {
			_, _ = c.Write([]byte{text[i]})
		}
	}()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMailReachesTheConnectionOrNobody(t *testing.T) {
	handles := make(chan Handle, 10)
	h := &echo{
		onOpen: func(l *Loop, c ID, _ int) { handles <- l.Handle(c) },
		mail: func(l *Loop, m Mail) {
			if c, ok := l.Resolve(m.To); ok {
				l.Send(c, []byte(*m.Val.(*string)))
			} else {
				handles <- 0
			}
		},
	}
	e, addr := start(t, h, nil)
	c := dial(t, addr)
	to, text := <-handles, "news"
	e.Post(Mail{To: to, Val: &text})
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v", got, err)
	}
	c.Close()
	eventually(t, "closed", func() bool { return e.Open() == 0 })
	e.Post(Mail{To: to, Val: &text})
	if h := <-handles; h != 0 {
		t.Error("mail to a connection that has gone found one")
	}
}

func TestMailIsInOrderFromEachSender(t *testing.T) {
	const senders, each = 4, 20000
	var next [senders]uint64
	var got atomic.Int64
	h := &echo{mail: func(_ *Loop, m Mail) {
		if m.N != next[m.Kind] {
			t.Errorf("sender %d: got %d, want %d", m.Kind, m.N, next[m.Kind])
		}
		next[m.Kind] = m.N + 1
		got.Add(1)
	}}
	e, _ := start(t, h, nil)
	for s := range uint32(senders) {
		go func() {
			for i := range uint64(each) {
				e.Loops()[1].Post(Mail{Kind: s, N: i})
			}
		}()
	}
	eventually(t, "all mail", func() bool { return got.Load() == senders*each })
}

func TestTimers(t *testing.T) {
	var fired sync.Map
	h := &echo{
		onOpen: func(l *Loop, c ID, _ int) { l.SetTimer(c, 1, time.Hour); l.SetTimer(c, 2, 50*time.Millisecond) },
		timer: func(l *Loop, c ID, k TimerKind) {
			fired.Store(k, true)
			l.Finish(c, ReasonUser)
		},
	}
	_, addr := start(t, h, nil)
	c := dial(t, addr)
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if _, ok := fired.Load(TimerKind(2)); !ok {
		t.Error("the second timer did not run out")
	}
	if _, ok := fired.Load(TimerKind(1)); ok {
		t.Error("the first timer ran out although it was replaced")
	}
	c.Close()
	eventually(t, "closed for the handler's reason", func() bool { return h.closed[ReasonUser].Load() == 1 })
}

// TestWheelAgainstAModel sets, resets and stops timers at random on a synthetic clock.
func TestWheelAgainstAModel(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	var rung []ID
	h := &echo{timer: func(_ *Loop, c ID, _ TimerKind) { rung = append(rung, c) }}
	e, err := New(Config{Loops: 1, Tick: time.Millisecond, New: func(l *Loop) Handler { return perLoop{h, l} }})
	if err != nil {
		t.Fatal(err)
	}
	l := e.loops[0]
	want := map[ID]uint32{}
	for range 100 {
		c, s := l.slots.take()
		s.flags = flagOpen
		_ = c
	}
	for range 20000 {
		c := ID(rng.Intn(100))
		switch rng.Intn(3) {
		case 0:
			d := 1 + rng.Intn(1500) // beyond one turn of the wheel too
			l.SetTimer(c, 1, time.Duration(d)*time.Millisecond)
			want[c] = l.wheel.now + uint32(d)
		case 1:
			if rng.Intn(4) == 0 {
				l.StopTimer(c)
				delete(want, c)
			}
		case 2:
			l.wheel.now++
			rung = rung[:0]
			l.expire()
			for _, c := range rung {
				if want[c] != l.wheel.now {
					t.Fatalf("timer of %d rang at %d, want %d", c, l.wheel.now, want[c])
				}
				delete(want, c)
			}
			for c, at := range want {
				if at <= l.wheel.now {
					t.Fatalf("timer of %d did not ring at %d", c, at)
				}
			}
		}
	}
}

func TestSilenceIsSwept(t *testing.T) {
	var quiet atomic.Int64
	h := &echo{silent: func(l *Loop, c ID) { quiet.Add(1); l.Close(c, ReasonUser) }}
	e, addr := start(t, h, func(c *Config) { c.Silence = 100 * time.Millisecond })
	for range 50 {
		dial(t, addr)
	}
	eventually(t, "all swept", func() bool { return quiet.Load() == 50 && e.Open() == 0 })
}

func TestFinishSendsTheLastAnswerThoughInputIsUnread(t *testing.T) {
	h := &echo{data: func(l *Loop, c ID, b []byte) int {
		l.Send(c, []byte("too much"))
		l.Finish(c, ReasonUser)
		return 1
	}}
	e, addr := start(t, h, nil)
	c := dial(t, addr)
	go func() { _, _ = c.Write(make([]byte, 4<<20)) }()
	if got, err := io.ReadAll(c); err != nil || string(got) != "too much" {
		t.Errorf("got %q, %v", got, err)
	}
	eventually(t, "closed though the client did not", func() bool { return e.Open() == 0 })
}

// TestSendNeverClosesUnderItsCaller: a connection that turns out to be reset while a handler sends to it is there until the
// handler has done.
func TestSendNeverClosesUnderItsCaller(t *testing.T) {
	big := make([]byte, 4*maxGather)
	var resets, gone atomic.Int64
	peers := make(chan net.Conn, 1)
	h := &echo{data: func(l *Loop, c ID, b []byte) int {
		p := <-peers
		_ = p.(*net.TCPConn).SetLinger(0)
		p.Close() // a reset: it arrives before Close returns, on loopback
		was := l.Handle(c)
		for range 3 {
			if l.Send(c, big) == SentNobody {
				resets.Add(1)
			}
			l.SetTimer(c, 1, time.Second)
			if _, ok := l.Resolve(was); !ok {
				gone.Add(1)
				break
			}
		}
		return len(b)
	}}
	_, addr := start(t, h, nil)
	for range 20 {
		p := dial(t, addr)
		peers <- p
		if _, err := p.Write([]byte("go")); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	eventually(t, "all are closed", func() bool { return h.closed[ReasonReset].Load() == 20 })
	if resets.Load() == 0 || gone.Load() > 0 {
		t.Errorf("%d sends met with a reset, %d connections went while they were sent to", resets.Load(), gone.Load())
	}
}

func TestPauseAndResume(t *testing.T) {
	handles := make(chan Handle, 1)
	var bytesIn atomic.Int64
	h := &echo{
		data: func(l *Loop, c ID, b []byte) int {
			if bytesIn.Add(int64(len(b))) == 1 {
				l.Pause(c)
				handles <- l.Handle(c)
			}
			return len(b)
		},
		mail: func(l *Loop, m Mail) { c, _ := l.Resolve(m.To); l.Resume(c) },
	}
	e, addr := start(t, h, nil)
	c := dial(t, addr)
	_, _ = c.Write([]byte{1})
	to := <-handles
	_, _ = c.Write(make([]byte, 1000))
	time.Sleep(50 * time.Millisecond)
	if n := bytesIn.Load(); n != 1 {
		t.Fatalf("a paused connection read %d bytes", n)
	}
	e.Post(Mail{To: to})
	eventually(t, "read on", func() bool { return bytesIn.Load() == 1001 })
}

func TestResetIsNoticedWhilePaused(t *testing.T) {
	h := &echo{data: func(l *Loop, c ID, b []byte) int { l.Pause(c); return len(b) }}
	e, addr := start(t, h, nil)
	c := dial(t, addr)
	_, _ = c.Write([]byte{1})
	eventually(t, "read", func() bool { return e.loops[0].counts.BytesIn.Load()+e.loops[1].counts.BytesIn.Load() == 1 })
	_ = c.SetLinger(0)
	c.Close()
	eventually(t, "closed", func() bool { return h.closed[ReasonReset].Load() == 1 && e.Open() == 0 })
}

func TestOutOfDescriptorsAcceptingStopsAndResumes(t *testing.T) {
	h := &echo{}
	e, addr := start(t, h, func(c *Config) { c.HardLimit = 10 })
	var held []net.Conn
	for range 30 {
		held = append(held, dial(t, addr))
	}
	eventually(t, "the limit", func() bool { return e.Open() == 10 })
	turns := func() uint64 { return e.loops[0].counts.Turns.Load() + e.loops[1].counts.Turns.Load() }
	before := turns()
	time.Sleep(200 * time.Millisecond)
	if n := turns() - before; n > 400 { // two loops, 20 ticks each, and the accepts tried at each
		t.Errorf("%d turns within 20 ticks: it spins", n)
	}
	for _, c := range held {
		c.Close()
	}
	c := dial(t, addr)
	_, _ = c.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("accepting did not resume: %v", err)
	}
}

func TestDial(t *testing.T) {
	got := make(chan string, 1)
	server := &echo{}
	_, addr := start(t, server, nil)
	client := &echo{
		onOpen: func(l *Loop, c ID, ln int) {
			if ln == Dialed {
				l.Send(c, []byte("hello from "+l.Peer(c).String()))
			}
		},
		data: func(l *Loop, c ID, b []byte) int { got <- string(b); l.Close(c, ReasonUser); return 0 },
		mail: func(l *Loop, m Mail) {
			if _, err := l.Dial(*m.Val.(*netip.AddrPort), netip.MustParseAddrPort("127.0.0.9:0")); err != nil {
				t.Error(err)
			}
		},
	}
	e, _ := start(t, client, nil)
	to := netip.MustParseAddrPort(addr)
	e.Loops()[0].Post(Mail{Val: &to})
	if s := <-got; s != "hello from "+addr {
		t.Errorf("got %q", s)
	}
	nobody := netip.MustParseAddrPort("127.0.0.1:1")
	e.Loops()[0].Post(Mail{Val: &nobody})
	eventually(t, "refused", func() bool { return client.closed[ReasonConnect].Load() == 1 })
}

func TestListenRefusesAnAddressInUse(t *testing.T) {
	_, addr := start(t, &echo{}, nil)
	e, err := New(Config{Loops: 1, New: func(l *Loop) Handler { return perLoop{&echo{}, l} }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Listen(0, addr, ListenOptions{}); err == nil {
		t.Error("the address of another engine was taken without a word")
	}
	if _, err := e.Listen(0, addr, ListenOptions{Share: true}); err != nil {
		t.Error(err)
	}
}

// TestIdleConnectionsCostNoHeapObjects counts objects, which no other measure hides.
func TestIdleConnectionsCostNoHeapObjects(t *testing.T) {
	h := &echo{}
	e, addr := start(t, h, nil)
	const n = 2000
	objects := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapObjects
	}
	fds := make([]int, 0, n)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	to := toSockaddr(netip.MustParseAddrPort(addr))
	fds = append(fds, connectRaw(t, to))
	eventually(t, "the first", func() bool { return e.Open() == 1 })
	before := objects()
	for len(fds) < n {
		fds = append(fds, connectRaw(t, to))
	}
	eventually(t, "all open", func() bool { return e.Open() == n })
	if got := int64(objects()) - int64(before); got > n/10 {
		t.Errorf("%d connections brought %d heap objects", n, got)
	}
}

func connectRaw(t testing.TB, to unix.Sockaddr) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
