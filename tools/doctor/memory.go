package doctor

import (
	"fmt"
	"runtime"
	"strings"
)

// What a connection takes while it is idle, in bytes.
const (
	// UserBytes is the server's own: 55 to 69 measured as growth of the resident set on every transport, with one channel,
	// 115 to 135 where many processes share the load (BENCHMARKS.md).
	UserBytes = 135
	// KernelBytes is one end of a TCP connection, measured in slabs with 18,000 of them on Linux 6.18: socket (TCP) 2,510,
	// its inode 865, file 191, dentry 192, epoll entry 62, security blob 23; tools/sysctl/README.md tells how.
	KernelBytes = 3850
	// BaseBytes is the server without connections, and what else a small Linux runs.
	BaseBytes = 512 << 20
	// pageBytes is what a socket takes at least while output is on its way or input waits: TCP accounts in pages.
	pageBytes = 4096
)

// Memory is what connections need and what there is, in bytes.
type Memory struct {
	User   int64  `json:"user"`   // the server's own
	Kernel int64  `json:"kernel"` // sockets, idle
	Active int64  `json:"active"` // more while one message is on its way to everybody
	Total  int64  `json:"total"`  // of the machine or of this process's cgroup, whichever is less
	Limit  string `json:"limit"`  // which of the two
}

// Need is what there must be: idle, with the base.
func (m Memory) Need() int64 { return m.User + m.Kernel + BaseBytes }

func (m Memory) String() string {
	gib := func(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }
	return fmt.Sprintf("idle %s (server %s, kernel %s, base %s), %s more while a message is on its way to all; %s has %s",
		gib(m.Need()), gib(m.User), gib(m.Kernel), gib(BaseBytes), gib(m.Active), m.Limit, gib(m.Total))
}

func (s Source) memory(n int) Memory {
	m := Memory{User: int64(n) * UserBytes, Kernel: int64(n) * KernelBytes, Active: int64(n) * pageBytes,
		Total: s.meminfo("MemTotal"), Limit: "the machine"}
	if limit := s.cgroupLimit(); limit > 0 && (limit < m.Total || m.Total == 0) {
		m.Total, m.Limit = limit, "the cgroup"
	}
	return m
}

// cgroupLimit is the memory limit of this process's cgroup, 0 where there is none. Version 2 has limits at every level.
func (s Source) cgroupLimit() (least int64) {
	note := func(path string) {
		if v := s.numbers(path); len(v) > 0 && v[0] < 1<<60 && (least == 0 || v[0] < least) {
			least = v[0]
		}
	}
	text, _ := s.text("/proc/self/cgroup")
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for dir := parts[2]; ; dir = dir[:max(strings.LastIndexByte(dir, '/'), 0)] {
			dir = strings.TrimSuffix(dir, "/")
			note("/sys/fs/cgroup" + dir + "/memory.max")
			note("/sys/fs/cgroup/memory" + dir + "/memory.limit_in_bytes")
			if dir == "" {
				break
			}
		}
	}
	return least
}

func enoughMemory(s Source, n int) []Finding {
	m := s.memory(n)
	if m.Total == 0 {
		return nil
	}
	f := Finding{Setting: "memory", Live: fmt.Sprintf("%d MiB", m.Total>>20), Want: fmt.Sprintf("≥ %d MiB", m.Need()>>20), State: OK}
	switch {
	case m.Total < m.Need():
		f.State, f.Why = Raise, "the connections do not fit even while they are idle"
		f.Fix = fmt.Sprintf("add memory, or hold at most %d connections", max(m.Total-BaseBytes, 0)/(UserBytes+KernelBytes))
	case m.Total < m.Need()+m.Active:
		f.State, f.Why = Risk, "a message to everybody takes a page of kernel memory for each connection until it is acknowledged"
		f.Fix = fmt.Sprintf("add memory, up to %d MiB", (m.Need()+m.Active)>>20)
	}
	return []Finding{f}
}

func swap(s Source, _ int) []Finding {
	total := s.meminfo("SwapTotal")
	f := Finding{Setting: "swap", Live: fmt.Sprintf("%d MiB", total>>20), Want: "none", State: OK}
	if total > 0 {
		f.State, f.Why, f.Fix = Risk, "a slab of connections that was swapped out stops its loop for every page", "swapoff -a"
	}
	return []Finding{f}
}

func goMemory(s Source, n int) []Finding {
	value := s.Env("GOMEMLIMIT")
	f := Finding{Setting: "GOMEMLIMIT", Live: value, Want: "set", State: OK}
	if value == "" {
		f.Live, f.State = "unset", Risk
		f.Why = "without it the garbage collector lets the heap double before it works, also where that is more than there is"
		user := max(int64(n)*UserBytes*2, 256<<20) + 256<<20 // twice what connections take, and history
		f.Fix = fmt.Sprintf("Environment=GOMEMLIMIT=%dMiB in the unit of encke, or in the environment it is started from", user>>20)
	}
	return []Finding{f}
}

func hugePages(s Source, _ int) []Finding {
	const file = "/sys/kernel/mm/transparent_hugepage/enabled"
	text, ok := s.text(file)
	if !ok {
		return nil
	}
	_, chosen, _ := strings.Cut(text, "[")
	chosen, _, _ = strings.Cut(chosen, "]")
	f := Finding{Setting: "transparent huge pages", Live: chosen, Want: "madvise or never", State: OK}
	if chosen == "always" {
		f.State, f.Why = Risk, "memory grows in steps of 2 MiB where single pages were touched, and compaction stalls loops"
		f.Fix = "echo madvise > " + file
	}
	return []Finding{f}
}

func numa(s Source, _ int) []Finding {
	nodes := len(s.list("/sys/devices/system/node/node[0-9]*"))
	if nodes < 2 {
		return nil
	}
	return []Finding{{Setting: "NUMA nodes", Live: fmt.Sprint(nodes), Want: "1 for each process", State: Risk,
		Why: "loops, their slabs and the network card's queues on different nodes cost a third more memory latency",
		Fix: "one encke a node with --share-port: numactl --cpunodebind=0 --membind=0 encke serve … (and 1, and so on)"}}
}

func clock(s Source, _ int) []Finding {
	name, ok := s.text("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if !ok {
		return nil
	}
	f := Finding{Setting: "clock source", Live: name, Want: "tsc or the hypervisor's", State: OK}
	switch name {
	case "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "xen", "arch_sys_counter":
	default:
		f.State, f.Why = Risk, "reading the time becomes a system call of a microsecond or more, several for each message"
		f.Fix = "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, where available_clocksource has it"
	}
	return []Finding{f}
}

func cores(s Source) int {
	if n := len(s.list("/sys/devices/system/cpu/cpu[0-9]*")); n > 0 {
		return n
	}
	return runtime.NumCPU()
}
