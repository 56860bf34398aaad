package webhook

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The waits between attempts: drawn evenly from [0, 2x), where x begins at firstWait and doubles up to longestWait/2.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = time.Minute
)

// Sender tells the site's backend of changes of state, in batches, one after the other:
//
//	Add ──▶ queue ──▶ batch ──▶ POST ──▶ 2xx: these events leave the queue, the next batch goes at once
//	          ▲                   └────▶ else: they keep their places
//	          └──── back-off ◀────────────┘
//
// What it promises: of a subject the backend is told at least the newest state, if it answers within MaxAge and no more than
// MaxPending subjects wait; it may be told a state twice, and an attempt that was given up may arrive late (Batch says how to
// see that). All methods may be called by any goroutine.
type Sender struct {
	// immutable
	config    Config
	transport *http.Transport
	wake      chan struct{} // Add → run, holds one; full: run will look anyway
	done      chan struct{} // closed when run has ended
	calm      context.Context
	hasten    context.CancelFunc // ends calm: Close has been called, no wait that began before goes on
	life      context.Context
	stop      context.CancelFunc // ends life: no attempt goes on

	// owned by run
	delays backoff.ExponentialBackOff
	number uint64 // of the batch made last

	mu      sync.Mutex
	queue   *queue       // guarded by mu
	counts  SenderCounts // guarded by mu; Waiting and Bytes are not kept here
	n       uint64       // guarded by mu; number of the event added last
	started bool         // guarded by mu
	ended   bool         // guarded by mu; nothing will be sent any more
}

// SenderCounts is what became of events. At any time
// Added = Sent + Superseded + DroppedFull + DroppedAge + DroppedClosed + Waiting.
type SenderCounts struct {
	Added         uint64 `json:"added"`          // events that Add was given
	Sent          uint64 `json:"sent"`           // events that the backend took
	Superseded    uint64 `json:"superseded"`     // events not sent because a newer one of their subject came
	DroppedFull   uint64 `json:"dropped_full"`   // events dropped because MaxPending others waited
	DroppedAge    uint64 `json:"dropped_age"`    // events dropped because they had waited for MaxAge
	DroppedClosed uint64 `json:"dropped_closed"` // events that came after the end
	Waiting       int    `json:"waiting"`        // events that wait or are under way
	Bytes         int64  `json:"bytes"`          // of memory that they take, estimated

	Batches   uint64 `json:"batches"`    // attempts that the backend took
	Failures  uint64 `json:"failures"`   // attempts that it did not
	Failing   uint64 `json:"failing"`    // attempts that failed since the last that did not
	LastError string `json:"last_error"` // why the last failure was one, at most 200 bytes, without secrets; stays when the backend is back
}

// New returns a Sender that sends nothing before Start.
func New(c Config) (*Sender, error) {
	u, err := target(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Secrets, err = checkSecrets(c.Secrets); err != nil {
		return nil, err
	}
	c.URL = u.String()
	if err := c.complete(); err != nil {
		return nil, err
	}
	s := &Sender{config: c, transport: newTransport(&c), wake: make(chan struct{}, 1), done: make(chan struct{}), queue: newQueue()}
	s.life, s.stop = context.WithCancel(context.Background())
	s.calm, s.hasten = context.WithCancel(s.life)
	s.delays = backoff.ExponentialBackOff{InitialInterval: firstWait, RandomizationFactor: 1, Multiplier: 2, MaxInterval: longestWait / 2}
	return s, nil
}

// wait waits by a timer, not longer than ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Start begins to send. It is called once.
func (s *Sender) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		panic("BUG: a Sender is started twice, or after Close")
	}
	s.started = true
	go s.run() // the Sender's only goroutine; ends by Close
}

