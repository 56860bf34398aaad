package report

import (
	"errors"
	"fmt"
)

// Faults are what clients found wrong with what they were sent.
type Faults struct {
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
	Corrupted  uint64 `json:"corrupted"`
	Disordered uint64 `json:"disordered"` // clients that saw several publishers' messages in another order than most
	Untrue     uint64 `json:"untrue"`     // what was told of who is in a channel and cannot be, or is not so
}

// Add adds o's.
func (f *Faults) Add(o Faults) {
	f.Lost += o.Lost
	f.Duplicated += o.Duplicated
	f.Reordered += o.Reordered
	f.Corrupted += o.Corrupted
	f.Disordered += o.Disordered
	f.Untrue += o.Untrue
}

// Err is nil when nothing was wrong.
func (f *Faults) Err() error {
	if *f == (Faults{}) {
		return nil
	}
	text := fmt.Sprintf("deliveries were wrong: %d lost, %d duplicated, %d reordered, %d corrupted, %d clients saw another order",
		f.Lost, f.Duplicated, f.Reordered, f.Corrupted, f.Disordered)
	if f.Untrue > 0 {
		text += fmt.Sprintf(", %d times it was not true who is there", f.Untrue)
	}
	return errors.New(text)
}
