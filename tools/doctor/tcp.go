package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// queue is the length of listen queues that a storm of n clients asks for.
func queue(n int) int64 { return int64(min(max(n/10, 4096), 65535)) }

func backlog(s Source, n int) []Finding {
	return s.atLeast("net.core.somaxconn", queue(n), Risk, "when everybody comes back at once, handshakes beyond the queue are dropped, and clients try again after a second and more")
}

// synBacklog counts only without cookies: with them the listen queue is the limit of handshakes too (tried on 6.18: 300
// handshakes were under way with tcp_max_syn_backlog=8).
func synBacklog(s Source, n int) []Finding {
	const name = "net.ipv4.tcp_max_syn_backlog"
	if v, ok := s.sysctl("net.ipv4.tcp_syncookies"); ok && v[0] > 0 {
		if live, ok := s.sysctl(name); ok {
			return []Finding{{Setting: name, Live: fmt.Sprint(live[0]), Want: "any, with tcp_syncookies", State: OK}}
		}
	}
	return s.atLeast(name, queue(n), Risk, "without cookies new handshakes are dropped when it is three quarters full")
}

func cookies(s Source, _ int) []Finding {
	return s.atLeast("net.ipv4.tcp_syncookies", 1, Risk, "a full queue of handshakes turns everybody away")
}

func overflows(s Source, _ int) []Finding {
	n := s.counter("TcpExt:", "ListenOverflows")
	f := Finding{Setting: "TcpExt ListenOverflows", Live: fmt.Sprint(n), Want: "0 since the boot", State: OK}
	if n > 0 {
		f.State, f.Why, f.Fix = Risk, "some server here had its listen queue full; see whether it grows", "nstat -az TcpExtListenOverflows TcpExtListenDrops"
	}
	return []Finding{f}
}

// tcpMemory wants a page for each connection below the pressure mark: what one message to everybody is charged.
func tcpMemory(s Source, n int) []Finding {
	v, ok := s.sysctl("net.ipv4.tcp_mem")
	if !ok || len(v) < 3 {
		return absent("net.ipv4.tcp_mem")
	}
	want := int64(n) * 5 / 4
	f := Finding{Setting: "net.ipv4.tcp_mem", Live: fmt.Sprintf("%d %d %d pages", v[0], v[1], v[2]), Want: fmt.Sprintf("pressure ≥ %d pages", want), State: OK}
	if v[1] < want {
		f.State, f.Why = Risk, "a message to everybody is charged a page for each connection until it is acknowledged; beyond pressure windows shrink, beyond the third number send(2) waits and input is dropped"
		high := int64(n) * 3 / 2
		f.Fix = fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, n, want, high)
		if m := s.memory(n); m.Total > 0 && m.Need()+high*pageBytes > m.Total {
			f.Fix += fmt.Sprintf(" (which slow readers may fill: then it takes %d MiB of memory in all)", (m.Need()+high*pageBytes)>>20)
		}
	}
	return []Finding{f}
}

// established looks at the hash table that each segment's socket is looked up in. Its size is fixed at the boot: a bucket
// for each 128 KiB of memory, 524,288 at most. Negative means that a network namespace shares the table.
func established(s Source, n int) []Finding {
	const name = "net.ipv4.tcp_ehash_entries"
	v, ok := s.sysctl(name)
	if !ok {
		return absent(name)
	}
	live, want := max(v[0], -v[0]), int64(1)
	for want*4 < int64(n) {
		want *= 2
	}
	f := Finding{Setting: name, Live: fmt.Sprint(live), Want: fmt.Sprintf("≥ %d", want), State: OK}
	if live < want {
		f.State, f.Why = Risk, fmt.Sprintf("each segment looks through %d sockets of a bucket; 17 take about 0.5 µs and more", int64(n)/max(live, 1))
		f.Fix = fmt.Sprintf("thash_entries=%d on the kernel's command line, then boot", want)
	}
	return []Finding{f}
}

// tcpMinima wants small guaranteed buffers: the first number is what each socket may take even under pressure.
func tcpMinima(s Source, _ int) (all []Finding) {
	for _, name := range []string{"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"} {
		v, ok := s.sysctl(name)
		if !ok || len(v) < 3 {
			all = append(all, absent(name)...)
			continue
		}
		f := Finding{Setting: name, Live: fmt.Sprintf("%d %d %d", v[0], v[1], v[2]), Want: "first ≤ 4096", State: OK}
		if v[0] > 4096 {
			f.State, f.Why = Risk, "each socket may take the first number even where memory is short"
			f.Fix = fmt.Sprintf(`sysctl -w %s="4096 %d %d"`, name, v[1], v[2])
		}
		all = append(all, f)
	}
	return all
}

func orphans(s Source, n int) []Finding {
	return s.atLeast("net.ipv4.tcp_max_orphans", int64(max(n/4, 16384)), Risk, "when the server ends, connections with output still to be acknowledged beyond it are reset instead of closed")
}

func timeWait(s Source, n int) []Finding {
	return s.atLeast("net.ipv4.tcp_max_tw_buckets", int64(max(n/10, 32768)), Risk, "connections that the server closes beyond it skip TIME_WAIT, and late segments may hit their successors")
}

// ports matter where connections go out: a load machine, a proxy in front.
func ports(s Source, _ int) []Finding {
	v, ok := s.sysctl("net.ipv4.ip_local_port_range")
	if !ok || len(v) < 2 {
		return absent("net.ipv4.ip_local_port_range")
	}
	f := Finding{Setting: "net.ipv4.ip_local_port_range", Live: fmt.Sprintf("%d %d", v[0], v[1]), Want: "without the server's ports", State: OK}
	if v[0] <= 8081 && v[1] >= 8080 && !reserved(s, 8080) {
		f.State, f.Why = Risk, "a connection going out may sit on the server's port when it starts"
		f.Fix = "sysctl -w net.ipv4.ip_local_reserved_ports=8080-8081"
	}
	return []Finding{f}
}

// reserved says whether the kernel keeps a port from going out (a list such as 1-2,8080).
func reserved(s Source, port int) bool {
	text, _ := s.text("/proc/sys/net/ipv4/ip_local_reserved_ports")
	for item := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(item), "-")
		if !ranged {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil && a <= port && port <= b {
			return true
		}
	}
	return false
}

// conntrack matters only where a firewall rule makes the kernel track: then at least this login is counted.
func conntrack(s Source, n int) []Finding {
	all := s.atLeast("net.netfilter.nf_conntrack_max", int64(n)*5/4, Raise,
		"the kernel tracks connections, and drops new ones beyond it; better not to track the server's port at all (notrack)")
	if count, ok := s.sysctl("net.netfilter.nf_conntrack_count"); ok && count[0] == 0 && len(all) > 0 {
		all[0] = Finding{Setting: all[0].Setting, Live: all[0].Live + " (nothing is tracked)", Want: all[0].Want, State: OK}
	}
	return all
}
