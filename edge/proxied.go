package edge

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"encke/codes"
	"encke/netloop"

	"github.com/pires/go-proxyproto"
)

// A proxy in front can say whose connections it passes on, in a header before everything else (the PROXY protocol of HAProxy,
// versions 1 and 2). It is believed from the addresses that are named for that, and must be there then; from others it is no HTTP.

// parseProxies reads --proxy-from: addresses, or networks as 10.0.0.0/8.
func parseProxies(list []string) (from []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, wrong := netip.ParseAddr(text)
			if wrong != nil {
				return nil, fmt.Errorf("cannot use --proxy-from %q: an address, or a network as 10.0.0.0/8, is wanted", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		from = append(from, p.Masked())
	}
	return from, nil
}

// behindProxy says whether a new connection comes from a proxy that will say whose it is.
func (r *reactor) behindProxy(c netloop.ID) bool {
	if len(r.server.proxies) == 0 {
		return false
	}
	peer := r.loop.Peer(c).Addr().Unmap()
	for _, p := range r.server.proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// address is where a connection comes from: what its proxy has said, or else its peer.
func (r *reactor) address(c netloop.ID) netip.Addr {
	if a, ok := r.proxied[c]; ok {
		return a
	}
	return r.loop.Peer(c).Addr()
}

const (
	maxProxyLine   = 107     // of version 1
	proxyFixed     = 16      // of version 2, the part before what its length counts
	maxProxyLength = 4 << 10 // of that; there are some hundred bytes
)

// proxyHeader finds the header at the beginning of b: its length, 0 while there is too little to know, -1 when it is none.
func proxyHeader(b []byte) int {
	switch v1 := []byte("PROXY "); {
	case bytes.HasPrefix(b, v1):
		if end := bytes.Index(b[:min(len(b), maxProxyLine)], []byte("\r\n")); end >= 0 {
			return end + 2
		} else if len(b) >= maxProxyLine {
			return -1
		}
		return 0
	case bytes.HasPrefix(b, proxyproto.SIGV2):
		if len(b) < proxyFixed {
			return 0
		}
		length := int(binary.BigEndian.Uint16(b[proxyFixed-2:]))
		if length > maxProxyLength {
			return -1
		} else if len(b) < proxyFixed+length {
			return 0
		}
		return proxyFixed + length
	case bytes.HasPrefix(v1, b) || bytes.HasPrefix(proxyproto.SIGV2, b):
		return 0
	}
	return -1
}

// takeProxy takes the proxy's header and admits whose connection it is. go says whether requests follow now; n is what was taken.
func (r *reactor) takeProxy(c netloop.ID, cl *client, b []byte) (n int, goOn bool) {
	n = proxyHeader(b)
	if n == 0 {
		return 0, false
	}
	var header *proxyproto.Header
	err := fmt.Errorf("no PROXY header")
	if n > 0 {
		header, err = proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), maxProxyLength+proxyFixed))
	}
	if err != nil {
		r.server.logRefusal(r.address(c), codes.BadRequest, err)
		r.refuse(c, cl, codes.New(codes.BadRequest, "this proxy has to say whose connection it is"))
		return len(b), false
	}
	cl.flags &^= awaitsProxy
	if from, ok := header.SourceAddr.(*net.TCPAddr); ok && !header.Command.IsLocal() {
		if a, ok := netip.AddrFromSlice(from.IP); ok {
			r.proxied[c] = a.Unmap()
		}
	}
	if !r.admitted(c, cl) {
		return len(b), false
	}
	return n, true
}
