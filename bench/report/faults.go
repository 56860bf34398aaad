package report

import "fmt"

// Faults are what clients found wrong with what they were sent.
type Faults struct {
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
	Corrupted  uint64 `json:"corrupted"`
	Disordered uint64 `json:"disordered"` // clients that saw several publishers' messages in another order than most
}

// Add adds o's.
func (f *Faults) Add(o Faults) {
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
	return fmt.Errorf("deliveries were wrong: %d lost, %d duplicated, %d reordered, %d corrupted, %d clients saw another order",
		f.Lost, f.Duplicated, f.Reordered, f.Corrupted, f.Disordered)
}
