package doctor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good is a machine that is fit for a million connections.
var good = map[string]string{
	"/proc/sys/fs/nr_open":                                             "20000000",
	"/proc/sys/fs/file-nr":                                             "1000\t0\t9223372036854775807",
	"/proc/meminfo":                                                    "MemTotal:       33554432 kB\nMemAvailable:   30000000 kB\nSwapTotal:             0 kB\n",
	"/sys/kernel/mm/transparent_hugepage/enabled":                      "always [madvise] never",
	"/proc/sys/fs/epoll/max_user_watches":                              "5491422",
	"/proc/sys/net/core/somaxconn":                                     "65535",
	"/proc/sys/net/core/netdev_max_backlog":                            "10000",
	"/proc/sys/net/ipv4/tcp_max_syn_backlog":                           "65535",
	"/proc/sys/net/ipv4/tcp_syncookies":                                "1",
	"/proc/sys/net/ipv4/tcp_mem":                                       "1000000 1250000 1500000",
	"/proc/sys/net/ipv4/tcp_rmem":                                      "4096 131072 6291456",
	"/proc/sys/net/ipv4/tcp_wmem":                                      "4096 16384 4194304",
	"/proc/sys/net/ipv4/tcp_ehash_entries":                             "262144",
	"/proc/sys/net/ipv4/tcp_max_orphans":                               "262144",
	"/proc/sys/net/ipv4/tcp_max_tw_buckets":                            "262144",
	"/proc/sys/net/ipv4/ip_local_port_range":                           "32768 60999",
	"/proc/net/netstat":                                                "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 7 0\nIpExt: InOctets\nIpExt: 5\n",
	"/proc/net/softnet_stat":                                           "00000fff 00000000 00000001\n00000fff 00000000 00000001\n",
	"/proc/self/cgroup":                                                "0::/system.slice/encke.service\n",
	"/sys/fs/cgroup/system.slice/memory.max":                           "max",
	"/sys/devices/system/node/node0/cpulist":                           "0-1",
	"/sys/devices/system/cpu/cpu0/online":                              "1",
	"/sys/devices/system/cpu/cpu1/online":                              "1",
	"/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
	"/sys/class/net/eth0/device/vendor":                                "0x1af4",
	"/sys/class/net/eth0/queues/rx-0/rps_cpus":                         "0",
	"/sys/class/net/eth0/queues/rx-1/rps_cpus":                         "0",
}

// machine writes files; change replaces some, and leaves out those that are "".
func machine(t *testing.T, change map[string]string, limit uint64) Source {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range good {
		if _, changed := change[path]; !changed {
			write(path, text)
		}
	}
	for path, text := range change {
		if text != "" {
			write(path, text)
		}
	}
	return Source{Root: root, Limit: func() (uint64, uint64) { return 1024, limit }, Env: func(string) string { return "1GiB" }}
}

