package bench

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// FloorCommand is the hidden subcommand by which encke-bench starts itself as the floor.
const FloorCommand = "floor-child"

// ground is a child process that does with raw system calls what a server, or a client, cannot do without.
type ground struct {
	server
	in  io.WriteCloser
	out *bufio.Scanner
}

// openGround starts one; port 0 means any.
func openGround(port uint16) (*ground, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	g := &ground{server: server{kind: "floor", exited: make(chan struct{})}}
	g.child = exec.Command(self, FloorCommand, fmt.Sprint(port))
	g.child.Stderr = &g.stderr
	g.child.SysProcAttr = ofOurs()
	if g.in, err = g.child.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := g.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = bufio.NewScanner(out)
	if err := g.child.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the floor: %w", err)
	}
	g.pid = g.child.Process.Pid
	line, err := g.line()
	if err == nil {
		g.public, err = netip.ParseAddrPort(line)
	}
	go func() { // ends with the child
		_ = g.child.Wait()
		close(g.exited)
	}()
	if err != nil {
		g.servers().close()
	}
	return g, err
}

func (g *ground) line() (string, error) {
	if !g.out.Scan() {
		return "", fmt.Errorf("the floor's process ended: %s", g.stderr.Bytes())
	}
	return g.out.Text(), nil
}

// servers lets the floor stand where a target would.
func (g *ground) servers() *servers {
	return &servers{kind: "floor", public: g.public, all: []*server{&g.server}}
}

// command lets the child do something and returns the numbers that it answers behind a word.
func (g *ground) command(word string, format string, args ...any) (a, b uint64, err error) {
	if _, err := fmt.Fprintf(g.in, format+"\n", args...); err != nil {
		return 0, 0, fmt.Errorf("cannot command the floor: %w", err)
	}
	line, err := g.line()
	if err != nil {
		return 0, 0, err
	}
	rest, ok := strings.CutPrefix(line, word+" ")
	if !ok {
		return 0, 0, fmt.Errorf("the floor says %q", line)
	}
	_, _ = fmt.Sscan(rest, &a, &b)
	return a, b, nil
}

// onGround runs f with workers on a floor instead of a server: so many processes on one port.
func (r *run) onGround(processes int, f func(r *run, g *ground) error) error {
	g, err := openGround(0)
	if err != nil {
		return err
	}
	sub := &run{o: r.o, ctx: r.ctx, r: r.r, publishers: 1, size: r.o.Size, servers: g.servers()}
	defer func() { sub.servers.close() }()
	for range processes - 1 {
		more, err := openGround(g.public.Port())
		if err != nil {
			return err
		}
		sub.servers.all = append(sub.servers.all, &more.server)
	}
	err = f(sub, g)
	if sub.monitor != nil {
		sub.monitor.close()
	}
	if sub.crew != nil {
		sub.crew.close()
	}
	return err
}

// sockets is how many clients the floor of deliveries has.
func (o *Options) sockets() int {
	n := o.Clients
	switch o.Scenario {
	case "targeted":
		n = o.Channels
	case "users":
		n = o.Users
	}
	return min(n, proc.Limit()-proc.Spare)
}

// floorSeconds bounds the floor's part of a run.
func (o *Options) floorSeconds() float64 { return min(o.Seconds, 5) }

// floorOfDeliveries measures one write(2) a socket, received by the same clients, and then by a bare read(2) loop.
func floorOfDeliveries(r *run) error {
	if err := r.onGround(1, floorOfWrites); err != nil {
		return err
	}
	return floorOfReads(r)
}

// writing is how the floor writes in this scenario: rate, seconds and threads.
func (o *Options) writing() (rate, seconds float64, threads int) {
	if o.Saturate {
		return 0, min(o.floorSeconds(), 3), max(o.Target.Loops, 1)
	}
	return o.Rate, o.floorSeconds(), 1
}

func floorOfWrites(r *run, g *ground) error {
	n := r.o.sockets()
	if err := r.muster(n, fleet.Config{}); err != nil {
		return err
	}
	before := proc.Slab()
	if err := r.crew.add(r.group("ws", "b", n)); err != nil {
		return err
	}
	if _, err := r.connect(n); err != nil {
		return err
	}
	if err := r.monitor.sleep(300 * time.Millisecond); err != nil {
		return err
	}
	r.r.AddFloor("kernel slab bytes per connection, both ends", "B", float64(proc.Slab()-before)/float64(n))
	w, err := r.begin()
	if err != nil {
		return err
	}
	rate, long, threads := r.o.writing()
	r.monitor.enter("floor", long, func(*fleet.Stat) float64 { return time.Since(w.start).Seconds() })
	messages, _, err := g.command("wrote", "write %g %g %d %d", rate, long, r.o.Size, threads)
	if err != nil {
		return err
	}
	if err := r.monitor.until("the floor's deliveries", 15*time.Second, func(s *fleet.Stat) bool { return s.Delivered >= messages*uint64(n) }); err != nil {
		return err
	}
	now, err := r.monitor.now()
	if err != nil {
		return err
	}
	cpu, count := r.servers.cpu()-w.cpu, float64(now.Delivered)
	r.r.AddFloor("server CPU per delivery", "µs", micros(cpu)/count)
	if rate == 0 {
		r.r.AddFloor("deliveries/s", "/s", count/time.Unix(0, now.Last).Sub(w.start).Seconds())
	} else {
		r.r.Add("harness CPU per verified delivery", "µs", micros(now.CPU-w.stat.CPU)/count)
	}
	if r.o.direct() {
		return r.soundFloor(messages, now) // its latency is of another load
	}
	r.monitor.mu.Lock()
	r.r.AddFloor("latency p50", "ms", float64(r.monitor.latency.ValueAtQuantile(50))/1000)
	r.r.AddFloor("latency p99", "ms", float64(r.monitor.latency.ValueAtQuantile(99))/1000)
	r.monitor.mu.Unlock()
	return r.soundFloor(messages, now)
}

