package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Message is what is pushed, as POST /publish takes it (PROTOCOL.md "Backend listener").
type Message struct {
	Channel string `json:"channel,omitempty"`
	User    string `json:"user,omitempty"`
	Event   string `json:"event,omitempty"`
	Mailbox string `json:"mailbox,omitempty"` // "away" or "always": kept for the user until it is acknowledged
	ID      string `json:"id,omitempty"`      // pushed twice with the same it is stored once
	Data    any    `json:"data"`
}

// Pushed is what Encke answers.
type Pushed struct {
	Offset      uint64 `json:"offset"`
	Position    string `json:"position"`
	Mail        uint64 `json:"mail"`
	Subscribers int    `json:"subscribers"`
}

// pushing keeps connections to the backend listener, and gives up after a while.
var pushing = &http.Client{Timeout: 10 * time.Second}

// Push pushes a message. Anybody may call it.
func (s *Site) Push(ctx context.Context, m Message) (p Pushed, err error) {
	return p, s.Ask(ctx, "POST", "/publish", m, &p)
}

// Ask makes a request to Encke's backend listener. body is sent as JSON unless it is nil, the answer is taken as JSON unless answer is.
func (s *Site) Ask(ctx context.Context, method, path string, body, answer any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("cannot encode a message: %w", err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Backend+path, text)
	if err != nil {
		return fmt.Errorf("cannot ask Encke: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := pushing.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask Encke: %w", err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	switch {
	case err != nil:
		return fmt.Errorf("cannot read what Encke answers: %w", err)
	case res.StatusCode >= 300:
		return fmt.Errorf("%s %s: %w", method, path, &Refused{res.StatusCode, string(got)})
	case answer == nil:
		return nil
	}
	return json.Unmarshal(got, answer)
}

// Refused is the error of what Encke does not do: the status of HTTP, and its words.
type Refused struct {
	Status int
	Text   string
}

func (r *Refused) Error() string { return fmt.Sprintf("Encke answers %d: %s", r.Status, r.Text) }

// UserPath returns the path of a user at the backend listener.
func UserPath(id string) string { return "/users/" + url.PathEscape(id) }
