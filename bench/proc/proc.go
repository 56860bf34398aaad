// Package proc reads what the load harness needs of /proc: processor time and memory of processes and of the machine,
// limits.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stat returns the fields of /proc/PID/stat from the third, the state, on (proc_pid_stat(5)).
func stat(pid int) ([][]byte, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return nil, fmt.Errorf("%q", b)
	}
	return fields, nil
}

// cpu asks the clock of a process, as clock_getcpuclockid(3) names it.
func cpu(pid int) (time.Duration, error) {
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &t) == nil {
		return time.Duration(t.Nano()), nil
	}
	fields, err := stat(pid) // it is not every kernel's
	if err != nil {
		return 0, fmt.Errorf("cannot read the processor time of process %d: %w", pid, err)
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// Tree returns pid and all its descendants that live now.
func Tree(pid int) []int {
	entries, _ := os.ReadDir("/proc")
	children := map[int][]int{}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields, err := stat(child); err == nil {
			parent, _ := strconv.Atoi(string(fields[1]))
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// CPU returns the processor time that the processes have used, user and system.
func CPU(pids ...int) (sum time.Duration, err error) {
	for _, pid := range pids {
		d, err := cpu(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// OwnCPU returns this process's processor time.
func OwnCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Resident returns the resident bytes of processes. Of one it is the resident set size; of several the proportional one,
// so that pages which they share count once.
func Resident(pids ...int) (sum int64, err error) {
	name := "Pss:"
	if len(pids) == 1 {
		name = "Rss:"
	}
	for _, pid := range pids {
		n, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Descriptors returns how many descriptors a process has open.
func Descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// Slab returns the bytes of kernel objects, of the whole machine.
func Slab() int64 { return meminfo("Slab:") }

// Available returns the bytes that can be had without swapping.
func Available() int64 { return meminfo("MemAvailable:") }

// Total returns the machine's bytes of memory.
func Total() int64 { return meminfo("MemTotal:") }

func meminfo(name string) int64 {
	n, _ := kilobytes("/proc/meminfo", name)
	return n
}

func kilobytes(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot read memory: %w", err)
	}
	_, rest, ok := bytes.Cut(append([]byte("\n"), b...), []byte("\n"+name))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("cannot read memory: no %s in %s", name, file)
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return n << 10, err
}

// Limit raises this process's soft limit of descriptors to the hard one, and returns it.
func Limit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	if l.Cur < l.Max {
		raised := syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			l.Cur = l.Max
		}
	}
	return int(min(l.Cur, 1<<30))
}

// Spare is how many of its descriptors a process of the harness keeps for other things than connections.
const Spare = 100

// NeedDescriptors is an error where this process cannot open n connections.
func NeedDescriptors(n int) error {
	if limit := Limit(); n > limit-Spare {
		return fmt.Errorf("cannot open %d connections: they need %d descriptors and this process may open %d (ulimit -n)", n, n+Spare, limit)
	}
	return nil
}

// Sysctl returns the numbers of a setting, e.g. Sysctl("net/ipv4/ip_local_port_range"); none where it is not there.
func Sysctl(name string) (values []int) {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return nil
	}
	for _, f := range bytes.Fields(b) {
		v, _ := strconv.Atoi(string(f))
		values = append(values, v)
	}
	return values
}

// Kernel returns the kernel's release.
func Kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return string(bytes.TrimSpace(b))
}

// Arguments returns a process's command line.
func Arguments(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, fmt.Errorf("cannot read the command of process %d: %w", pid, err)
	}
	var args []string
	for part := range bytes.SplitSeq(bytes.TrimSuffix(b, []byte{0}), []byte{0}) {
		args = append(args, string(part))
	}
	return args, nil
}
