package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
)

// WorkerCommand is the hidden subcommand by which encke-bench starts itself as a worker.
const WorkerCommand = "worker-child"

// callLimit is how long a worker may take for an answer.
const callLimit = 30 * time.Second

// crew is the worker processes of a run.
type crew struct{ members []*member }

// member is one worker.
type member struct {
	name   string
	hello  fleet.Hello
	local  bool
	offset time.Duration // to add to its clock to get ours
	doubt  time.Duration // the offset may be wrong by so much
	room   int           // clients that it can still take
	end    func()        // lets it end
	ended  func() string // why it has; "" where that is not known

	mu     sync.Mutex // one call at a time
	broken error      // guarded by mu: it will not answer any more
	in     io.Reader
	out    io.Writer
	// deadline bounds reads
	deadline func(time.Time) error
	lines    *bufio.Reader
}

// newCrew starts or reaches as many workers as n clients need.
func newCrew(o *Options, n int) (*crew, error) {
	c := &crew{}
	var err error
	if len(o.Remote) > 0 {
		err = c.reach(o, n)
	} else {
		err = c.start(o, n)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// start starts workers on this machine.
func (c *crew) start(o *Options, n int) error {
	limit := proc.Limit() - proc.Spare
	if limit < 1 {
		return fmt.Errorf("cannot start a worker: processes may open only %d descriptors (ulimit -n)", proc.Limit())
	}
	count := max(o.workers(n), (n+limit-1)/limit)
	if count > 1000 {
		return fmt.Errorf("cannot start %d workers, which %d clients would need where a process may open %d descriptors: 1000 at most", count, n, proc.Limit())
	}
	for i := range count {
		m, err := startWorker(i, o)
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	return nil
}

// workers is how many there are at least. Each has one loop and one processor: in a process with two, the Go scheduler
// moves loops about whenever they wake up, at twice the cost of a delivery. A paced load wants as few as can carry it,
// since each of several sleeps and wakes for every message.
func (o *Options) workers(n int) int {
	count := 1
	switch {
	case o.Workers > 0:
		return o.Workers
	case o.Saturate:
		count = 3
	case o.direct() || o.Scenario == "connect" || o.Scenario == "storm" || o.Scenario == "presence":
		count = 2
	}
	return max(min(count, runtime.NumCPU()-1, n), 1)
}

func startWorker(i int, o *Options) (*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	child := exec.Command(self, WorkerCommand)
	child.Stderr = os.Stderr
	child.SysProcAttr = ofOurs()
	child.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(o.WorkerLoops, 1)))
	if o.Users > 0 {
		child.Env = append(child.Env, TokenSecretVariable+"="+o.Target.TokenSecret)
	}
	out, err := child.StdinPipe()
	if err != nil {
		return nil, err
	}
	in, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a worker: %w", err)
	}
	m := &member{name: fmt.Sprintf("worker %d (process %d)", i+1, child.Process.Pid), local: true, in: in, out: out}
	m.deadline = in.(*os.File).SetReadDeadline
	var once sync.Once
	wait := func() {
		once.Do(func() {
			_ = out.Close()
			late := time.AfterFunc(5*time.Second, func() { _ = child.Process.Kill() })
			_ = child.Wait()
			late.Stop()
		})
	}
	m.end = wait
	m.ended = func() string { wait(); return child.ProcessState.String() }
	return m, m.greet()
}

// ofOurs lets a child end with this process, and in a process group of its own, so that Ctrl-C on a terminal interrupts
// this one alone, which ends its children in order.
func ofOurs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// greet learns who the worker is.
func (m *member) greet() error {
	m.lines = bufio.NewReaderSize(m.in, 1<<16)
	a, err := m.call(fleet.Request{Hello: &struct{}{}})
	if err != nil {
		return err
	}
	if a.Hello == nil || a.Hello.Version != fleet.Version {
		return fmt.Errorf("cannot use %s: it is of another version of encke-bench", m.name)
	}
	m.hello, m.room = *a.Hello, a.Hello.Limit
	return nil
}

