package model

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestResetDuringReplay asks for more history than the server gathers before it sends (256 KiB), in two channels, and resets the
// connection while the server puts it together: the send fails in the middle of serving the request.
func TestResetDuringReplay(t *testing.T) {
	for _, request := range []string{
		"/ws?channels=a,b&since=0,0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"/sse?channels=a,b&since=0,0 HTTP/1.1\r\nHost: localhost\r\n",
		"/stream?channels=a,b&since=0,0 HTTP/1.1\r\nHost: localhost\r\n",
		"/poll?channels=a,b&since=0,0 HTTP/1.1\r\nHost: localhost\r\n",
		"/poll?channels=a,b&since=0,0&wait=0 HTTP/1.1\r\nHost: localhost\r\n",
	} {
		path, _, _ := strings.Cut(request[1:], " ")
		t.Run(path, func(t *testing.T) { resets(t, "GET "+request+"\r\n") })
	}
}

func resets(t *testing.T, request string) {
	truth := NewTruth(Forever, nil)
	s, err := NewServer(binary, truth, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), "--dev", "--history-length", "1000", "--loops", "1")
	if err := either(err, s.Launch()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for _, channel := range []string{"a", "b"} {
			r, err := http.Post("http://"+s.Backend+"/channels/"+channel, "text/plain", strings.NewReader(strings.Repeat("x", 60_000)))
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		}
	}
	for i := range 400 {
		c, err := net.Dial("tcp", s.Public)
		if err != nil {
			break
		}
		_, _ = fmt.Fprint(c, request)
		_ = c.(*net.TCPConn).SetLinger(0)
		pause(nil, time.Duration(i%100)*10*time.Microsecond) // hits some moment of serving it
		c.Close()
	}
	if err := s.End(false); err != nil {
		t.Error(err)
	}
}
