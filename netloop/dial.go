package netloop

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Dial begins a connection to remote, from local where that is valid (port 0: the kernel picks one, late, so that ports
// are shared between destinations). Handler.Open(c, Dialed) follows when it is made, Handler.Closed(c, ReasonConnect)
// when it cannot be. An error means that nothing was begun: descriptors or ports have run out.
func (l *Loop) Dial(remote, local netip.AddrPort) (ID, error) {
	family := unix.AF_INET
	if remote.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := connect(fd, remote, local); err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("cannot dial %s: %w", remote, err)
	}
	c, s := l.slots.take()
	l.counts.Dialed.Add(1)
	l.engine.open.Add(1)
	l.open(c, s, fd, Dialed, flagDialing)
	return c, nil
}

func connect(fd int, remote, local netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if local.IsValid() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.Bind(fd, toSockaddr(local)); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	if err := unix.Connect(fd, toSockaddr(remote)); err != nil && err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	return nil
}

func toSockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// onConnected ends a dial, one way or the other.
func (l *Loop) onConnected(c ID, s *slot) {
	if e, err := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
		l.close(c, s, ReasonConnect)
		return
	}
	s.flags &^= flagDialing
	s.active = l.wheel.now
	l.watch(c, s)
	l.handler.Open(c, Dialed)
}
