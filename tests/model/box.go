package model

import (
	"fmt"
	"slices"
	"sync"
)

// Box is what has been put into a user's mailbox, by a single publisher, one letter after the other: so the numbers that the server
// gives them grow with ours. A letter is message n of generation 0 of the user's own channel.
type Box struct {
	truth   *Truth
	user    string
	channel string

	mu      sync.Mutex
	letters []*letter          // guarded by mu; letters[n-1] is letter n
	byMail  map[uint64]*letter // guarded by mu
	clock   int                // guarded by mu: counts acknowledgements
	upTo    uint64             // guarded by mu: up to here all are acknowledged for sure
	upToAt  int                // guarded by mu: since when
}

// letter is one letter. All of it is guarded by the box's mu.
type letter struct {
	n         uint64
	from, to  int64  // the processes that may have it, by their number; to is 0 until it was answered
	mail      uint64 // the number that was answered, 0: none
	published bool   // it came as a publication, since the user was there
	ordered   bool   // its acknowledgement may be on its way
	acked     int    // since when it was acknowledged for sure, by the box's clock; 0: not
}

// acking is an acknowledgement that is on its way.
type acking struct {
	upTo    uint64
	only    []uint64
	letters []*letter
	most    int // letters that it may take out
}

// Next begins the next letter. It is said before it is pushed.
func (b *Box) Next() *letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &letter{n: uint64(len(b.letters) + 1), from: b.truth.starts.Load()}
	b.letters = append(b.letters, l)
	return l
}

// Answered notes what the publisher was answered: a number, or 0 where it was published.
func (b *Box) Answered(l *letter, mail uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.to = b.truth.starts.Load()
	if mail == 0 {
		l.published = true
		return b.both(l)
	}
	l.mail = mail
	return b.seen(l, mail)
}

// Published notes that a letter came as a publication.
func (b *Box) Published(n uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.letters[n-1]
	l.published = true
	return b.both(l)
}

// both checks that a message is not a letter and a publication as well. The caller holds mu.
func (b *Box) both(l *letter) error {
	for mail, x := range b.byMail {
		if x == l && l.published {
			return fmt.Errorf("%s: message %d is letter %d, and was published too", b.user, l.n, mail)
		}
	}
	return nil
}

// seen notes the number of a letter: one in each process that may have it. The caller holds mu.
func (b *Box) seen(l *letter, mail uint64) error {
	if x := b.byMail[mail]; x != nil && x != l {
		return fmt.Errorf("%s: letters %d and %d have one number, %d", b.user, x.n, l.n, mail)
	} else if x != nil {
		return nil
	}
	numbers := int64(1)
	for other, x := range b.byMail {
		switch {
		case x == l:
			numbers++
		case l.from == b.truth.starts.Load() && x.from == l.from && (x.n < l.n) != (other < mail): // in one process
			return fmt.Errorf("%s: letter %d has the number %d, letter %d has %d", b.user, x.n, other, l.n, mail)
		}
	}
	to := l.to
	if to == 0 {
		to = b.truth.starts.Load()
	}
	if numbers > to-l.from+1 {
		return fmt.Errorf("%s: doubled: letter %d has %d numbers, one is %d", b.user, l.n, numbers, mail)
	}
	b.byMail[mail] = l
	return b.both(l)
}

// find returns the letter that an object says it is, after a look at every byte of it.
func (b *Box) find(o *object) (*letter, error) {
	if o.Channel != b.channel || o.Position != "" || o.Offset != 0 {
		return nil, fmt.Errorf("of %s, offset %d, position %q", o.Channel, o.Offset, o.Position)
	}
	channel, generation, n, err := readRaw(decoded(o))
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if channel != b.channel || generation != 0 || n == 0 || n > uint64(len(b.letters)) {
		return nil, fmt.Errorf("invented: message %d of generation %d of %s", n, generation, channel)
	}
	if err := checkWire(o, 0, n); err != nil {
		return nil, err
	}
	return b.letters[n-1], b.seen(b.letters[n-1], o.Mail)
}

