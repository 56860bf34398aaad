package netloop

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// acceptBatch is how many connections a loop accepts in one turn from one listener.
const acceptBatch = 64

// listener is a loop's own listening socket; the kernel spreads connections over the loops' (SO_REUSEPORT).
type listener struct {
	fd     int
	index  int
	halted bool // out of the epoll set until the next tick
}

// onAccept takes new connections. For want of descriptors or at the hard limit it stops looking at the listener until
// the next tick, instead of being told of it in every turn; new connections wait in the kernel's queue.
func (l *Loop) onAccept(i int) {
	ln := &l.listeners[i]
	for range acceptBatch {
		// Counted before it is there, since other loops accept at the same time.
		n, limit := l.engine.open.Add(1), int64(l.engine.config.HardLimit)
		if limit > 0 && n > limit {
			l.engine.open.Add(-1)
			l.halt(ln)
			return
		}
		fd, errno := accept4(ln.fd)
		if errno != 0 {
			l.engine.open.Add(-1)
		}
		switch errno {
		case 0:
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.halt(ln)
			return
		default: // ECONNABORTED, EINTR and what the network said: the next one may be fine
			continue
		}
		c, s := l.slots.take()
		l.counts.Accepted.Add(1)
		l.open(c, s, fd, uint8(ln.index), 0)
		l.handler.Open(c, ln.index)
	}
}

func (l *Loop) open(c ID, s *slot, fd int, listener uint8, f flags) {
	s.fd, s.listener, s.active = int32(fd), listener, l.wheel.now
	s.flags = flagOpen | f
	s.events = unix.EPOLLIN | unix.EPOLLRDHUP
	if f&flagDialing != 0 {
		s.events = unix.EPOLLOUT
	}
	e := unix.EpollEvent{Events: s.events, Fd: int32(c), Pad: int32(s.gen)}
	if errno := epollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &e); errno != 0 {
		panic("BUG: epoll_ctl add: " + errno.Error())
	}
	l.counts.Open.Add(1)
}

func (l *Loop) halt(ln *listener) {
	ln.halted = true
	l.counts.AcceptHalt.Add(1)
	_ = epollCtl(l.epfd, unix.EPOLL_CTL_DEL, ln.fd, nil)
}

func (l *Loop) rearmListeners() {
	for i := range l.listeners {
		if ln := &l.listeners[i]; ln.halted {
			ln.halted = false
			l.watchListener(i)
		}
	}
}

func (l *Loop) watchListener(i int) {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(markListener + i))}
	if errno := epollCtl(l.epfd, unix.EPOLL_CTL_ADD, l.listeners[i].fd, &e); errno != 0 {
		panic("BUG: epoll_ctl add listener: " + errno.Error())
	}
}

// StopListening closes the loop's listeners; connections that wait in the kernel's queues are reset.
func (l *Loop) StopListening() {
	for _, ln := range l.listeners {
		_ = unix.Close(ln.fd)
	}
	l.listeners = nil
}

// ListenOptions say how to listen.
type ListenOptions struct {
	Backlog int  // of each loop's socket; the kernel cuts it to net.core.somaxconn. 0 means 65535
	Share   bool // let other processes of this user listen on the same port too

	// PeerTimeout is after how long the kernel gives up a connection whose peer does not acknowledge what was sent, or takes
	// nothing in (TCP_USER_TIMEOUT, tcp(7); RFC 5482); in milliseconds' grain. 0: by its retries, some 15 minutes. What is
	// accepted inherits it.
	PeerTimeout time.Duration

	// Unsent is how many bytes the kernel may hold of what was given to a connection and is not on the wire
	// (TCP_NOTSENT_LOWAT, tcp(7)); what it does not take waits here, where it is seen and can be dropped. 0: as much as its
	// send buffer holds, some megabytes. What is accepted inherits it.
	Unsent int
}

// Listen opens one listening socket a loop on addr ("host:port"; an empty host means every IPv4 and IPv6 address; port 0
// any). index, 0 to 15, is what Handler.Open is told. It must be called before Start. Unless o.Share is set, an address
// that another process listens on is an error, although the kernel would share it.
func (e *Engine) Listen(index int, addr string, o ListenOptions) (netip.AddrPort, error) {
	sa, family, err := sockaddr(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if o.Backlog == 0 {
		o.Backlog = 65535
	}
	if !o.Share { // without SO_REUSEPORT the kernel refuses an address in use
		fd, err := bindSocket(sa, family, false)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("cannot listen on %s: %w", addr, err)
		}
		_ = unix.Close(fd)
	}
	var bound netip.AddrPort
	for _, l := range e.loops {
		fd, err := bindSocket(sa, family, true)
		if err == nil && o.PeerTimeout > 0 {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT,
				int(min(o.PeerTimeout.Milliseconds(), math.MaxInt32))))
		}
		if err == nil && o.Unsent > 0 {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, o.Unsent))
		}
		if err == nil {
			err = os.NewSyscallError("listen", unix.Listen(fd, o.Backlog))
		}
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("cannot listen on %s: %w", addr, err)
		}
		if !bound.IsValid() {
			name, err := unix.Getsockname(fd)
			if err != nil {
				return netip.AddrPort{}, fmt.Errorf("cannot learn the address of %s: %w", addr, err)
			}
			bound = addrPort(name)
			setPort(sa, int(bound.Port()))
		}
		l.listeners = append(l.listeners, listener{fd: fd, index: index})
	}
	return bound, nil
}

// bindSocket makes a listening socket's start. TCP_NODELAY is inherited by what it accepts.
func bindSocket(sa unix.Sockaddr, family int, share bool) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	set := func(level, name, value int) {
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if share {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if family == unix.AF_INET6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// sockaddr resolves "host:port". A host must be an address or a name that the resolver knows.
func sockaddr(addr string) (unix.Sockaddr, int, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read address %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read address %q: the port is a number from 0 to 65535", addr)
	}
	if host == "" {
		if fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			_ = unix.Close(fd)
			return &unix.SockaddrInet6{Port: int(port)}, unix.AF_INET6, nil
		}
		return &unix.SockaddrInet4{Port: int(port)}, unix.AF_INET, nil
	}
	ip, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot resolve %q: %w", host, err)
	}
	if v4 := ip.IP.To4(); v4 != nil {
		return &unix.SockaddrInet4{Port: int(port), Addr: [4]byte(v4)}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: int(port), Addr: [16]byte(ip.IP.To16())}
	if ip.Zone != "" {
		dev, err := net.InterfaceByName(ip.Zone)
		if err != nil {
			return nil, 0, fmt.Errorf("cannot find the zone of %q: %w", host, err)
		}
		sa.ZoneId = uint32(dev.Index)
	}
	return sa, unix.AF_INET6, nil
}

func setPort(sa unix.Sockaddr, port int) {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		a.Port = port
	case *unix.SockaddrInet6:
		a.Port = port
	}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// Peer returns the address of the connection's other end; it is asked of the kernel, not kept.
func (l *Loop) Peer(c ID) netip.AddrPort {
	sa, err := unix.Getpeername(int(l.slots.at(c).fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(sa)
}
