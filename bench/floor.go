package bench

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// FloorCommand is the hidden subcommand by which encke-bench starts itself as the floor.
const FloorCommand = "floor-child"

// floor is a child process that does with raw system calls what a server cannot do without.
type floor struct {
	server
	in  io.WriteCloser
	out *bufio.Scanner
}

func openFloor() (*floor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	f := &floor{server: server{kind: "floor", exited: make(chan struct{})}}
	f.child = exec.Command(self, FloorCommand)
	f.child.Stderr = os.Stderr
	f.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if f.in, err = f.child.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewScanner(out)
	if err := f.child.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the floor: %w", err)
	}
	f.pid = f.child.Process.Pid
	line, err := f.line()
	if err == nil {
		f.public, err = netip.ParseAddrPort(line)
	}
	go func() { // ends with the child
		_ = f.child.Wait()
		close(f.exited)
	}()
	if err != nil {
		f.close()
	}
	return f, err
}

func (f *floor) line() (string, error) {
	if !f.out.Scan() {
		return "", fmt.Errorf("the floor's process ended: %v", f.out.Err())
	}
	return f.out.Text(), nil
}

// write lets the child write to every socket; it returns how many messages it has written to each.
func (f *floor) write(rate, seconds float64, size, threads int) (messages int, err error) {
	if _, err := fmt.Fprintf(f.in, "write %g %g %d %d\n", rate, seconds, size, threads); err != nil {
		return 0, fmt.Errorf("cannot command the floor: %w", err)
	}
	line, err := f.line()
	if err != nil {
		return 0, err
	}
	rest, ok := strings.CutPrefix(line, "wrote ")
	if !ok {
		return 0, fmt.Errorf("the floor says %q", line)
	}
	_, err = fmt.Sscan(rest, &messages)
	return messages, err
}

// floor measures one write(2) a socket with the same clients.
func (b Broadcast) floor(r *Report) error {
	c, err := openFloor()
	if err != nil {
		return err
	}
	defer c.close()
	f, err := newFleet(b.ClientLoops)
	if err != nil {
		return err
	}
	defer f.close()
	subs := newSubscribers(b.Subscribers, upgrade("/", ""), b.Size, 1, false)
	before, err := slab()
	if err != nil {
		return err
	}
	if err := f.connect(f.subscribers(), c.public, peersOf(subs)); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	after, _ := slab()
	m, err := begin(&c.server, f)
	if err != nil {
		return err
	}
	rate, threads, seconds := b.Rate, 1, b.Seconds
	if b.Saturate {
		rate, threads = 0, max(b.Target.Loops, 1)
		seconds = min(seconds, 5)
	}
	messages, err := c.write(rate, seconds, b.Size, threads)
	if err != nil {
		return err
	}
	want := uint64(messages) * uint64(len(subs))
	_ = f.wait("the floor's deliveries", 15*time.Second, func() bool { return f.delivered()-m.delivered >= want })
	took, cpu := time.Since(m.start).Seconds(), c.cpu()-m.cpu
	n := float64(f.delivered() - m.delivered)
	r.add("floor writes/s", "/s", n/took)
	r.add("floor CPU per write", "µs", float64(cpu.Nanoseconds())/1000/n)
	r.add("floor kernel memory per socket pair", "B", float64(after-before)/float64(len(subs)))
	h := f.latency()
	r.add("floor latency p50", "ms", float64(h.ValueAtQuantile(50))/1000)
	r.add("floor latency p99", "ms", float64(h.ValueAtQuantile(99))/1000)
	faults := Faults{}
	for _, w := range f.subscribers() {
		w.call(func() {})
	}
	for _, s := range subs {
		faults.add(s.verifier.end([]uint32{uint32(messages)}))
	}
	if err := f.failed(); err != nil {
		return err
	}
	if err := faults.Err(); err != nil {
		return fmt.Errorf("the harness itself is wrong, at the floor: %w", err)
	}
	return nil
}

// Floor measures what the kernel alone costs: handshakes, paced writes, and writes as fast as they go.
type Floor struct {
	Broadcast  Broadcast
	Handshakes Handshakes
}

// Run measures.
func (l Floor) Run() (*Report, error) {
	r := &Report{Scenario: fmt.Sprintf("floor: %d sockets, %d bytes; %d handshakes", l.Broadcast.Subscribers, l.Broadcast.Size, l.Handshakes.Count)}
	if l.Broadcast.Size < MinSize || l.Broadcast.Subscribers < 1 {
		return r, fmt.Errorf("cannot write %d bytes to %d sockets: at least %d bytes, and one", l.Broadcast.Size, l.Broadcast.Subscribers, MinSize)
	}
	for range max(l.Broadcast.Runs, 1) {
		if err := l.Broadcast.floor(r); err != nil {
			return r, err
		}
		if err := l.Handshakes.floor(r); err != nil {
			return r, err
		}
	}
	return r, nil
}