func TestEachSetting(t *testing.T) {
	const million = 1_000_000
	for _, c := range []struct {
		path, text string // what is changed
		setting    string
		state      State
		fix        string // a part of it
		also       string // a path that is left out
	}{
		{"/proc/sys/fs/nr_open", "1000000", "fs.nr_open", Raise, "sysctl -w fs.nr_open=1000064", ""},
		{"/proc/sys/fs/file-nr", "5000 0 1000000", "fs.file-max", Raise, "sysctl -w fs.file-max=1015000", ""},
		{"/proc/sys/fs/epoll/max_user_watches", "1000000", "fs.epoll.max_user_watches", Raise, "=1000064", ""},
		{"/proc/meminfo", "MemTotal: 4000000 kB\n", "memory", Raise, "hold at most", ""},
		{"/proc/meminfo", "MemTotal: 5500000 kB\n", "memory", Risk, "add memory", ""},
		{"/proc/meminfo", "MemTotal: 33554432 kB\nSwapTotal: 1024 kB\n", "swap", Risk, "swapoff -a", ""},
		{"/sys/fs/cgroup/system.slice/memory.max", "1073741824", "memory", Raise, "hold at most", ""},
		{"/sys/fs/cgroup/system.slice/encke.service/memory.max", "1073741824", "memory", Raise, "hold at most", ""},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824", "memory", Raise, "hold at most", ""},
		{"/sys/fs/cgroup/memory.max", "6442450944", "memory", Risk, "up to 8457 MiB", ""},
		{"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "transparent huge pages", Risk, "echo madvise", ""},
		{"/proc/sys/net/core/somaxconn", "128", "net.core.somaxconn", Risk, "=65535", ""},
		{"/proc/sys/net/core/netdev_max_backlog", "1000", "net.core.netdev_max_backlog", Risk, "=4096", ""},
		{"/proc/net/softnet_stat", "00000fff 0000000a 00000001\n", "net.core.netdev_max_backlog", Risk, "softnet_stat", ""},
		{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "256", "net.ipv4.tcp_max_syn_backlog", Risk, "=65535", "/proc/sys/net/ipv4/tcp_syncookies"},
		{"/proc/sys/net/ipv4/tcp_syncookies", "0", "net.ipv4.tcp_syncookies", Risk, "=1", ""},
		{"/proc/sys/net/ipv4/tcp_ehash_entries", "131072", "net.ipv4.tcp_ehash_entries", Risk, "thash_entries=262144", ""},
		{"/proc/sys/net/ipv4/tcp_ehash_entries", "-131072", "net.ipv4.tcp_ehash_entries", Risk, "thash_entries=262144", ""},
		{"/proc/sys/net/ipv4/tcp_mem", "22539 30052 45078", "net.ipv4.tcp_mem", Risk, `"1000000 1250000 1500000"`, ""},
		{"/proc/sys/net/ipv4/tcp_wmem", "65536 65536 4194304", "net.ipv4.tcp_wmem", Risk, `"4096 65536 4194304"`, ""},
		{"/proc/sys/net/ipv4/tcp_max_orphans", "4096", "net.ipv4.tcp_max_orphans", Risk, "=250000", ""},
		{"/proc/sys/net/ipv4/tcp_max_tw_buckets", "4096", "net.ipv4.tcp_max_tw_buckets", Risk, "=100000", ""},
		{"/proc/sys/net/ipv4/ip_local_port_range", "1024 65535", "net.ipv4.ip_local_port_range", Risk, "reserved_ports", ""},
		{"/proc/sys/net/netfilter/nf_conntrack_max", "262144", "net.netfilter.nf_conntrack_max", Raise, "=1250000", ""},
		{"/proc/net/netstat", "TcpExt: A ListenOverflows\nTcpExt: 7 3\n", "TcpExt ListenOverflows", Risk, "nstat", ""},
		{"/sys/devices/system/node/node1/cpulist", "2-3", "NUMA nodes", Risk, "numactl", ""},
		{"/sys/devices/system/cpu/cpu2/online", "1", "eth0 receive queues", Risk, "ethtool -L eth0 combined 3", ""},
		{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "clock source", Risk, "echo tsc", ""},
	} {
		r, err := Examine(machine(t, map[string]string{c.also: "", c.path: c.text}, 2*million), million)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			switch {
			case f.Setting == c.setting && (f.State != c.state || !strings.Contains(f.Fix, c.fix) || f.Why == ""):
				t.Errorf("%s = %q: %+v, want %s and %q", c.path, c.text, f, c.state, c.fix)
			case f.Setting != c.setting && f.State != OK:
				t.Errorf("%s = %q: unasked %+v", c.path, c.text, f)
			}
		}
		if want := map[State]int{Raise: 1, Risk: 0}[c.state]; r.Status() != want {
			t.Errorf("%s = %q: status %d, want %d", c.path, c.text, r.Status(), want)
		}
	}
}

