package model

// Subscriber is a client's memory between its connections: the position that it holds of each channel, "" before the first, who is
// in the channels whose presence it follows, and the numbers of the letters that it has got last.
type Subscriber struct {
	truth *Truth
	held  map[string]*[]byte
	box   *Box             // of its user; nil: it has none
	rolls map[string]*roll // by companion, where a snapshot was taken and nothing was missed since
	read  []uint64
}

// NewSubscriber returns one that holds nothing.
func NewSubscriber(truth *Truth) *Subscriber {
	return &Subscriber{truth: truth, held: map[string]*[]byte{}, rolls: map[string]*roll{}}
}

// Holds returns the position that it holds of a channel.
func (s *Subscriber) Holds(channel string) string {
	if p := s.held[channel]; p != nil {
		return string(*p)
	}
	return ""
}

// knowledge is what a connection knows of its place in a channel.
type knowledge uint8

const (
	exactly   knowledge = iota // at is where it stands
	fromNow                    // it has asked for what comes, and was not told yet where that is
	fromStart                  // it has asked for everything kept
)

// ask is a subscription as it was asked for, with what the model knew when it was.
type ask struct {
	channel string
	knows   knowledge
	at      place
	floor   *generation // fromNow: at least the offset least of this generation had been reached
	least   uint64
}

// precedes says whether an offset is before what had been reached when a subscription from now on was asked for.
func (a *ask) precedes(offset uint64, g *generation) bool {
	return g != nil && a.floor != nil && (g.number < a.floor.number || g == a.floor && offset < a.least)
}

// Ask is said before the request is sent: since is a position, "0" or "".
func (s *Subscriber) Ask(channel, since string) (ask, error) {
	switch since {
	case "0":
		return ask{channel: channel, knows: fromStart}, nil
	case "":
		a := ask{channel: channel, knows: fromNow}
		if g := s.truth.streams[channel].current(); g != nil {
			a.floor, a.least = g, g.answered.Load()
		}
		return a, nil
	}
	p, err := readPlace(since)
	return ask{channel: channel, at: p}, err
}
