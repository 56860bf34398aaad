package bench

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"encke/wsframe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// handshakeAnswer is what the floor answers to everything: a WebSocket handshake of the usual 129 bytes.
const handshakeAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// child is the floor's process: one thread on one epoll instance, and raw system calls.
type child struct {
	epfd, listener int32
	fds            []int32 // connections, at the index of their descriptor; -1: none
	buf            [4096]byte
	events         [256]unix.EpollEvent
}

// FloorChild is the floor's process. It takes commands from in until that ends.
func FloorChild(in io.Reader, out io.Writer) error {
	if err := needDescriptors(0); err != nil {
		return err
	}
	runtime.LockOSThread()
	c := &child{}
	address, err := c.listen()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, address)
	commands := make(chan string)
	go func() { // ends with in
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			commands <- lines.Text()
		}
		close(commands)
	}()
	for {
		select {
		case line, ok := <-commands:
			if !ok {
				return nil
			}
			var rate, seconds float64
			var size, threads int
			if _, err := fmt.Sscanf(line, "write %g %g %d %d", &rate, &seconds, &size, &threads); err != nil {
				return fmt.Errorf("cannot do %q: %w", line, err)
			}
			fmt.Fprintln(out, "wrote", c.write(rate, seconds, size, threads))
		default:
			c.turn()
		}
	}
}

func (c *child) listen() (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("cannot make a socket: %w", err)
	}
	port := uint16(0)
	if ports, err := freePorts(1); err == nil {
		port = ports[0]
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)}); err != nil {
		return "", fmt.Errorf("cannot bind: %w", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return "", fmt.Errorf("cannot listen: %w", err)
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("cannot make an epoll instance: %w", err)
	}
	c.epfd, c.listener = int32(epfd), int32(fd)
	c.watch(c.listener)
	return fmt.Sprintf("127.0.0.1:%d", port), nil
}

func (c *child) watch(fd int32) {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd}
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(c.epfd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
}

// turn waits for events, at most 50 ms, and answers them.
func (c *child) turn() {
	n, err := unix.EpollWait(int(c.epfd), c.events[:], 50)
	if err != nil {
		return
	}
	for _, e := range c.events[:n] {
		if e.Fd == c.listener {
			c.accept()
			continue
		}
		c.answer(e.Fd)
	}
}

func (c *child) accept() {
	for range 64 {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(c.listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			return
		}
		c.watch(int32(fd))
		for int(fd) >= len(c.fds) {
			c.fds = append(c.fds, -1)
		}
		c.fds[fd] = int32(fd)
	}
}

func (c *child) answer(fd int32) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&c.buf)), uintptr(len(c.buf)))
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	if errno != 0 || n == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		c.fds[fd] = -1
		return
	}
	sendRaw(fd, unsafe.Slice(unsafe.StringData(handshakeAnswer), len(handshakeAnswer)))
}

func sendRaw(fd int32, b []byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno
}

// write sends messages to every connection, one call each, in descriptor order; rate 0: as fast as it goes, the
// connections shared out to threads. It returns how many messages each connection got.
func (c *child) write(rate, seconds float64, size, threads int) int {
	fds := slices.DeleteFunc(slices.Clone(c.fds), func(fd int32) bool { return fd < 0 })
	if rate > 0 {
		total := int(rate * seconds)
		start := time.Now()
		for i := range total {
			at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			time.Sleep(time.Until(at))
			writeAll(fds, uint32(i+1), at.UnixNano(), size)
		}
		return total
	}
	rounds := newRounds(seconds)
	var done sync.WaitGroup
	for t := range threads {
		done.Add(1)
		go func() { // ends when the rounds are over
			defer done.Done()
			runtime.LockOSThread()
			mine := fds[len(fds)*t/threads : len(fds)*(t+1)/threads]
			for i := 1; rounds.begin(i); i++ {
				writeAll(mine, uint32(i), time.Now().UnixNano(), size)
			}
		}()
	}
	done.Wait()
	return rounds.last
}

// rounds lets threads end after the same round, so that all connections get as many messages.
type rounds struct {
	end  time.Time
	mu   sync.Mutex
	last int // guarded by mu: the latest that anybody has begun
}

func newRounds(seconds float64) *rounds {
	return &rounds{end: time.Now().Add(time.Duration(seconds * float64(time.Second)))}
}

// begin says whether round i is to be done: until time is up, and then up to the round that somebody has begun.
func (r *rounds) begin(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i > r.last && time.Now().Before(r.end) {
		r.last = i
	}
	return i <= r.last
}

// writeAll sends one message to each. A full socket is waited for: the floor has no queues.
func writeAll(fds []int32, sequence uint32, at int64, size int) {
	b := wsframe.AppendFrame(nil, ws.OpText, appendPayload(nil, mark{0, sequence, at}, size))
	for _, fd := range fds {
		for sendRaw(fd, b) == unix.EAGAIN {
			_, _ = unix.Poll([]unix.PollFd{{Fd: fd, Events: unix.POLLOUT}}, 1000)
		}
	}
}
