package channel

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
)

func TestFormsAreBuiltOnce(t *testing.T) {
	var (
		f      Forms
		builds atomic.Int32
		done   sync.WaitGroup
	)
	for range 16 {
		done.Go(func() {
			for i := range maxForms {
				got := f.Get(i, func() []byte { builds.Add(1); return []byte{byte(i)} })
				if !bytes.Equal(got, []byte{byte(i)}) || &got[0] != &f.Load(i)[0] {
					t.Errorf("form %d is %v", i, got)
				}
			}
		})
	}
	done.Wait()
	if builds.Load() != maxForms {
		t.Errorf("%d builds", builds.Load())
	}
}

func TestFirstStoredFormWins(t *testing.T) {
	var (
		f    Forms
		done sync.WaitGroup
		won  [16]byte
	)
	if f.Load(3) != nil {
		t.Error("a form out of nothing")
	}
	for i := range won {
		done.Go(func() { won[i] = f.Store(3, []byte{byte(i)})[0] })
	}
	done.Wait()
	for _, w := range won {
		if w != f.Load(3)[0] {
			t.Errorf("%v won, but also %v", f.Load(3), w)
		}
	}
}

// TestFormsCountAsMemory checks that forms are counted while the publication is kept, and never after.
func TestFormsCountAsMemory(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1})
	publish := func() *Publication {
		s.Publish([]byte("c"), &Message{Data: []byte("a")}, 7)
		return kept(s, "c")[0]
	}
	p := publish()
	bare := s.Totals().Bytes
	p.Forms.Store(0, make([]byte, 100))
	p.Forms.Store(0, make([]byte, 100))
	if got := s.Totals().Bytes; got != bare+100+formOverhead {
		t.Errorf("%d bytes with a form of 100, %d without", got, bare)
	}
	publish()
	p.Forms.Store(1, make([]byte, 100))
	if got := s.Totals().Bytes; got != bare {
		t.Errorf("%d bytes after eviction, want %d", got, bare)
	}
	s.Delete([]byte("c"), 7)
	if got := s.Totals().Bytes; got != 0 {
		t.Errorf("%d bytes of nothing", got)
	}
}

func TestFormsHitDoesNotAllocate(t *testing.T) {
	var f Forms
	word := []byte("x")
	f.Store(2, word)
	if n := testing.AllocsPerRun(100, func() {
		f.Load(2)
		f.Get(2, func() []byte { return word })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
