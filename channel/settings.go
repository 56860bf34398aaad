package channel

// Slow is what becomes of subscribers that read more slowly than is published to their channel. The Store keeps it for
// those who deliver.
type Slow uint8

// The ways with slow subscribers.
const (
	SlowResume     Slow = iota // end the connection, so that the client comes back with its position
	SlowDropOldest             // give it what is still kept when it has caught up, and tell it of the gap
	SlowLatest                 // give it the newest only when it has caught up, and tell it of the gap
)

var slowNames = [...]string{"resume", "drop-oldest", "latest"}

// String returns the name that stands in configurations.
func (s Slow) String() string { return slowNames[s] }

// ParseSlow reads such a name.
func ParseSlow(name string) (s Slow, ok bool) {
	for i, n := range slowNames {
		if n == name {
			return Slow(i), true
		}
	}
	return 0, false
}

// Settings are what may be otherwise from channel to channel.
type Settings struct {
	Length int   // publications kept; 0 keeps none
	Age    int64 // for how many milliseconds they are kept; 0 is no limit
	Slow   Slow
}

// Rule gives settings to the channels whose names fit a pattern.
type Rule struct {
	Pattern string
	Settings
}

// settings returns those of a channel: of the first rule that fits.
func (s *Store) settings(name []byte) *Settings {
	for i := range s.conf.Rules {
		if r := &s.conf.Rules[i]; Match(r.Pattern, name) {
			return &r.Settings
		}
	}
	return &s.defaults
}
