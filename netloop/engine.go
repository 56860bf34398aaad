package netloop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// MaxLoops is the largest number of loops of an engine: interest in a channel is a 64-bit mask.
const MaxLoops = 64

// Config says how an engine runs. Zero values take the defaults named.
type Config struct {
	Loops     int                   // 1 to MaxLoops
	New       func(l *Loop) Handler // makes a loop's handler
	Tick      time.Duration         // grain of timers; 100 ms
	Linger    time.Duration         // how long a finished connection may take to close; 2 s
	Silence   time.Duration         // Handler.Silent is told of connections silent for that long; 25 s
	Sweep     time.Duration         // in which every connection is looked at once for that; Silence / 4
	HardLimit int                   // connections beyond which nothing is accepted; 0: no limit
	ReadSize  int                   // bytes of the read buffer of each loop; 64 KiB
}

func (c *Config) defaults() error {
	if c.Loops < 1 || c.Loops > MaxLoops {
		return fmt.Errorf("cannot run %d loops: 1 to %d are possible", c.Loops, MaxLoops)
	}
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.Tick, 100*time.Millisecond)
	set(&c.Linger, 2*time.Second)
	set(&c.Silence, 25*time.Second)
	set(&c.Sweep, c.Silence/4)
	if c.ReadSize == 0 {
		c.ReadSize = 64 << 10
	}
	return nil
}

// Engine is a set of loops.
type Engine struct {
	config Config
	loops  []*Loop
	open   atomic.Int64
	serve  []netpoll.EventLoop
	done   sync.WaitGroup // the goroutines that wait in EventLoop.Serve
}

// New makes an engine whose loops do not run yet.
func New(config Config) (*Engine, error) {
	if err := config.defaults(); err != nil {
		return nil, err
	}
	e := &Engine{config: config}
	for i := range config.Loops {
		l, err := newLoop(e, i)
		if err != nil {
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	for _, l := range e.loops {
		l.handler = config.New(l)
	}
	return e, nil
}

func newLoop(e *Engine, index int) (*Loop, error) {
	c := &e.config
	l := &Loop{
		engine: e, index: index, tick: c.Tick,
		sweepTicks:   max(int(c.Sweep/c.Tick), 1),
		silenceTicks: uint32(max(c.Silence/c.Tick, 1)),
		inputs:       map[ID][]byte{}, outputs: map[ID]*output{}, shared: map[*byte]*buffer{}, ending: map[ID]Reason{},
		buf: make([]byte, c.ReadSize),
	}
	l.wheel.now, l.running = 1, make(chan struct{})
	l.wakeUp = l.wake
	var err error
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make an epoll instance: %w", err)
	}
	if l.eventfd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make an eventfd: %w", err)
	}
	if l.timerfd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make a timerfd: %w", err)
	}
	every := unix.NsecToTimespec(int64(c.Tick))
	if err = unix.TimerfdSettime(l.timerfd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return nil, fmt.Errorf("cannot start a timerfd: %w", err)
	}
	for fd, mark := range map[int]uint32{l.eventfd: markMail, l.timerfd: markTimer} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(mark)}
		if errno := epollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); errno != 0 {
			return nil, fmt.Errorf("cannot watch a descriptor: %w", errno)
		}
	}
	return l, nil
}

// pollers is how many netpoll pollers this process has. netpoll's are global and shrinking them would cut off loops of
// another engine, so they only grow. Whoever starts an engine holds the mutex until it runs: a loop picks its poller then, which must
// not happen while another engine's Start adds some.
var pollers struct {
	sync.Mutex
	n int
}

// needPollers sees to it that there are n. The caller holds the mutex.
func needPollers(n int) error {
	if n <= pollers.n {
		return nil
	}
	if err := netpoll.Configure(netpoll.Config{PollerNum: n, LoggerOutput: io.Discard, LoadBalance: netpoll.RoundRobin}); err != nil {
		return fmt.Errorf("cannot start %d pollers: %w", n, err)
	}
	netpoll.Initialize()
	pollers.n = n
	return nil
}

// Start lets the loops run, each on a netpoll poller of its own. Their end is Stop.
func (e *Engine) Start() error {
	pollers.Lock()
	defer pollers.Unlock()
	if err := needPollers(len(e.loops)); err != nil {
		return err
	}
	for _, l := range e.loops {
		for i := range l.listeners {
			l.watchListener(i)
		}
		ev, err := netpoll.NewEventLoop(func(context.Context, netpoll.Connection) error { return nil })
		if err != nil {
			return fmt.Errorf("cannot make an event loop: %w", err)
		}
		e.serve = append(e.serve, ev)
		e.done.Add(1)
		go func() { // owned by the engine; ends when Stop shuts ev down
			defer e.done.Done()
			_ = ev.Serve(turner{l})
		}()
	}
	// Wait for a sign of life: Serve has picked its poller then.
	for _, l := range e.loops {
		l.wake()
		<-l.running
	}
	return nil
}

// turner is what netpoll believes to be a listener.
type turner struct{ l *Loop }

func (t turner) Accept() (net.Conn, error) { t.l.turn(); return nil, nil }
func (t turner) Fd() int                   { return t.l.epfd }
func (t turner) Close() error              { return nil }
func (t turner) Addr() net.Addr            { return &net.TCPAddr{} }

const mailStop = ^uint32(0)

// Stop closes listeners and connections (Handler.Closed with ReasonStop) and ends the loops. Whoever wants connections to
// end in order does that before. It returns when no loop runs any more, or with ctx's error.
func (e *Engine) Stop(ctx context.Context) error {
	for _, l := range e.loops {
		stopped := make(chan struct{})
		l.Post(Mail{Kind: mailStop, Val: stopped})
		select {
		case <-stopped:
		case <-ctx.Done():
			return fmt.Errorf("cannot stop loop %d: %w", l.index, ctx.Err())
		}
	}
	var errs []error
	for i, ev := range e.serve {
		errs = append(errs, ev.Shutdown(ctx))
		l := e.loops[i]
		for _, fd := range []int{l.eventfd, l.timerfd, l.epfd} {
			_ = unix.Close(fd)
		}
	}
	e.done.Wait()
	return errors.Join(errs...)
}

// stop ends the loop; turn says so when it is left.
func (l *Loop) stop() {
	l.StopListening()
	l.Each(func(c ID) { l.close(c, l.slots.at(c), ReasonStop) })
	l.stopped = true
	l.mail.end()
}

// Each calls f for every open connection. f may close connections.
func (l *Loop) Each(f func(c ID)) {
	for i := range l.slots.size() {
		if l.slots.at(ID(i)).flags&flagOpen != 0 {
			f(ID(i))
		}
	}
}

// Loops returns the engine's loops; of their methods only those that anybody may call are to be used.
func (e *Engine) Loops() []*Loop { return e.loops }

// Open returns the number of connections of all loops.
func (e *Engine) Open() int64 { return e.open.Load() }

// Post puts m into the mailbox of the loop that owns m.To. Anybody may call it.
func (e *Engine) Post(m Mail) { e.loops[m.To.Loop()].Post(m) }
