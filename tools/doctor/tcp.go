package doctor

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// queue is the length of listen queues that a storm of n clients asks for.
func queue(n int) int64 { return int64(min(max(n/10, 4096), 65535)) }

func backlog(s Source, n int) []Finding {
	return s.atLeast("net.core.somaxconn", queue(n), Risk, "when everybody comes back at once, connections that wait to be accepted are dropped and come again after a second")
}

func synBacklog(s Source, n int) []Finding {
	return s.atLeast("net.ipv4.tcp_max_syn_backlog", queue(n), Risk, "handshakes under way beyond it are dropped, or answered by cookies")
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

// tcpMemory wants a page for each connection below the pressure mark: what one message to everybody takes.
func tcpMemory(s Source, n int) []Finding {
	v, ok := s.sysctl("net.ipv4.tcp_mem")
	if !ok || len(v) < 3 {
		return nil
	}
	want := int64(n) * 5 / 4
	f := Finding{Setting: "net.ipv4.tcp_mem", Live: fmt.Sprintf("%d %d %d pages", v[0], v[1], v[2]), Want: fmt.Sprintf("pressure ≥ %d pages", want), State: OK}
	if v[1] < want {
		f.State, f.Why = Risk, "a message to everybody takes a page for each connection until it is acknowledged; beyond pressure windows shrink, beyond the third number output is dropped"
		f.Fix = fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, n, want, int64(n)*3/2)
	}
	return []Finding{f}
}

// tcpMinima wants small guaranteed buffers: the first number is what each socket may take even under pressure.
func tcpMinima(s Source, _ int) (all []Finding) {
	for _, name := range []string{"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"} {
		v, ok := s.sysctl(name)
		if !ok || len(v) < 3 {
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
		return nil
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

func netdevBacklog(s Source, _ int) []Finding {
	dropped := int64(0)
	text, _ := s.text("/proc/net/softnet_stat")
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 16, 64)
			dropped += n
		}
	}
	all := s.atLeast("net.core.netdev_max_backlog", 4096, Risk, "packets beyond it are dropped where a processor is busy; loopback and RPS go through it")
	if dropped > 0 && len(all) > 0 {
		all[0].Live += fmt.Sprintf(" (%d dropped)", dropped)
		if all[0].State == OK {
			all[0].State, all[0].Why, all[0].Fix = Risk, "packets have been dropped since the boot; see whether it grows", "cat /proc/net/softnet_stat, second column"
		}
	}
	return all
}

// steering looks at cards with fewer receive queues than processors and no RPS.
func steering(s Source, _ int) (all []Finding) {
	n := cores(s)
	for _, device := range s.list("/sys/class/net/*/device") {
		dir := path.Dir(device)
		queues := s.list(dir + "/queues/rx-*")
		if len(queues) == 0 || len(queues) >= n {
			continue
		}
		mask, _ := s.text(queues[0] + "/rps_cpus")
		f := Finding{Setting: path.Base(dir) + " receive queues", Live: fmt.Sprintf("%d for %d processors", len(queues), n), Want: "one for each, or RPS", State: OK}
		if strings.Trim(mask, "0,") == "" {
			f.State, f.Why = Risk, "all packets are worked on by few processors, which are full before the others"
			f.Fix = fmt.Sprintf("ethtool -L %s combined %d; or for f in %s/queues/rx-*/rps_cpus; do echo %x > $f; done", path.Base(dir), n, dir, uint64(1)<<min(n, 63)-1)
		} else {
			f.Live += ", RPS " + mask
		}
		all = append(all, f)
	}
	return all
}
