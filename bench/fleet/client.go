package fleet

import (
	"time"

	"encke/netloop"
)

// state is how far a client has come.
//
//	away ──dial──▶ dialing ──connected──▶ asking ──answered──▶ here
//	  ▲                                                          │
//	  └──────────────── closed, by either side ◀─────────────────┘
type state uint8

const (
	away state = iota
	dialing
	asking
	here
)

// marks of a client.
type marks uint8

const (
	late      marks = 1 << iota // joined in mid-stream: whatever comes first is its first
	deaf                        // never reads
	chunked                     // the answer comes in chunks
	visiting                    // leaves as soon as it is connected
	elsewhere                   // is subscribed to another channel too
	placed                      // has a position to come back with
	resting                     // polls at its interval
)

// client is a client's record: no pointers, so that the garbage collector never walks a million of them.
type client struct {
	order    uint64 // hash of all deliveries in their order
	offset   uint64 // of the last publication, or seconds of Last-Modified
	number   uint32 // within its group
	conn     uint32 // unless away
	began    uint32 // µs of the fleet's clock, when it began to connect
	chunk    uint32 // bytes left of the current chunk
	tag      uint32 // of an Etag
	group    uint8
	epoch    uint8 // index into the loop's epochs
	state    state
	marks    marks
	attempts uint8
}

// Group is a kind of clients.
type Group struct {
	Transport   string        `json:"transport"` // ws, sse, stream, longpoll, poll
	JSON        bool          `json:"json"`      // messages come as Encke's publications; otherwise a message is the payload
	Remotes     []string      `json:"remotes"`   // addresses, taken in turn
	Path        string        `json:"path"`      // of the request; # stands for the client's number
	Subprotocol string        `json:"subprotocol,omitempty"`
	First       int           `json:"first"` // number of the first client
	Count       int           `json:"count"`
	Interval    time.Duration `json:"interval,omitempty"` // of an interval poll
	Resume      bool          `json:"resume,omitempty"`   // come back with the position (JSON)
	Deaf        bool          `json:"deaf,omitempty"`     // never read after the answer
	Visit       bool          `json:"visit,omitempty"`    // leave as soon as connected
	Streams     bool          `json:"streams,omitempty"`  // each client is sent the stream of its number; otherwise all stream 0
	Users       int           `json:"users,omitempty"`    // client number n brings a token of user n modulo so many; 0: no tokens
	Own         bool          `json:"own,omitempty"`      // its user's own channel is the only one that a client follows
}

// transport is what clients of one transport do.
type transport interface {
	// ask sends the request.
	ask(l *loop, i uint32, c *client)
	// data takes bytes and returns how many.
	data(l *loop, i uint32, c *client, b []byte) int
	// timeout tells of a timer.
	timeout(l *loop, i uint32, c *client)
}

var transports = map[string]transport{
	"ws": socket{}, "sse": lines{}, "stream": lines{}, "longpoll": poll{}, "poll": poll{},
}

func (c *client) id() netloop.ID { return netloop.ID(c.conn) }
