package fleet

import (
	"fmt"
	"net/netip"
)

// maxSources bounds what a prefix is spelt out to.
const maxSources = 4096

// parseSources reads addresses and prefixes. The network and broadcast addresses of a prefix are left out.
func parseSources(texts []string) (all []netip.Addr, err error) {
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a)
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("cannot use the source %q: an address or a prefix such as 10.0.0.0/24 is needed", text)
		}
		p = p.Masked()
		for a := p.Addr().Next(); p.Contains(a) && p.Contains(a.Next()) && len(all) < maxSources; a = a.Next() {
			all = append(all, a)
		}
	}
	return all, nil
}

// source picks the next local address, so that no address runs out of ports.
func (f *Fleet) source(remote netip.AddrPort) netip.AddrPort {
	n := f.next.Add(1)
	if len(f.sources) > 0 {
		return netip.AddrPortFrom(f.sources[int(n)%len(f.sources)], 0)
	}
	if !remote.Addr().Is4() || !remote.Addr().IsLoopback() {
		return netip.AddrPort{}
	}
	n %= 4000
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1 + byte(n/1000), byte(n / 200 % 5), 1 + byte(n%200)}), 0)
}