func TestGoodMachine(t *testing.T) {
	for _, change := range []map[string]string{
		nil,
		{"/proc/sys/net/netfilter/nf_conntrack_max": "262144", "/proc/sys/net/netfilter/nf_conntrack_count": "0"},
		{"/proc/sys/net/ipv4/ip_local_port_range": "1024 65535", "/proc/sys/net/ipv4/ip_local_reserved_ports": "22,8080-8081"},
		{"/proc/sys/net/ipv4/tcp_max_syn_backlog": "128"},
		{"/sys/devices/system/cpu/cpu2/online": "1", "/sys/class/net/eth0/queues/rx-0/rps_cpus": "7"},
		{"/sys/kernel/mm/transparent_hugepage/enabled": "", "/proc/sys/net/ipv4/tcp_rmem": "", "/proc/self/cgroup": "", "/proc/net/netstat": ""},
	} {
		r, err := Examine(machine(t, change, 2_000_000), 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			if f.State != OK {
				t.Errorf("%v: %+v", change, f)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	r, err := Examine(machine(t, nil, 20_000), 1_000_000)
	if err != nil || r.Status() != 1 || r.Findings[0].State != Raise || !strings.Contains(r.Findings[0].Fix, "LimitNOFILE=1000064") {
		t.Errorf("%v: %+v", err, r.Findings[0])
	}
	s := machine(t, nil, 2_000_000)
	s.Env = func(string) string { return "" }
	if r, _ = Examine(s, 1_000_000); r.Status() != 0 || !strings.Contains(text(r), "unset: encke sets 12288 MiB") {
		t.Errorf("without GOMEMLIMIT:\n%s", text(r))
	}
	small := machine(t, map[string]string{"/proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n"}, 2_000_000)
	small.Env = func(string) string { return "" }
	if r, _ = Examine(small, 100_000); !strings.Contains(text(r), "may work without rest") {
		t.Errorf("with a limit that is too close:\n%s", text(r))
	}
	if r, _ = Examine(s, 10_000_000); !strings.Contains(text(r), `tcp_mem="10000000 12500000 15000000" (which slow readers`) {
		t.Errorf("10 million on 32 GiB:\n%s", text(r))
	}
	for _, n := range []int{0, -5, MaxConnections + 1} {
		if _, err := Examine(s, n); err == nil {
			t.Errorf("%d connections were taken", n)
		}
	}
}

func text(r *Report) string {
	var b strings.Builder
	r.Print(&b)
	return b.String()
}

// TestHere looks at the machine that the test runs on.
func TestHere(t *testing.T) {
	r, err := Examine(Here(), 1000)
	if err != nil || len(r.Findings) < 5 {
		t.Fatalf("%v: %+v", err, r)
	}
	var b strings.Builder
	var back Report
	if err := r.JSON(&b); err != nil || json.Unmarshal([]byte(b.String()), &back) != nil || len(back.Findings) != len(r.Findings) {
		t.Errorf("%v: %s", err, b.String())
	}
	for _, f := range r.Findings {
		if f.State != OK && f.Why == "" || f.Live == "" {
			t.Errorf("%+v says nothing", f)
		}
	}
}

// TestEmptyMachine has nothing to read, as in some containers.
func TestEmptyMachine(t *testing.T) {
	s := Source{Root: t.TempDir(), Limit: func() (uint64, uint64) { return 1024, 4096 }, Env: func(string) string { return "" }}
	r, err := Examine(s, 1000)
	if err != nil || r.Status() != 0 || strings.Count(text(r), "not there") < 15 {
		t.Errorf("%v\n%s", err, text(r))
	}
}

func TestMask(t *testing.T) {
	for n, want := range map[int]string{1: "1", 4: "f", 31: "7fffffff", 32: "ffffffff", 33: "1,ffffffff", 64: "ffffffff,ffffffff", 65: "1,ffffffff,ffffffff"} {
		if got := mask(n); got != want {
			t.Errorf("%d processors: %s, want %s", n, got, want)
		}
	}
}

// TestFile wants the sysctl file to make a machine fit for a million, with names that the guide explains.
func TestFile(t *testing.T) {
	file, err := os.ReadFile("../sysctl/99-encke.conf")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../sysctl/README.md")
	if err != nil {
		t.Fatal(err)
	}
	change := map[string]string{}
	for line := range strings.Lines(string(file)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		change["/proc/sys/"+strings.ReplaceAll(name, ".", "/")] = value
		last := name[strings.LastIndexByte(name, '.')+1:]
		if !strings.Contains(string(guide), last) && !strings.Contains(string(guide), last[strings.LastIndexByte(last, '_'):]) {
			t.Errorf("tools/sysctl/README.md says nothing of %s", name)
		}
	}
	r, err := Examine(machine(t, change, 2_000_000), 1_000_000)
	if err != nil || len(change) < 20 {
		t.Fatalf("%d settings, %v", len(change), err)
	}
	for _, f := range r.Findings {
		if f.State != OK {
			t.Errorf("with 99-encke.conf: %+v", f)
		}
	}
}

// TestGuide wants every sysctl that is judged in the guide and in the file.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../sysctl/README.md")
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Examine(machine(t, map[string]string{"/proc/sys/net/netfilter/nf_conntrack_max": "1"}, 1), 1_000_000)
	for _, f := range r.Findings {
		if strings.Contains(f.Setting, ".") && !strings.Contains(string(guide), f.Setting[strings.LastIndexByte(f.Setting, '.')+1:]) {
			t.Errorf("tools/sysctl/README.md says nothing of %s", f.Setting)
		}
	}
}
