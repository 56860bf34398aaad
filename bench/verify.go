package bench

import "fmt"

// Faults are what subscribers found wrong.
type Faults struct {
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
	Corrupted  uint64 `json:"corrupted"`
	Disordered uint64 `json:"disordered"` // subscribers that saw several publishers' messages in another order than most
}

func (f *Faults) add(o Faults) {
	f.Lost += o.Lost
	f.Duplicated += o.Duplicated
	f.Reordered += o.Reordered
	f.Corrupted += o.Corrupted
	f.Disordered += o.Disordered
}

// Err is nil when nothing was wrong.
func (f *Faults) Err() error {
	if *f == (Faults{}) {
		return nil
	}
	return fmt.Errorf("deliveries were wrong: %d lost, %d duplicated, %d reordered, %d corrupted, %d subscribers saw another order",
		f.Lost, f.Duplicated, f.Reordered, f.Corrupted, f.Disordered)
}

// verifier holds one subscriber's deliveries against what each publisher sent: sequences 1, 2, 3, …
type verifier struct {
	last    []uint32            // of each publisher
	missing map[uint64]struct{} // publisher<<32 | sequence passed over; nil while all is well
	order   uint64              // hash of all deliveries in their order
	faults  Faults
}

// deliver takes the next payload. ok is false when it could not be read.
func (v *verifier) deliver(b []byte, size int) (m mark, ok bool) {
	m, ok = parsePayload(b, size)
	if !ok || int(m.publisher) >= len(v.last) {
		v.faults.Corrupted++
		return m, false
	}
	v.order = (v.order ^ (uint64(m.publisher)<<32 | uint64(m.sequence))) * 0x9e3779b97f4a7c15
	last := &v.last[m.publisher]
	switch {
	case m.sequence == *last+1:
		*last = m.sequence
	case m.sequence > *last:
		v.pass(m.publisher, *last+1, m.sequence)
		*last = m.sequence
	default:
		v.late(m)
	}
	return m, true
}

// pass notes that [from, to) have not come when they should have.
func (v *verifier) pass(publisher uint8, from, to uint32) {
	if v.missing == nil {
		v.missing = map[uint64]struct{}{}
	}
	for ; from < to; from++ {
		if len(v.missing) > 10000 { // bounded: it is bad enough
			v.faults.Lost++
			continue
		}
		v.missing[uint64(publisher)<<32|uint64(from)] = struct{}{}
	}
}

// late sorts what came behind a later one: for the first time, or again.
func (v *verifier) late(m mark) {
	key := uint64(m.publisher)<<32 | uint64(m.sequence)
	if _, ok := v.missing[key]; ok {
		delete(v.missing, key)
		v.faults.Reordered++
		return
	}
	v.faults.Duplicated++
}

// end holds the subscriber against the number of messages that each publisher had acknowledged.
func (v *verifier) end(sent []uint32) Faults {
	f := v.faults
	f.Lost += uint64(len(v.missing))
	for p, n := range sent {
		if v.last[p] < n {
			f.Lost += uint64(n - v.last[p])
		}
	}
	return f
}

// disordered counts the verifiers that saw another order than most. It means something only when nothing was lost.
func disordered(all []*verifier) uint64 {
	seen := map[uint64]int{}
	most := 0
	for _, v := range all {
		seen[v.order]++
		most = max(most, seen[v.order])
	}
	return uint64(len(all) - most)
}
