package doctor

import (
	"fmt"
	"strings"
)

// What a connection takes while it is idle, in bytes.
const (
	// UserBytes is the server's own: 55 to 69 measured as growth of the resident set on every transport, with one channel,
	// 115 to 135 where many processes share the load (BENCHMARKS.md).
	UserBytes = 135
	// KernelBytes is the server's end of a TCP connection, in slabs of Linux 6.18: socket (TCP) 2,517, inode 863, file 195,
	// dentry 195, epoll 208 (entry 128, wait queue 64, list head 16), security blobs 56, arrays of the memory cgroup 41.
	// TestKernelBytes measures it again. A kernel with other options differs by some hundred bytes.
	KernelBytes = 4100
	// BaseBytes is the server without connections, and what else a small Linux runs.
	BaseBytes = 512 << 20
	// SentBytes is what one small message takes from send(2) to its acknowledgement: in slabs 1,090 (TestKernelBytes), and
	// its own bytes.
	SentBytes = 1300
	// pageBytes is what the same message is charged to tcp_mem, and to a memory cgroup: TCP accounts in pages.
	pageBytes = 4096
	// historyBytes is what is reckoned for history; by default it may take an eighth of --memory.
	historyBytes = 256 << 20
)

// Memory is what connections need and what there is, in bytes.
type Memory struct {
	User   int64  `json:"user"`   // the server's own
	Kernel int64  `json:"kernel"` // sockets, idle
	Active int64  `json:"active"` // more while one message is on its way to everybody
	Total  int64  `json:"total"`  // of the machine or of this process's cgroup, whichever is less
	Free   int64  `json:"free"`   // MemAvailable of the machine
	Limit  string `json:"limit"`  // what Total is of
}

// Need is what there must be: idle, with the base.
func (m Memory) Need() int64 { return m.User + m.Kernel + BaseBytes }

func (m Memory) String() string {
	gib := func(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }
	return fmt.Sprintf("idle %s (server %s, kernel %s, base %s), %s more while a message is on its way to all; %s has %s, available %s",
		gib(m.Need()), gib(m.User), gib(m.Kernel), gib(BaseBytes), gib(m.Active), m.Limit, gib(m.Total), gib(m.Free))
}

// MemoryTotal returns the bytes of memory of the machine or of this process's cgroup, whichever is less; 0 when neither is
// known.
func (s Source) MemoryTotal() int64 { return s.memory(0).Total }

func (s Source) memory(n int) Memory {
	m := Memory{User: int64(n) * UserBytes, Kernel: int64(n) * KernelBytes, Active: int64(n) * SentBytes,
		Total: s.meminfo("MemTotal"), Free: s.meminfo("MemAvailable"), Limit: "the machine"}
	if limit := s.cgroupLimit(); limit > 0 && (limit < m.Total || m.Total == 0) {
		m.Total, m.Limit, m.Active = limit, "the cgroup", int64(n)*pageBytes
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
		return absent("memory")
	}
	f := Finding{Setting: "memory", Live: fmt.Sprintf("%d MiB", m.Total>>20), Want: fmt.Sprintf("≥ %d MiB", m.Need()>>20), State: OK}
	switch {
	case m.Total < m.Need():
		f.State, f.Why = Raise, "the connections do not fit even while they are idle"
		f.Fix = fmt.Sprintf("add memory, or hold at most %d connections", max(m.Total-BaseBytes, 0)/(UserBytes+KernelBytes))
	case m.Total < m.Need()+m.Active:
		f.State, f.Why = Risk, "idle they fit, but not with a message to everybody under way: buffers for each connection until it is acknowledged"
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

// goMemory looks at the garbage collector's limit. encke serve sets it to half of --memory, whose default is three quarters of
// what there is, unless the environment has another.
func goMemory(s Source, n int) []Finding {
	limit, least := s.memory(n).Total/4*3/2, goLimit(n)
	f := Finding{Setting: "GOMEMLIMIT", Live: fmt.Sprintf("unset: encke sets %d MiB", limit>>20), Want: fmt.Sprintf("≥ %d MiB", least>>20), State: OK}
	if value := s.Env("GOMEMLIMIT"); value != "" {
		f.Live = value
		return []Finding{f}
	}
	if limit < least {
		f.State, f.Why = Risk, "with a limit that close the garbage collector may work without rest"
		f.Fix = "add memory, or set --memory to more than three quarters of what there is"
	}
	return []Finding{f}
}

// goLimit is the least that GOMEMLIMIT should be, in bytes: twice what connections take, history, and 256 MiB for output that
// waits.
func goLimit(n int) int64 { return 2*int64(n)*UserBytes + historyBytes + 256<<20 }
