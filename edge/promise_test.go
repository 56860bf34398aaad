package edge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// publication is what a subscriber understands of the wire object, gaps included.
type publication struct {
	Channel  string
	Offset   uint64
	Position string
	Gap      bool
	Data     string
}

// follower is a subscriber that changes transports and connections at random and holds the server to its promise: in each
// channel every publication in offset order, each once, or a gap that it is told of.
type follower struct {
	t        *testing.T
	r        *rig
	rng      *rand.Rand
	channels []string
	last     map[string]uint64 // offset of the last publication or gap
	position map[string]string
	checked  *atomic.Int64
	gaps     *atomic.Int64
}

func (f *follower) target(path, extra string) string {
	var since []string
	for _, c := range f.channels {
		since = append(since, f.position[c])
	}
	return path + "?channels=" + strings.Join(f.channels, ",") + "&since=" + strings.Join(since, ",") + extra
}

// take checks one publication and says whether it broke the promise.
func (f *follower) take(text []byte, over string) bool {
	var p publication
	if err := json.Unmarshal(text, &p); err != nil {
		f.t.Errorf("%s: %q: %v", over, text, err)
		return false
	}
	if p.Channel == "" { // a reply, or where a stream begins
		return true
	}
	if p.Gap {
		f.gaps.Add(1)
		n, err := strconv.ParseUint(p.Position[strings.LastIndexByte(p.Position, '.')+1:], 10, 64)
		if err != nil || n < f.last[p.Channel] {
			f.t.Errorf("%s: a gap back to %s from %d", over, p.Position, f.last[p.Channel])
			return false
		}
		f.last[p.Channel], f.position[p.Channel] = n, p.Position
		return true
	}
	first := f.position[p.Channel] == "0" // "from the beginning of what is kept" has no gap
	if p.Offset != f.last[p.Channel]+1 && !first || p.Data != fmt.Sprintf("%s %d", p.Channel, p.Offset) {
		f.t.Errorf("%s: %s: got %d %q after %d", over, p.Channel, p.Offset, p.Data, f.last[p.Channel])
		return false
	}
	f.last[p.Channel], f.position[p.Channel] = p.Offset, p.Position
	f.checked.Add(1)
	return true
}

// once follows over one connection, and drops it without a word after a random number of publications or milliseconds.
func (f *follower) once() bool {
	c, err := net.Dial("tcp", f.r.public)
	if err != nil {
		f.t.Error(err)
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Duration(1+f.rng.Intn(120)) * time.Millisecond))
	if f.rng.Intn(4) == 0 {
		_ = c.(*net.TCPConn).SetReadBuffer(2048) // a reader that is slow to take
	}
	r := bufio.NewReader(c)
	most := 1 + f.rng.Intn(200)
	switch f.rng.Intn(5) {
	case 0, 1:
		return f.overWS(c, r, most)
	case 2:
		return f.overLines(c, r, most, "/sse")
	case 3:
		return f.overLines(c, r, most, "/stream")
	}
	return f.overPolls(c, r, 1+f.rng.Intn(5))
}

func (f *follower) overWS(c net.Conn, r *bufio.Reader, most int) bool {
	extra := ""
	_, _ = io.WriteString(c, "GET "+f.target("/ws", "")+handshake+extra+"\r\n")
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
		return true // cut off before the answer
	}
	for range most {
		frame, err := ws.ReadFrame(r)
		if err != nil || frame.Header.OpCode != ws.OpText {
			return true
		}
		if !f.take(frame.Payload, "ws") {
			return false
		}
	}
	return true
}

func (f *follower) overLines(c net.Conn, r *bufio.Reader, most int, path string) bool {
	header, target := "", f.target(path, "")
	if path == "/sse" && f.rng.Intn(2) == 0 { // as a browser comes back
		var ids []string
		for _, c := range f.channels {
			ids = append(ids, f.position[c])
		}
		target, header = "/sse?channels="+strings.Join(f.channels, ","), "Last-Event-ID: "+strings.Join(ids, ",")+"\r\n"
	}
	_, _ = io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return true
	}
	if res.StatusCode != 200 {
		f.t.Errorf("%s: %s", target, res.Status)
		return false
	}
	lines := bufio.NewReader(res.Body)
	id := ""
	for range 3 * most {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return true
		}
		line = bytes.TrimSpace(line)
		if path == "/sse" {
			if bytes.HasPrefix(line, []byte("id: ")) {
				id = string(line[4:])
			}
			var is bool
			if line, is = bytes.CutPrefix(line, []byte("data: ")); !is {
				continue
			}
		}
		if len(line) == 0 {
			continue
		}
		if !f.take(line, path) {
			return false
		}
		if path == "/sse" && id != "" && !f.checkID(id) { // gaps come before the first id
			return false
		}
	}
	return true
}

// checkID holds the id of an SSE block against what has been received: it must resume every channel exactly.
func (f *follower) checkID(id string) bool {
	items := strings.Split(id, ",")
	if len(items) != len(f.channels) {
		f.t.Errorf("id %q for %v", id, f.channels)
		return false
	}
	for i, item := range items {
		n, err := strconv.ParseUint(item[strings.LastIndexByte(item, '.')+1:], 10, 64)
		if last := f.last[f.channels[i]]; err != nil || n != last && f.position[f.channels[i]] != "0" {
			f.t.Errorf("id %q says %d of %s, received up to %d", id, n, f.channels[i], last)
			return false
		}
	}
	return true
}

