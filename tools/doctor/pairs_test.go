package doctor

import "golang.org/x/sys/unix"

// pairs are loopback connections with both ends in this process.
type pairs struct {
	n                          int
	listeners, clients, served []int
	epoll                      int
}

// perListener is less than the 4,096 that net.core.somaxconn allows in a new namespace.
const perListener = 3000

// connect opens the clients' ends; the servers' wait to be accepted.
func (p *pairs) connect() error {
	for len(p.clients) < p.n {
		l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		p.listeners = append(p.listeners, l)
		to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 7000 + len(p.listeners)}
		if err := unix.Bind(l, to); err != nil {
			return err
		}
		if err := unix.Listen(l, perListener+1); err != nil {
			return err
		}
		for i := 0; i < perListener && len(p.clients) < p.n; i++ {
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			p.clients = append(p.clients, c)
			if err := unix.Connect(c, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pairs) accept() error {
	for _, l := range p.listeners {
		for i := 0; i < perListener && len(p.served) < p.n; i++ {
			s, _, err := unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return err
			}
			p.served = append(p.served, s)
		}
	}
	return nil
}

func (p *pairs) watch() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	for _, s := range p.served {
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(s)}
		if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, s, &e); err != nil {
			return err
		}
	}
	return nil
}

// send writes 128 bytes to each client.
func (p *pairs) send() error {
	message := make([]byte, 128)
	for _, s := range p.served {
		if _, err := unix.Write(s, message); err != nil {
			return err
		}
	}
	return nil
}

// close resets all, so that nothing is left in TIME_WAIT.
func (p *pairs) close() {
	for _, fd := range append(p.clients, p.served...) {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
	}
	for _, fd := range p.listeners {
		unix.Close(fd)
	}
	if p.epoll > 0 {
		unix.Close(p.epoll)
	}
}

// loopback sets the namespace's lo up or down.
func loopback(up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return err
	}
	flags := r.Uint16() &^ unix.IFF_UP
	if up {
		flags |= unix.IFF_UP
	}
	r.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}
