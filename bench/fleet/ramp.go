package fleet

import (
	"errors"
	"fmt"
	"time"

	"encke/netloop"

	"golang.org/x/sys/unix"
)

// Ramp says how clients connect.
type Ramp struct {
	Rate        float64 `json:"rate"`        // new connections a second; 0: as fast as handshakes are answered
	Concurrency int     `json:"concurrency"` // handshakes under way at a time
	Below       int     `json:"below"`       // clients with numbers from this on stay away; 0: none
}

// ramp is a loop's part of it.
type ramp struct {
	queue    []uint32 // clients that are to connect
	head     int
	later    []uint32 // clients that try again at the next tick
	inflight int
	limit    int
	rate     float64
	start    time.Time
	begun    int
}

// Connect lets all clients connect that are away, as far as the ramp has them come.
func (f *Fleet) Connect(r Ramp) {
	f.each(func(_ int, l *loop) { l.call(r) })
}

// call puts clients on the queue.
func (l *loop) call(r Ramp) {
	l.pace(r)
	for i := range l.clients {
		if c := &l.clients[i]; c.state == away && (r.Below == 0 || int(c.number) < r.Below) {
			l.ramp.queue = append(l.ramp.queue, uint32(i))
		}
	}
}

// Leave lets all clients end their connections.
func (f *Fleet) Leave() {
	f.each(func(_ int, l *loop) {
		l.ramp.queue, l.ramp.later, l.ramp.head = nil, nil, 0
		l.leaveAll()
	})
}

// Storm lets all clients end their connections and come back at once.
func (f *Fleet) Storm(r Ramp) {
	f.Leave()
	f.Connect(r)
}

func (l *loop) leaveAll() {
	for i := range l.clients {
		l.leave(uint32(i), &l.clients[i])
	}
}

func (l *loop) pace(r Ramp) {
	loops := len(l.fleet.loops)
	l.ramp.limit = max(r.Concurrency/loops, 1)
	l.ramp.rate = r.Rate / float64(loops)
	l.ramp.start, l.ramp.begun = time.Now(), 0
}

// dial connects clients, a bounded number of handshakes at a time: listen queues are short.
func (l *loop) dial() {
	r := &l.ramp
	if r.head == len(r.queue) {
		if r.head > 0 {
			r.queue, r.head = nil, 0
		}
		return
	}
	may := len(r.queue)
	if r.rate > 0 {
		may = int(time.Since(r.start).Seconds()*r.rate) - r.begun
	}
	for ; r.inflight < r.limit && r.head < len(r.queue) && may > 0; may-- {
		i := r.queue[r.head]
		r.head++
		r.begun++
		if c := &l.clients[i]; c.state == away && !l.begin(i, c) {
			r.queue, r.head = nil, 0
			return
		}
	}
}

// begin dials for a client; it is false when this machine has run out of something.
func (l *loop) begin(i uint32, c *client) bool {
	k := &l.kinds[c.group]
	remote := k.remotes[int(i)%len(k.remotes)]
	id, err := l.net.Dial(remote, l.fleet.source(remote))
	if err != nil {
		l.fleet.fail(scarce(err))
		return false
	}
	for int(id) >= len(l.byConn) {
		l.byConn = append(l.byConn, make([]uint32, 1024)...)
	}
	l.byConn[id], c.conn = i, uint32(id)
	c.state, c.began = dialing, l.clock()
	l.ramp.inflight++
	l.net.SetTimer(id, timerHandshake, 30*time.Second)
	return true
}

// scarce names the setting to change where this machine has run out of something.
func scarce(err error) error {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: local ports have run out; give clients more addresses (--source) or widen net.ipv4.ip_local_port_range", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w: this process has no descriptor left (ulimit -n)", err)
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: the machine has no file left (fs.file-max)", err)
	}
	return err
}

// Churn says how clients come and go.
type Churn struct {
	Rate     float64 `json:"rate"`     // of arrivals, departures and subscriptions together, a second; 0: none
	Commands bool    `json:"commands"` // clients of encke.json also subscribe and unsubscribe another channel
}

type churn struct {
	Churn
	owed float64
}

// Churn lets clients come and go from now on.
func (f *Fleet) Churn(c Churn) {
	c.Rate /= float64(len(f.loops))
	f.each(func(_ int, l *loop) { l.churn = churn{Churn: c} })
}

// shuffle does a tick's worth of coming and going.
func (l *loop) shuffle() {
	if l.churn.Rate == 0 || len(l.clients) == 0 {
		return
	}
	for l.churn.owed += l.churn.Rate / 10; l.churn.owed >= 1; l.churn.owed-- {
		i := uint32(l.random.IntN(len(l.clients)))
		c := &l.clients[i]
		switch {
		case c.state == away:
			l.ramp.queue = append(l.ramp.queue, i)
		case c.state == here && l.churn.Commands && l.random.IntN(3) == 0:
			l.wander(c)
		case c.state == here:
			l.leave(i, c)
		}
	}
}

var _ netloop.Handler = (*loop)(nil)
