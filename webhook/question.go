package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The hooks at which the backend can be asked.
const (
	HookConnect   = "connect"
	HookSubscribe = "subscribe"
	HookPublish   = "publish"
)

// Question is what a client wants to do: the body of an Asker's request. What is empty is left out.
type Question struct {
	Hook      string          `json:"hook"`
	User      string          `json:"user,omitempty"`
	Address   string          `json:"address,omitempty"`
	Transport string          `json:"transport,omitempty"`
	Channels  []string        `json:"channels,omitempty"`
	Channel   string          `json:"channel,omitempty"`
	Event     string          `json:"event,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"` // JSON, as the client sent it
}

// Answer is what the backend says.
type Answer struct {
	Allow  bool
	Reason string          // why not, for the client: a line of valid UTF-8, at most 200 bytes; may be empty
	Data   json.RawMessage // JSON in place of the question's; nil: as it was. Only when allowed
}

// parseAnswer reads an answer:
//
//	200 {"allow":true}, {"allow":true,"data":…}, {"allow":false,"reason":"…"}
//	204 allowed, 403 refused; of a 403's body, which may be anything, only the reason of an object counts
//
// Everything else is an error. Names are taken as they are written, "Allow" is not "allow"; null is the same as nothing.
func parseAnswer(status int, body []byte) (Answer, error) {
	switch status {
	case 200:
		return parseObject(body)
	case 204:
		return Answer{Allow: true}, nil
	case 403:
		a, _ := parseObject(body)
		return Answer{Reason: a.Reason}, nil
	}
	return Answer{}, fmt.Errorf("the answer was %d", status)
}

// parseObject reads the object of an answer. Its result has the reason even where it has an error.
func parseObject(body []byte) (a Answer, err error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return a, errors.New("the answer is not a JSON object")
	}
	if reason := fields["reason"]; reason != nil && json.Unmarshal(reason, &a.Reason) != nil {
		return a, errors.New("the answer's reason is not a string")
	}
	a.Reason = cut(a.Reason)
	switch string(fields["allow"]) {
	case "true":
		a.Allow, a.Reason = true, ""
		if data := fields["data"]; string(data) != "null" {
			a.Data = data
		}
	case "false":
	default:
		return a, errors.New("the answer does not say allow: true or false is wanted")
	}
	return a, nil
}