// call asks the worker one thing.
func (m *member) call(q fleet.Request) (a fleet.Answer, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return a, m.broken
	}
	_ = m.deadline(time.Now().Add(callLimit))
	b, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("cannot write to %s: %w", m.name, err)
	}
	if _, err = m.out.Write(append(b, '\n')); err == nil {
		b, err = m.lines.ReadBytes('\n')
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		m.broken = fmt.Errorf("%s did not answer within %v", m.name, callLimit)
		return a, m.broken
	case err != nil:
		m.broken = fmt.Errorf("%s ended in mid-run: %s", m.name, m.ended())
		return a, m.broken
	}
	if err = json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("cannot read the answer of %s: %w", m.name, err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// each calls f for all workers at once. The errors are joined, the same one only once.
func (c *crew) each(f func(i int, m *member) error) error {
	errs := make([]error, len(c.members))
	var all sync.WaitGroup
	for i, m := range c.members {
		all.Add(1)
		go func() { // ends within callLimit
			defer all.Done()
			errs[i] = f(i, m)
		}()
	}
	all.Wait()
	var texts []string
	for _, err := range errs {
		if err != nil && (len(texts) == 0 || texts[len(texts)-1] != err.Error()) {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) > 3 {
		texts = append(texts[:3], fmt.Sprintf("and %d workers more", len(texts)-3))
	}
	if texts != nil {
		return errors.New(strings.Join(texts, "; "))
	}
	return nil
}

// all asks all workers the same.
func (c *crew) all(q fleet.Request) error {
	return c.each(func(_ int, m *member) error { _, err := m.call(q); return err })
}

// setup gives all workers a fleet.
func (c *crew) setup(f fleet.Config) error {
	return c.each(func(_ int, m *member) error {
		mine := f
		mine.Offset = int64(m.offset)
		_, err := m.call(fleet.Request{Setup: &mine})
		return err
	})
}

// add spreads a group over the workers, evenly as far as there is room.
func (c *crew) add(g fleet.Group) error {
	first := g.First
	for i, m := range c.members {
		mine := g
		mine.First = first
		mine.Count = min((g.First+g.Count-first)/(len(c.members)-i), m.room)
		if i == len(c.members)-1 {
			mine.Count = g.First + g.Count - first
		}
		if mine.Count == 0 {
			continue
		}
		if _, err := m.call(fleet.Request{Add: &mine}); err != nil {
			return err
		}
		first += mine.Count
		m.room -= mine.Count
	}
	return nil
}

// delivered returns how many messages clients have had.
func (c *crew) delivered() (uint64, error) {
	counts := make([]uint64, len(c.members))
	err := c.each(func(i int, m *member) error {
		a, err := m.call(fleet.Request{Count: &struct{}{}})
		counts[i] = a.Count
		return err
	})
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// begun returns when clients that are here began to connect.
func (c *crew) begun() (fleet.Begun, error) {
	all := fleet.Begun{}
	var mu sync.Mutex
	err := c.each(func(_ int, m *member) error {
		a, err := m.call(fleet.Request{Begun: &struct{}{}})
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(all, a.Begun)
		return err
	})
	return all, err
}

// verify holds all clients against what was published. Where one order is promised, another is a fault.
func (c *crew) verify(sent fleet.Sent, oneOrder bool) (v fleet.Verdict, err error) {
	v.Orders = map[uint64]uint64{}
	var mu sync.Mutex
	err = c.each(func(_ int, m *member) error {
		a, err := m.call(fleet.Request{Verify: &sent})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		v.Faults.Add(a.Verdict.Faults)
		for order, n := range a.Verdict.Orders {
			v.Orders[order] += n
		}
		return nil
	})
	if oneOrder {
		all, most := uint64(0), uint64(0)
		for _, n := range v.Orders {
			all, most = all+n, max(most, n)
		}
		v.Faults.Disordered = all - most
	}
	return v, err
}

// close ends the workers.
func (c *crew) close() {
	var all sync.WaitGroup
	for _, m := range c.members {
		all.Add(1)
		go func() { // ends when the worker has
			defer all.Done()
			m.end()
		}()
	}
	all.Wait()
}

// doubt is the largest uncertainty of the clocks, and whether there is any.
func (c *crew) doubt() (d time.Duration, remote bool) {
	for _, m := range c.members {
		d = max(d, m.doubt)
		remote = remote || !m.local
	}
	return d, remote
}
