package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

const (
	writeTimeout   = 5 * time.Second // for one message to one client, as in the library's chat example
	maxMessageSize = 1 << 20
)

func (h *hub) public() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", h.ws)
	mux.HandleFunc("GET /sse", h.sse)
	mux.HandleFunc("GET /poll", h.poll)
	return mux
}

func (h *hub) backend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /channels/{name}", h.publish)
	return mux
}

func (h *hub) publish(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessageSize))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := http.StatusCreated
	if h.channel(r.PathValue("name")).publish(payload) == 0 {
		status = http.StatusAccepted
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// ws sends each message as a text frame. Without a channel the connection is only kept.
func (h *hub) ws(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	ctx := conn.CloseRead(context.Background()) // reads, answers pings, ends ctx with the connection

	name := r.FormValue("channels")
	if name == "" {
		<-ctx.Done()
		return
	}
	s := &subscriber{messages: make(chan *message, h.queue), slow: func() {
		conn.Close(websocket.StatusPolicyViolation, "connection too slow to keep up with messages")
	}}
	c := h.channel(name)
	c.subscribe(s)
	defer c.unsubscribe(s)
	for {
		select {
		case m := <-s.messages:
			if writeFrame(ctx, conn, m) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func writeFrame(ctx context.Context, conn *websocket.Conn, m *message) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, m.payload)
}

// sse sends each message as an event with its number as the id.
func (h *hub) sse(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &subscriber{messages: make(chan *message, h.queue), slow: cancel}
	c := h.channel(r.FormValue("channels"))
	c.subscribe(s)
	defer c.unsubscribe(s)

	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	_ = out.Flush()
	for {
		select {
		case m := <-s.messages:
			if writeEvent(w, out, m) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func writeEvent(w io.Writer, out *http.ResponseController, m *message) error {
	_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
	fmt.Fprintf(w, "id: %d\n", m.number)
	for line := range bytes.SplitSeq(m.payload, []byte("\n")) {
		fmt.Fprintf(w, "data: %s\n", line)
	}
	_, _ = io.WriteString(w, "\n")
	return out.Flush()
}

// poll answers with the message after the one that If-None-Match names, as soon as there is one; without that header
// with the next one that is published. Etag and Last-Modified are to be sent back, as for Nchan; only the Etag counts.
func (h *hub) poll(w http.ResponseWriter, r *http.Request) {
	since := uint64(math.MaxUint64) // none
	if tag := r.Header.Get("If-None-Match"); tag != "" {
		n, err := strconv.ParseUint(tag, 10, 64)
		if err != nil {
			http.Error(w, "If-None-Match is the Etag of an answer", http.StatusBadRequest)
			return
		}
		since = n
	}
	s := &subscriber{messages: make(chan *message, 1), slow: func() {}} // it takes one
	c := h.channel(r.FormValue("channels"))
	m := c.after(since, s)
	if m == nil {
		defer c.unsubscribe(s)
		select {
		case m = <-s.messages:
		case <-r.Context().Done():
			return
		}
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain")
	header.Set("Content-Length", strconv.Itoa(len(m.payload)))
	header.Set("Last-Modified", m.time.UTC().Format(http.TimeFormat))
	header.Set("Etag", strconv.FormatUint(m.number, 10))
	_, _ = w.Write(m.payload)
}
