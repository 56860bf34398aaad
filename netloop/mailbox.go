package netloop

import (
	"sync"
	"sync/atomic"
)

// Mail is a message to a loop. What the fields mean is the handler's business.
type Mail struct {
	To   Handle // the connection meant, or 0
	Kind uint32
	N    uint64
	Val  any // a pointer, so that posting does not allocate
}

// mailbox is a queue of many senders and one receiver, the loop. It grows with what is posted: senders that could post
// without end bound themselves (see Loop.Backlog). When the loop may be asleep, the first message wakes it by eventfd.
type mailbox struct {
	mu    sync.Mutex
	queue []Mail // guarded by mu
	over  bool   // guarded by mu: the loop has stopped, mail is dropped

	awake atomic.Bool // the loop will look at the queue before it sleeps
	spare []Mail      // owned by the loop: the other buffer
}

// post appends m, and calls wake where the loop may be asleep. The call is made under the lock, so that no wake-up
// reaches for an eventfd that Stop has closed.
func (b *mailbox) post(m Mail, wake func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.queue = append(b.queue, m)
	if len(b.queue) == 1 && !b.awake.Load() {
		wake()
	}
}

// end drops what is there and all that is still to come.
func (b *mailbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over, b.queue = true, nil
}

// take returns what has been posted, in order. The slice is valid until the next take.
func (b *mailbox) take() []Mail {
	clear(b.spare)
	if cap(b.spare) > 1<<16 {
		b.spare = nil
	}
	b.mu.Lock()
	got := b.queue
	b.queue = b.spare[:0]
	b.mu.Unlock()
	b.spare = got
	return got
}

func (b *mailbox) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}
