package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestKilledAndStartedAgain kills the server with SIGKILL and starts it again: history is gone, and every client that comes
// back with its position is told so, on every transport, and then given what there is.
func TestKilledAndStartedAgain(t *testing.T) {
	s := start(t)
	for i := range 3 {
		s.push(t, fmt.Sprint("before ", i))
	}
	position := regexp.MustCompile(`"position":"(\w+\.3)","recovered":true}$`).FindStringSubmatch(s.get(t, "poll?channels=k&since=0&wait=0"))
	if position == nil {
		t.Fatal("no position")
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
	s.launch(t)
	s.push(t, "after")
	gap := regexp.MustCompile(`\{"channel":"k","gap":true,"reason":"epoch","position":"\w+\.0"\}`)
	for name, read := range map[string]func() string{
		"poll":        func() string { return s.get(t, "poll?channels=k&wait=0&since="+position[1]) },
		"long poll":   func() string { return s.get(t, "poll?channels=k&wait=10s&since="+position[1]) },
		"sse":         func() string { return s.until(t, "sse?channels=k&since="+position[1], "", "after") },
		"EventSource": func() string { return s.until(t, "sse?channels=k", position[1], "after") },
		"stream":      func() string { return s.until(t, "stream?channels=k&since="+position[1], "", "after") },
		"ws":          func() string { return s.socket(t, "ws?channels=k&since="+position[1], "after") },
	} {
		text := read()
		at := gap.FindStringIndex(text)
		if at == nil || !strings.Contains(text[at[1]:], `"data":"after"`) || strings.Contains(text, "before") {
			t.Errorf("%s: no gap, or not in front of what is kept:\n%s", name, text)
		}
		if name == "ws" && !strings.Contains(text, `"recovered":false`) {
			t.Errorf("%s: does not say that it was not recovered:\n%s", name, text)
		}
	}
	s.end(t)
}

func (s *server) push(t *testing.T, text string) {
	t.Helper()
	r, err := http.Post(s.backend+"channels/k", "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
}

func (s *server) get(t *testing.T, target string) string {
	t.Helper()
	r, err := http.Get(s.site + target)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return strings.TrimSpace(string(b))
}

// until reads an endless answer up to the line with some text.
func (s *server) until(t *testing.T, target, lastEventID, text string) (all string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	q, _ := http.NewRequestWithContext(ctx, "GET", s.site+target, nil)
	if lastEventID != "" {
		q.Header.Set("Last-Event-ID", lastEventID)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		all += lines.Text() + "\n"
		if strings.Contains(lines.Text(), text) {
			break
		}
	}
	return all
}

// socket reads WebSocket messages up to the one with some text.
func (s *server) socket(t *testing.T, target, text string) (all string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, early, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.site, "http")+target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	var r io.Reader = c
	if early != nil {
		r = early
	}
	for !strings.Contains(all, text) {
		f, err := ws.ReadFrame(r)
		if err != nil {
			return all
		}
		all += string(f.Payload) + "\n"
	}
	return all
}
