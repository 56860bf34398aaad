package webhook

// The kinds of events. Each is the new state of its subject.
const (
	UserOnline      = "user_online"
	UserOffline     = "user_offline"
	ChannelOccupied = "channel_occupied"
	ChannelVacated  = "channel_vacated"
)

// Batch is the body of a Sender's request.
//
// Every attempt has a batch of its own, with a number of its own: what is tried again may go with newer events. So a receiver
// remembers for each subject the N that it knows, and passes over an event of the same epoch whose N is lower: such a one is
// late, and would turn the state back.
type Batch struct {
	Epoch  string  `json:"epoch"` // of the process that counts N and Number
	Number uint64  `json:"batch"`
	Events []Event `json:"events"` // in the order in which their subjects began to wait; N need not ascend
}

// Event is the state of one subject, User or Channel.
type Event struct {
	N       uint64 `json:"n"` // ascends with each event of the process, with gaps
	Kind    string `json:"event"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel,omitempty"`
	Time    int64  `json:"time"` // Unix time in milliseconds at which the state came about
}

// subject is whose state an event tells: a user is not a channel of the same name.
type subject struct{ user, channel string }

func (e *Event) subject() subject { return subject{e.User, e.Channel} }

// newEvent returns an event that has no number yet.
func newEvent(kind, name string, at int64) Event {
	switch kind {
	case UserOnline, UserOffline:
		return Event{Kind: kind, User: name, Time: at}
	case ChannelOccupied, ChannelVacated:
		return Event{Kind: kind, Channel: name, Time: at}
	}
	panic("BUG: there is no event " + kind)
}
