package doctor

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Source is where live values are read.
type Source struct {
	Root  string                     // in front of /proc and /sys; "" is this machine
	Limit func() (soft, hard uint64) // of descriptors of a process
	Env   func(name string) string   // environment
}

// Here is this machine and this process.
func Here() Source {
	return Source{Limit: limit, Env: os.Getenv}
}

func limit() (soft, hard uint64) {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024, 1024
	}
	return l.Cur, l.Max
}

// text returns a file's content without the white space around it; ok is false where there is no such file.
func (s Source) text(path string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(s.Root+"/", path))
	return string(bytes.TrimSpace(b)), err == nil
}

// numbers returns the numbers of a file, e.g. of /proc/sys/net/ipv4/tcp_mem.
func (s Source) numbers(path string) (all []int64) {
	text, _ := s.text(path)
	for _, f := range strings.Fields(text) {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil {
			all = append(all, n)
		} else if n, err := strconv.ParseUint(f, 10, 64); err == nil {
			all = append(all, int64(min(n, 1<<62))) // fs.file-max may be 2^64-1
		}
	}
	return all
}

// sysctl returns a setting by its name with dots; ok is false where this kernel does not have it.
func (s Source) sysctl(name string) (values []int64, ok bool) {
	values = s.numbers("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return values, len(values) > 0
}

// meminfo returns a line of /proc/meminfo in bytes, 0 where there is none.
func (s Source) meminfo(name string) int64 {
	text, _ := s.text("/proc/meminfo")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// counter returns a counter of /proc/net/netstat, e.g. ("TcpExt:", "ListenOverflows").
func (s Source) counter(group, name string) int64 {
	text, _ := s.text("/proc/net/netstat")
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i < len(fields) {
				v, _ := strconv.ParseInt(fields[i], 10, 64)
				return v
			}
		}
	}
	return 0
}

// list returns the paths that match a pattern below Root.
func (s Source) list(pattern string) (paths []string) {
	found, _ := filepath.Glob(filepath.Join(s.Root+"/", pattern))
	for _, p := range found {
		paths = append(paths, strings.TrimPrefix(p, strings.TrimSuffix(s.Root, "/")))
	}
	return paths
}