// Add notes the new state of a user or channel, by its kind; at is the Unix time in milliseconds at which it came about. It
// supersedes what waits of the same subject. Event loops may call it: it takes a mutex for a moment and neither reads, writes,
// logs nor waits. Before Start, events wait.
func (s *Sender) Add(kind, name string, at int64) {
	e, now := newEvent(kind, name, at), s.config.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Added++
	switch {
	case s.ended:
		s.counts.DroppedClosed++
		return
	case s.queue.alike(e.subject()) >= s.config.MaxPending && !s.queue.has(e.subject()):
		s.counts.DroppedFull++
		return
	}
	s.n++
	e.N = s.n
	if s.queue.put(e, now) {
		s.counts.Superseded++
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Counts returns what became of events so far.
func (s *Sender) Counts() SenderCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Waiting, c.Bytes = s.queue.waiting(), s.queue.bytes
	return c
}

// Close sends what waits, and what is added meanwhile, until nothing waits or ctx is done; then it ends the Sender. A wait
// between attempts is cut short once, so that a backend that is back is told at once. It returns how many events were not
// sent; one whose attempt was cut short by ctx is among them although it may have arrived. Further calls wait for the same
// end. A Sender that was not started sends nothing.
func (s *Sender) Close(ctx context.Context) (unsent int) {
	s.hasten()
	s.mu.Lock()
	started := s.started
	if !started {
		s.started, s.ended = true, true
		close(s.done)
	}
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.stop)()
	<-s.done
	return s.Counts().Waiting
}

// run sends until Close.
func (s *Sender) run() {
	defer close(s.done)
	defer s.transport.CloseIdleConnections()
	for {
		events, more := s.next()
		switch {
		case !more:
			return
		case len(events) == 0:
			s.idle()
		default:
			s.send(events)
		}
	}
}

// idle waits for Add or Close.
func (s *Sender) idle() {
	select {
	case <-s.wake:
	case <-s.calm.Done():
	}
}

// next returns the next batch, empty when nothing waits, and whether there is more to come.
func (s *Sender) next() (events []Event, more bool) {
	s.expire()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil || s.calm.Err() != nil && s.queue.subjects() == 0 {
		s.ended = true
		return nil, false
	}
	return s.queue.take(s.config.MaxBatch), true
}

// expirePiece is how many events are dropped before others may have the mutex.
const expirePiece = 1000

// expire drops what has waited for too long.
func (s *Sender) expire() {
	before := s.config.Now().Add(-s.config.MaxAge)
	for n := expirePiece; n == expirePiece; {
		s.mu.Lock()
		n = s.queue.expire(before, expirePiece)
		s.counts.DroppedAge += uint64(n)
		s.mu.Unlock()
	}
}

// send makes one attempt with a batch, and waits if it fails.
func (s *Sender) send(events []Event) {
	after, err := s.attempt(events)
	s.settle(events, err)
	if err == nil {
		s.delays.Reset()
		return
	}
	s.pause(min(max(s.delays.NextBackOff(), after), longestWait))
}

// settle counts how an attempt ended. The log is told of the first failure, and of the first success after one.
func (s *Sender) settle(events []Event, err error) {
	s.mu.Lock()
	s.counts.Superseded += uint64(s.queue.settle(events, err == nil))
	failed := s.counts.Failing
	if err == nil {
		s.counts.Sent += uint64(len(events))
		s.counts.Batches++
		s.counts.Failing = 0
	} else {
		s.counts.Failures++
		s.counts.Failing++
		s.counts.LastError = cut(err.Error())
	}
	c := s.counts
	s.mu.Unlock()
	switch {
	case err != nil && failed == 0:
		s.config.Log("webhook: cannot tell the backend, will try again: %s", c.LastError)
	case err == nil && failed > 0:
		s.config.Log("webhook: the backend is told again, after %d failures; dropped since the start: %d too old, %d too many",
			failed, c.DroppedAge, c.DroppedFull)
	}
}

// pause waits before the next attempt. Close cuts short one that began before it.
func (s *Sender) pause(d time.Duration) {
	if s.calm.Err() != nil {
		_ = s.config.Wait(s.life, d) // whether life is over is seen by next
		return
	}
	if _ = s.config.Wait(s.calm, d); s.calm.Err() != nil {
		s.delays.Reset()
	}
}
