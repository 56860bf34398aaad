package doctor

import (
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
)

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
		chosen, _ := s.text(queues[0] + "/rps_cpus")
		f := Finding{Setting: path.Base(dir) + " receive queues", Live: fmt.Sprintf("%d for %d processors", len(queues), n), Want: "one for each, or RPS", State: OK}
		if strings.Trim(chosen, "0,") == "" {
			f.State, f.Why = Risk, "all packets are worked on by few processors, which are full before the others"
			f.Fix = fmt.Sprintf("ethtool -L %s combined %d; or for f in %s/queues/rx-*/rps_cpus; do echo %s > $f; done", path.Base(dir), n, dir, mask(n))
		} else {
			f.Live += ", RPS " + chosen
		}
		all = append(all, f)
	}
	return all
}

// mask is the first n processors as rps_cpus wants them: hexadecimal, 32 in a group, groups parted by commas.
func mask(n int) string {
	groups := []string{fmt.Sprintf("%x", uint64(1)<<(n-(n-1)/32*32)-1)}
	for range (n - 1) / 32 {
		groups = append(groups, "ffffffff")
	}
	return strings.Join(groups, ",")
}

func hugePages(s Source, _ int) []Finding {
	const file = "/sys/kernel/mm/transparent_hugepage/enabled"
	text, ok := s.text(file)
	if !ok {
		return absent("transparent huge pages")
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
		return absent("clock source")
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
