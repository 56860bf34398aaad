package presence

// Mode is how much of a channel's presence is published.
type Mode uint8

// The modes.
const (
	Off     Mode = iota // nothing, and no record is made
	Counts              // how many users and connections there are
	Members             // who comes and goes as well
)

var modeNames = [...]string{"off", "counts", "members"}

// String returns the name that stands in configurations.
func (m Mode) String() string { return modeNames[m] }

// ParseMode reads such a name.
func ParseMode(name string) (m Mode, ok bool) {
	for i, n := range modeNames {
		if n == name {
			return Mode(i), true
		}
	}
	return Off, false
}