// soundFloor is an error where clients found something wrong with what bare system calls sent.
func (r *run) soundFloor(messages uint64, now fleet.Stat) error {
	v, err := r.crew.verify(fleet.Sent{Publishers: []uint32{uint32(messages)}}, true)
	if err != nil {
		return err
	}
	v.Faults.Add(now.Faults)
	if err := v.Faults.Err(); err != nil {
		return fmt.Errorf("the harness itself is wrong: %w", err)
	}
	return nil
}

// floorOfReads lets bare loops of read(2), one for each worker, take what the floor writes. Only a paced load tells what a
// read costs.
func floorOfReads(r *run) error {
	rate, long, threads := r.o.writing()
	if rate == 0 {
		return nil
	}
	writer, err := openGround(0)
	if err != nil {
		return err
	}
	defer writer.servers().close()
	n := r.o.sockets()
	readers := r.o.workers(n)
	var all []*ground
	for i := range readers {
		reader, err := openGround(0)
		if err != nil {
			return err
		}
		defer reader.servers().close()
		all = append(all, reader)
		if _, _, err := reader.command("connected", "connect %s %d", writer.public, n*(i+1)/readers-n*i/readers); err != nil {
			return err
		}
	}
	cpu := func() (d time.Duration) {
		for _, reader := range all {
			d += reader.servers().cpu()
		}
		return d
	}
	before := cpu()
	messages, _, err := writer.command("wrote", "write %g %g %d %d", rate, long, r.o.Size, threads)
	if err != nil {
		return err
	}
	want := messages * uint64(n)
	if err := r.haveRead(all, want*uint64(len(wsframe.AppendFrame(nil, ws.OpText, make([]byte, r.o.Size))))); err != nil {
		return err
	}
	each := micros(cpu()-before) / float64(want)
	r.r.AddFloor("harness CPU per verified delivery", "µs", each)
	r.r.AddFloor("client CPU per delivery", "µs", each)
	return nil
}

// haveRead waits until bare loops have read so many bytes.
func (r *run) haveRead(all []*ground, want uint64) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		sum := uint64(0)
		for _, reader := range all {
			got, _, err := reader.command("read", "count")
			if err != nil {
				return err
			}
			sum += got
		}
		if sum == want {
			return nil
		}
		if time.Now().After(end) || r.ctx.Err() != nil {
			return fmt.Errorf("bare read loops got %d of %d bytes", sum, want)
		}
	}
}

// floorOfConnects measures accept, a fixed answer, and close, by as many threads as the server has loops.
func floorOfConnects(r *run) error {
	return r.onGround(max(r.o.Target.Loops, 1), func(r *run, _ *ground) error {
		cpu, client, took, err := r.visits()
		if err != nil {
			return err
		}
		n := float64(r.o.Clients)
		r.r.AddFloor("handshakes/s", "/s", n/took.Seconds())
		r.r.AddFloor("server CPU per handshake", "µs", micros(cpu)/n)
		r.r.AddFloor("client CPU per handshake", "µs", micros(client)/n)
		return nil
	})
}

// floorOfMemory measures the kernel's part of a connection.
func floorOfMemory(r *run) error {
	return r.onGround(1, func(r *run, _ *ground) error {
		r.size = 0
		n := r.o.sockets()
		if err := r.muster(n, fleet.Config{}); err != nil {
			return err
		}
		if err := r.crew.add(r.group("ws0", "", n)); err != nil {
			return err
		}
		if err := r.monitor.sleep(300 * time.Millisecond); err != nil {
			return err
		}
		before := proc.Slab()
		if _, err := r.connect(n); err != nil {
			return err
		}
		if err := r.monitor.sleep(300 * time.Millisecond); err != nil {
			return err
		}
		r.r.AddFloor("kernel slab bytes per connection, both ends", "B", float64(proc.Slab()-before)/float64(n))
		return nil
	})
}

// floorOfStorm lets all drop and come back to a server that only accepts and answers.
func floorOfStorm(r *run) error {
	return r.onGround(max(r.o.Target.Loops, 1), func(r *run, _ *ground) error {
		n := r.o.sockets()
		if err := r.muster(n, fleet.Config{Forgiving: true}); err != nil {
			return err
		}
		if err := r.crew.add(r.group("ws", "b", n)); err != nil {
			return err
		}
		if _, err := r.connect(n); err != nil {
			return err
		}
		own := *r.r
		own.Figures = nil
		sub := r.r
		r.r = &own
		err := r.comeBack(n)
		for _, f := range own.Figures {
			sub.AddFloor(f.Name, f.Unit, f.Median)
		}
		return err
	})
}

// floorOfAll is everything, for its own sake.
func floorOfAll(r *run) error {
	if err := floorOfConnects(r); err != nil {
		return err
	}
	return floorOfDeliveries(r)
}
