package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// cpuOf returns the processor time that a process has used: utime + stime of /proc/PID/stat, in ticks of 10 ms.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the processor time of process %d: %w", pid, err)
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // from field 3, the state, on
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read the processor time of process %d: %q", pid, b)
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// rssOf returns the resident bytes of a process.
func rssOf(pid int) (int64, error) {
	return kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss:")
}

// slab returns the bytes of kernel objects, of the whole machine.
func slab() (int64, error) { return kilobytes("/proc/meminfo", "Slab:") }

func kilobytes(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot read memory: %w", err)
	}
	_, rest, ok := bytes.Cut(b, []byte("\n"+name))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("cannot read memory: no %s in %s", name, file)
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return n << 10, err
}

// needDescriptors raises the soft limit and refuses what cannot fit.
func needDescriptors(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("cannot read the descriptor limit: %w", err)
	}
	if l.Cur < l.Max {
		raised := syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			l.Cur = l.Max
		}
	}
	if spare := uint64(n) + 100; spare > l.Cur {
		return fmt.Errorf("cannot open %d connections: they need %d descriptors and this process may open %d (ulimit -n)", n, spare, l.Cur)
	}
	return nil
}
