// Package floor is what the kernel alone costs: a process that accepts, answers, reads and writes with raw system calls on
// one epoll instance, and nothing on top.
package floor

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unsafe"

	"encke/bench/proc"
	"encke/bench/wire"

	"golang.org/x/sys/unix"
)

// handshakeAnswer is what the floor answers to everything: a WebSocket handshake of the usual 129 bytes.
const handshakeAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + wire.UpgradeAccept + "\r\n\r\n"

// child is the floor's process: one thread on one epoll instance, and raw system calls.
type child struct {
	epfd, listener int32
	fds            []int32 // accepted connections, at the index of their descriptor; -1: none
	reading        []bool  // connections made by connect, at the index of their descriptor
	read           uint64  // bytes read from them
	reads          uint64  // read(2) calls for that
	buf            [64 << 10]byte
	events         [256]unix.EpollEvent
}

// Child is the floor's process. It prints the address where it accepts, and then takes commands from in until that ends:
//
//	write RATE SECONDS SIZE THREADS   send messages to every accepted connection; prints "wrote MESSAGES"
//	connect ADDRESS COUNT             connect and shake hands; prints "connected COUNT"
//	count                             prints "read BYTES CALLS", of the connections so made
//
// port 0 means any; several processes may share one (SO_REUSEPORT).
func Child(in io.Reader, out io.Writer, port int) error {
	proc.Limit()
	runtime.LockOSThread()
	c := &child{}
	address, err := c.listen(port)
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
			answer, err := c.do(line)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, answer)
		default:
			c.turn()
		}
	}
}

func (c *child) do(line string) (answer string, err error) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "write":
		var rate, seconds float64
		var size, threads int
		if _, err = fmt.Sscan(rest, &rate, &seconds, &size, &threads); err == nil {
			return fmt.Sprint("wrote ", c.write(rate, seconds, size, threads)), nil
		}
	case "connect":
		var address string
		var n int
		if _, err = fmt.Sscan(rest, &address, &n); err == nil {
			return fmt.Sprint("connected ", n), c.connect(address, n)
		}
	case "count":
		return fmt.Sprint("read ", c.read, " ", c.reads), nil
	}
	return "", fmt.Errorf("cannot do %q: %v", line, err)
}

func (c *child) listen(port int) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("cannot make a socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return "", fmt.Errorf("cannot share a port: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
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
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", fmt.Errorf("cannot learn the port: %w", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), nil
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
		if int(e.Fd) < len(c.reading) && c.reading[e.Fd] {
			c.take(e.Fd)
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
