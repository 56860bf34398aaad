package model

import (
	"encoding/json"
)

// object is everything that the server says in JSON.
type object struct {
	ID       json.RawMessage
	Channel  string
	Offset   uint64
	Position string
	Event    string
	Type     string
	Encoding string
	Data     json.RawMessage
	Time     int64
	Mail     uint64 // of a letter

	Gap    bool
	Reason string

	Subscribed *struct {
		Channel, Position string
		Recovered         *bool
	}
	Unsubscribed *struct{ Channel string }
	Pong         *struct{ Time int64 }
	Presence     *snapshot
	Ack          *struct{ Acknowledged int }
	Error        *struct{ Code, Message string }

	Recovered *bool // of a stream's beginning
	Closing   string
	Retry     *int64
}
