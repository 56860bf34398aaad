package game

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	silence   = time.Minute // Encke gives a sign of life every 25 s
	mostLine  = 16 << 10
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
)

// readWish takes a wish as a page sends it. Anything else than the four fields is no wish.
func readWish(text []byte) (w Wish, ok bool) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	w.D = -2 // it has to be said
	if in.Decode(&w) != nil || in.More() {
		return w, false
	}
	return w, w.valid()
}

// readPublication takes a wish out of a publication of game:wishes. The user is the one of the token with which it was published, as Encke
// says, whatever stands in the wish.
func readPublication(text []byte) (user string, w Wish, ok bool) {
	var m struct {
		User string          `json:"user"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(text, &m) != nil || m.User == "" {
		return "", w, false
	}
	w, ok = readWish(m.Data)
	return m.User, w, ok
}

// follow gives every event's data of an event stream of Encke's backend listener to take, and comes back when the stream is cut, until ctx
// is done. What was published in between is lost: wishes are of now.
func follow(ctx context.Context, url string, take func(data []byte)) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		began := time.Now()
		_ = followOnce(ctx, url, take) // why it was cut matters to nobody: it is tried again
		if time.Since(began) > lastWait {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func followOnce(ctx context.Context, url string, take func(data []byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("cannot read wishes: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("cannot read wishes: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot read wishes: Encke answers %d", res.StatusCode)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, mostLine)
	for lines.Scan() {
		silent.Reset(silence)
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
			take(data)
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("cannot read wishes: %w", lines.Err())
	}
	return io.EOF
}