// Mark returns the box's clock, before something is asked of the server: letters that are acknowledged by then do not come.
func (b *Box) Mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

// Given checks that a letter may be given to who has asked at mark, and was given letter last before; process is that of the
// connection, 0 when that is not known. Where gaps is false all between the two may be missing only if they are acknowledged.
func (b *Box) Given(o *object, last uint64, mark int, process int64, gaps bool) (n uint64, err error) {
	l, err := b.find(o)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.acked > 0 && l.acked <= mark || o.Mail <= b.upTo && b.upToAt <= mark {
		return 0, fmt.Errorf("acknowledged: letter %d comes again", l.n)
	}
	for n := last + 1; n < l.n && !gaps; n++ {
		if x := b.letters[n-1]; !x.published && !x.ordered && x.to == process && x.from == process {
			return 0, fmt.Errorf("lost: letter %d (number %d) after letter %d, and not letter %d (number %d)", l.n, o.Mail, last, n, x.mail)
		}
	}
	return l.n, nil
}

// Order is said before letters are acknowledged: all up to a number, or those of only.
func (b *Box) Order(upTo uint64, only []uint64) *acking {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &acking{upTo: upTo, only: only}
	last := uint64(0)
	if x := b.byMail[upTo]; x != nil {
		last = x.n
	}
	for _, mail := range only {
		if x := b.byMail[mail]; x != nil {
			a.letters = append(a.letters, x)
		}
	}
	for _, x := range b.letters[:last] {
		a.letters = append(a.letters, x)
	}
	for _, x := range a.letters {
		x.ordered = true
		if x.acked == 0 {
			a.most++
		}
	}
	return a
}

// Done notes that an acknowledgement was answered; n is how many letters it took out, -1 when that was not said.
func (b *Box) Done(a *acking, n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > a.most {
		return fmt.Errorf("%s: %d letters acknowledged, of at most %d", b.user, n, a.most)
	}
	b.clock++
	if a.upTo > b.upTo {
		b.upTo, b.upToAt = a.upTo, b.clock
	}
	for _, x := range a.letters {
		if x.acked == 0 && x.mail > 0 && x.from == x.to && (x.mail <= a.upTo || slices.Contains(a.only, x.mail)) {
			x.acked = b.clock
		}
	}
	return nil
}

// Listed checks what the backend is told of the mailbox at rest: everything that was put and not acknowledged, nothing else.
func (b *Box) Listed(objects []object) error {
	last, there, process := uint64(0), map[*letter]bool{}, b.truth.starts.Load()
	for i := range objects {
		o := &objects[i]
		l, err := b.find(o)
		if err != nil {
			return fmt.Errorf("%s's mailbox: %w", b.user, err)
		}
		if o.Mail <= last {
			return fmt.Errorf("%s's mailbox: number %d after %d", b.user, o.Mail, last)
		}
		last, there[l] = o.Mail, true
		b.mu.Lock()
		acked := l.acked > 0 || o.Mail <= b.upTo
		b.mu.Unlock()
		if acked {
			return fmt.Errorf("%s's mailbox: acknowledged: letter %d is still there", b.user, l.n)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.letters {
		if l.mail > 0 && l.from == process && l.to == process && !l.ordered && !there[l] {
			return fmt.Errorf("%s's mailbox: lost: letter %d (number %d) of %d is not there", b.user, l.n, l.mail, len(b.letters))
		}
	}
	return nil
}

// Owed returns the number of the newest of these letters that nobody has begun to acknowledge, 0 for none.
func (b *Box) Owed(objects []object) (mail uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range slices.Backward(objects) {
		if x := b.byMail[objects[i].Mail]; x != nil && !x.ordered {
			return objects[i].Mail
		}
	}
	return 0
}
