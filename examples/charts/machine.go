package charts

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// machine reads what Linux says of itself in /proc (proc(5)).
type machine struct {
	proc, sys string
	self      int // this process, whose child Encke is
	encke     int // Encke's process; 0 while it is not known
}

func newMachine(proc, sys string, self int) *machine {
	return &machine{proc: proc, sys: sys, self: self}
}

// counters is what is read at one moment. What cannot be read is NaN.
type counters struct {
	at              time.Time
	cpu             []busy // all together, then each
	load            float64
	used, memory    float64 // bytes
	in, out, within float64 // bytes since the start: of network devices, and of the loopback device
	read, written   float64 // bytes since the start, of disks
	process         float64 // seconds of processor that Encke has used
	encke           enckeCounters
}

// busy is in ticks since the start.
type busy struct{ busy, all float64 }

// maxCores bounds what is pushed.
const maxCores = 256

// ticks a second: USER_HZ, which is 100 on everything that Linux still runs on.
const ticks = 100

var unknown = math.NaN()

func (m *machine) read() counters {
	c := counters{at: time.Now(), load: unknown}
	c.cpu = parseStat(m.file("stat"))
	if f := strings.Fields(m.file("loadavg")); len(f) > 0 {
		c.load = number(f[0])
	}
	c.used, c.memory = parseMeminfo(m.file("meminfo"))
	c.in, c.out, c.within = parseNet(m.file("net/dev"), m.isDevice())
	c.read, c.written = parseDisks(m.file("diskstats"), func(name string) bool { return m.exists("block", name) })
	c.process = m.readProcess()
	return c
}

func (m *machine) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(m.proc, name)) // what is not there says nothing, which is unknown
	return string(b)
}

func (m *machine) exists(name ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{m.sys}, name...)...))
	return err == nil
}

// isDevice returns which network devices count: those with hardware, so that what passes a bridge is not counted twice; where there are
// none, as in a container, all.
func (m *machine) isDevice() func(string) bool {
	if real, _ := filepath.Glob(filepath.Join(m.sys, "class/net/*/device")); len(real) == 0 {
		return func(string) bool { return true }
	}
	return func(name string) bool { return m.exists("class/net", name, "device") }
}

// readProcess returns the seconds of processor that Encke has used. Encke is the child of this process with its name.
func (m *machine) readProcess() float64 {
	if parent, name, seconds := parseProcess(m.file(strconv.Itoa(m.encke) + "/stat")); m.encke != 0 && parent == m.self && name == "encke" {
		return seconds
	}
	m.encke = 0
	all, _ := filepath.Glob(filepath.Join(m.proc, "[1-9]*/stat"))
	for _, file := range all {
		b, _ := os.ReadFile(file)
		if parent, name, seconds := parseProcess(string(b)); parent == m.self && name == "encke" {
			m.encke, _ = strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return seconds
		}
	}
	return unknown
}

func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return unknown
	}
	return x
}

// parseStat reads /proc/stat: all cores together, then each. Idle is what is idle or waits for disks.
func parseStat(text string) (all []busy) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") || len(all) > maxCores {
			break
		}
		var b busy
		for i, s := range f[1:9] { // guest time, which follows, is in user time already
			x := number(s)
			b.all += x
			if i != 3 && i != 4 {
				b.busy += x
			}
		}
		all = append(all, b)
	}
	return all
}

// parseMeminfo returns what is used, which is what could not be had without swapping, and all there is, in bytes.
func parseMeminfo(text string) (used, all float64) {
	all, available := unknown, unknown
	for line := range strings.Lines(text) {
		switch f := strings.Fields(line); {
		case len(f) < 2:
		case f[0] == "MemTotal:":
			all = number(f[1]) * 1024
		case f[0] == "MemAvailable:":
			available = number(f[1]) * 1024
		}
	}
	return all - available, all
}

func parseNet(text string, counts func(string) bool) (in, out, within float64) {
	if text == "" {
		return unknown, unknown, unknown
	}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		switch {
		case !ok || len(f) < 9:
		case name == "lo":
			within = number(f[8])
		case counts(name):
			in += number(f[0])
			out += number(f[8])
		}
	}
	return in, out, within
}

// parseDisks adds up whole disks: no partitions, and nothing that lies on another disk or in memory.
func parseDisks(text string, whole func(string) bool) (read, written float64) {
	const sector = 512 // in this file always
	if text == "" {
		return unknown, unknown
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || strings.HasPrefix(f[2], "loop") || strings.HasPrefix(f[2], "ram") || strings.HasPrefix(f[2], "zram") ||
			strings.HasPrefix(f[2], "dm-") || strings.HasPrefix(f[2], "md") || !whole(f[2]) {
			continue
		}
		read += number(f[5]) * sector
		written += number(f[9]) * sector
	}
	return read, written
}

// parseProcess reads /proc/PID/stat. A process's name may hold anything, brackets too.
func parseProcess(text string) (parent int, name string, seconds float64) {
	begin, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return 0, "", unknown
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 13 {
		return 0, "", unknown
	}
	parent, _ = strconv.Atoi(f[1])
	return parent, text[begin+1 : end], (number(f[11]) + number(f[12])) / ticks
}
