package channel

import (
	"sync"
	"sync/atomic"
)

// maxForms is how many forms a publication may have.
const maxForms = 8

// Forms keeps the encodings of one publication, each made by whoever needs it first and then shared. Forms 0 to 7 mean
// what their user says; a form has at least one byte and is immutable. All methods may be called by anybody at any time.
// What is stored counts as the history's memory for as long as the publication is kept.
type Forms struct {
	building sync.Mutex // held while Get builds

	// atomic
	first   atomic.Pointer[form] // a list, newest first, that only grows
	counted atomic.Int64         // bytes added to account; settled when they count no longer

	account *atomic.Int64 // immutable once published: where bytes are counted, nil for nowhere
}

// form is an element of the list. It is immutable.
type form struct {
	next  *form
	bytes []byte
	index int
}

// settled is the value of Forms.counted after settle.
const settled = -1

// formOverhead is the size of a form without its bytes.
const formOverhead = 40

// Load returns form i, nil when nobody has stored it yet. It takes no lock.
func (f *Forms) Load(i int) []byte {
	for e := f.first.Load(); e != nil; e = e.next {
		if e.index == i {
			return e.bytes
		}
	}
	return nil
}

// Store makes b form i and returns it, or returns the one that was first. b must not be changed any more.
func (f *Forms) Store(i int, b []byte) []byte {
	if uint(i) >= maxForms || len(b) == 0 {
		panic("BUG: a form has an index from 0 to 7 and at least one byte")
	}
	added := &form{index: i, bytes: b}
	for {
		added.next = f.first.Load()
		for e := added.next; e != nil; e = e.next {
			if e.index == i {
				return e.bytes
			}
		}
		if f.first.CompareAndSwap(added.next, added) {
			f.count(int64(cap(b)) + formOverhead)
			return b
		}
	}
}

// Get returns form i. When there is none it calls build, once for all who ask at the same time; the others wait. build
// must not call Get of the same publication. A caller that cannot afford the closure on the hit path asks Load first.
func (f *Forms) Get(i int, build func() []byte) []byte {
	if b := f.Load(i); b != nil {
		return b
	}
	f.building.Lock()
	defer f.building.Unlock()
	if b := f.Load(i); b != nil {
		return b
	}
	return f.Store(i, build())
}

// count adds n bytes to the account, unless settle has ended that.
func (f *Forms) count(n int64) {
	if f.account == nil {
		return
	}
	for {
		old := f.counted.Load()
		if old == settled {
			return
		}
		if f.counted.CompareAndSwap(old, old+n) {
			f.account.Add(n)
			return
		}
	}
}

// settle takes back from the account what was counted, ends the counting and returns the bytes. Call it once.
func (f *Forms) settle() int64 {
	if f.account == nil {
		return 0
	}
	n := f.counted.Swap(settled)
	f.account.Add(-n)
	return n
}