func (f *follower) overPolls(c net.Conn, r *bufio.Reader, polls int) bool {
	for range polls {
		wait := []string{"0", "50ms", "1"}[f.rng.Intn(3)]
		_, _ = io.WriteString(c, "GET "+f.target("/poll", "&wait="+wait)+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return true
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return true
		}
		var answer struct {
			Publications []json.RawMessage
			Position     string
		}
		if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != 200 {
			f.t.Errorf("poll: %s %q %v", res.Status, body, err)
			return false
		}
		for _, p := range answer.Publications {
			if !f.take(p, "poll") {
				return false
			}
		}
		if !f.checkID(answer.Position) {
			return false
		}
	}
	return true
}

// TestPromise lets followers follow while channels are pushed to. SEED replays a run, SECONDS makes it longer.
func TestPromise(t *testing.T) {
	seed := time.Now().UnixNano()
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseInt(s, 10, 64)
	}
	seconds := 4
	if s := os.Getenv("SECONDS"); s != "" {
		seconds, _ = strconv.Atoi(s)
	}
	for _, c := range []struct {
		name    string
		history int
		gaps    bool
	}{{"long history, no gap", 1 << 20, false}, {"short history, gaps are told", 15, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("SEED=%d", seed)
			r := newRig(t, func(e *edge.Config) { e.HistoryLength = c.history; e.MaxPending = 64 << 10 })
			promise(t, r, seed, time.Duration(seconds)*time.Second, c.gaps)
		})
	}
}

func promise(t *testing.T, r *rig, seed int64, d time.Duration, gapsAllowed bool) {
	names := []string{"p0", "p1", "p2", "p3"}
	var checked, gaps, pushed atomic.Int64
	stop := make(chan struct{})
	var publishers, followers sync.WaitGroup
	for i, name := range names {
		publishers.Add(1)
		go func() {
			defer publishers.Done()
			pushAll(t, r, name, rand.New(rand.NewSource(seed+int64(i))), stop, &pushed)
		}()
	}
	for i := range 24 {
		rng := rand.New(rand.NewSource(seed + 100 + int64(i)))
		f := &follower{t: t, r: r, rng: rng, last: map[string]uint64{}, position: map[string]string{}, checked: &checked, gaps: &gaps}
		for _, k := range rng.Perm(len(names))[:1+rng.Intn(len(names))] {
			f.channels = append(f.channels, names[k])
			f.position[names[k]] = "0"
		}
		followers.Add(1)
		go func() {
			defer followers.Done()
			f.follow(stop)
		}()
	}
	time.Sleep(d)
	close(stop)
	publishers.Wait()
	followers.Wait()
	if n := r.Stats().Messages.Inconsistent; n > 0 {
		t.Errorf("%d inconsistencies inside the server", n)
	}
	if gaps.Load() > 0 && !gapsAllowed {
		t.Errorf("%d gaps although everything is kept", gaps.Load())
	}
	if checked.Load() < 1000 || gapsAllowed && gaps.Load() == 0 {
		t.Errorf("only %d checked, %d gaps: this shows nothing", checked.Load(), gaps.Load())
	}
	t.Logf("%d pushed, %d deliveries checked, %d gaps told", pushed.Load(), checked.Load(), gaps.Load())
}

// pushAll pushes bursts and pauses; the data says channel and offset.
func pushAll(t *testing.T, r *rig, name string, rng *rand.Rand, stop chan struct{}, pushed *atomic.Int64) {
	c, err := net.Dial("tcp", r.backend)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for n := 1; ; {
		burst := 1 + rng.Intn(20)
		var b bytes.Buffer
		for range burst {
			text := fmt.Sprintf("%s %d", name, n)
			n++
			fmt.Fprintf(&b, "POST /channels/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", name, len(text), text)
		}
		_, _ = c.Write(b.Bytes()) // pipelined
		for range burst {
			res, err := http.ReadResponse(answers, nil)
			if err != nil || res.StatusCode > 202 {
				t.Error("push:", res, err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
		}
		pushed.Add(int64(burst))
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rng.Intn(8)) * time.Millisecond):
		}
	}
}

// follow goes on until stop, and then until it has caught up with every channel.
func (f *follower) follow(stop chan struct{}) {
	for {
		select {
		case <-stop:
			f.catchUp()
			return
		default:
			if !f.once() {
				return
			}
		}
	}
}

func (f *follower) catchUp() {
	c := connect(f.t, f.r.public)
	r := bufio.NewReader(c)
	for range 3 {
		if !f.overPollsNow(c, r) {
			return
		}
	}
	for _, name := range f.channels {
		res, err := http.Get("http://" + f.r.backend + "/channels/" + name)
		if err != nil {
			f.t.Error(err)
			return
		}
		var state struct{ Offset uint64 }
		_ = json.NewDecoder(res.Body).Decode(&state)
		res.Body.Close()
		if f.last[name] < state.Offset {
			f.t.Errorf("%s: ends at %d of %d", name, f.last[name], state.Offset)
		}
	}
}

func (f *follower) overPollsNow(c net.Conn, r *bufio.Reader) bool {
	for range 20 {
		before := f.checked.Load()
		if !f.overPolls(c, r, 1) {
			return false
		}
		if f.checked.Load() == before {
			break
		}
	}
	return true
}
