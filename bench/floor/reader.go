package floor

import (
	"fmt"
	"net/netip"
	"unsafe"

	"encke/bench/proc"
	"encke/bench/wire"

	"golang.org/x/sys/unix"
)

// connect makes n connections, one after the other, and shakes hands; from then on they are read.
func (c *child) connect(address string, n int) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().Is4() {
		return fmt.Errorf("cannot use the address %q: %v", address, err)
	}
	if err := proc.NeedDescriptors(n); err != nil {
		return err
	}
	request := wire.AppendUpgrade(nil, "/", "", nil)
	for i := range n {
		if err := c.join(a, i, request); err != nil {
			return err
		}
	}
	return nil
}

func (c *child) join(a netip.AddrPort, i int, request []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 9, byte(i % 16), 1}}); err != nil {
		return fmt.Errorf("cannot bind: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}); err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	if errno := sendRaw(int32(fd), request); errno != 0 {
		return fmt.Errorf("cannot send a handshake: %w", errno)
	}
	n, err := unix.Read(fd, c.buf[:len(handshakeAnswer)])
	if err != nil || n == 0 {
		return fmt.Errorf("a handshake was not answered: %v", err)
	}
	for fd >= len(c.reading) {
		c.reading = append(c.reading, false)
	}
	c.reading[fd] = true
	_ = unix.SetNonblock(fd, true)
	c.watch(int32(fd))
	return nil
}

// take reads what is there, and looks at none of it.
func (c *child) take(fd int32) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&c.buf)), uintptr(len(c.buf)))
	c.reads++
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0 || n == 0:
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		c.reading[fd] = false
	default:
		c.read += uint64(n)
	}
}
