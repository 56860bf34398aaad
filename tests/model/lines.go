package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// overSSE follows an event stream.
func (l *link) overSSE() error {
	channels, asks, header, err := l.comeBack()
	if err != nil {
		return err
	}
	body, err := l.begin("/sse", asks, header)
	if err != nil {
		return err
	}
	var b block
	for !l.enough() {
		l.muse()
		if l.staying && body.Buffered() == 0 && !l.await(l.r) {
			return l.dismissed()
		}
		line, err := body.ReadBytes('\n')
		if err != nil {
			return err // what is left is of a block that has not come whole
		}
		if over, err := b.line(bytes.TrimSuffix(line, []byte("\n"))); err != nil || !over {
			if err != nil {
				return err
			}
			continue
		}
		if err := l.takeBlock(channels, &b); err != nil {
			return err
		}
		b = block{}
	}
	return nil
}

// comeBack chooses how to resume: with positions, or as a browser does, with the last id that it has seen.
func (l *link) comeBack() (channels []string, asks []ask, header string, err error) {
	if l.lastID == "" || l.heads != nil || l.rng.IntN(2) == 0 {
		channels = l.some()
		asks, err = l.asks(channels)
		return channels, asks, "", err
	}
	channels = l.lastIDChannels
	places, err := readPlaces(l.lastID, len(channels))
	if err != nil {
		return nil, nil, "", err
	}
	for i, channel := range channels {
		asks = append(asks, ask{channel: channel, at: places[i]})
	}
	l.journal.note("Last-Event-ID: %s", l.lastID)
	return channels, asks, "Last-Event-ID: " + l.lastID + "\r\n", nil
}

// begin asks for an endless answer and returns its body.
func (l *link) begin(path string, asks []ask, header string) (*bufio.Reader, error) {
	version := "1.1"
	if l.run.scenario.Unchunked || l.staying || l.rng.IntN(8) == 0 {
		version = "1.0" // not chunked
	}
	request := asks
	if header != "" { // which wins over any since
		request = slices.Clone(asks)
		for i := range request {
			request[i].knows = []knowledge{exactly, fromNow, fromStart}[l.rng.IntN(3)]
		}
	}
	l.askingAll(asks)
	token, argument := l.credentials()
	if err := l.write([]byte("GET " + l.target(path, request, "") + argument + " HTTP/" + version + "\r\nHost: localhost\r\n" + token + header + "\r\n")); err != nil {
		return nil, err
	}
	if err := l.joinAll(asks); err != nil {
		return nil, err
	}
	res, err := readAnswer(l.r)
	if err != nil {
		return nil, err
	}
	if err := either(l.status(res.StatusCode, 200, res.Body), l.served()); err != nil {
		return nil, err
	}
	return bufio.NewReader(res.Body), nil
}

// block is an event of an event stream (WHATWG HTML, "Interpreting an event stream").
type block struct {
	id, event, data string
	has             struct{ id, data bool }
}

// line takes a line in; over says that it ends the block.
func (b *block) line(line []byte) (over bool, err error) {
	name, value, _ := strings.Cut(string(line), ":")
	value = strings.TrimPrefix(value, " ")
	switch {
	case len(line) == 0:
		return true, nil
	case name == "id":
		b.id, b.has.id = value, true
	case name == "event":
		b.event = value
	case name == "data" && b.has.data:
		return false, fmt.Errorf("a publication over two lines: %q", value)
	case name == "data":
		b.data, b.has.data = value, true
	case name != "" && name != "retry":
		return false, fmt.Errorf("a line that is no field: %.200q", line)
	}
	return false, nil
}

// takeBlock checks an event: its data, and then whether its id says where that leads.
func (l *link) takeBlock(channels []string, b *block) error {
	if b.event == "closing" {
		return l.takeLine(channels, []byte(b.data))
	}
	if b.event == "resumed" {
		var o object
		if err := json.Unmarshal([]byte(b.data), &o); err != nil || o.Recovered == nil {
			return fmt.Errorf("resumed with %.200q: %v", b.data, err)
		}
		if err := l.s.Resumed(channels, *o.Recovered); err != nil {
			return err
		}
	} else if b.has.data {
		if strings.Contains(b.data, `"gap":true`) != (b.event == "gap") && !strings.Contains(b.data, `"data":`) {
			return fmt.Errorf("event %q with %.200q", b.event, b.data)
		}
		if err := l.s.Take([]byte(b.data)); err != nil {
			return err
		}
	}
	if !b.has.id {
		return nil
	}
	l.lastID, l.lastIDChannels = b.id, channels
	err := l.s.ToldAll(channels, b.id)
	l.confirmedAll(channels)
	return err
}

// overStream follows a stream of JSON lines.
func (l *link) overStream() error {
	channels := l.some()
	asks, err := l.asks(channels)
	if err != nil {
		return err
	}
	body, err := l.begin("/stream", asks, "")
	if err != nil {
		return err
	}
	for !l.enough() {
		l.muse()
		if l.staying && body.Buffered() == 0 && !l.await(l.r) {
			return l.dismissed()
		}
		line, err := body.ReadBytes('\n')
		if err != nil {
			return err
		}
		if err := l.takeLine(channels, bytes.TrimSpace(line)); err != nil {
			return err
		}
	}
	return nil
}

// takeLine checks a line: nothing, a publication or a gap, where the stream begins, or that it ends.
func (l *link) takeLine(channels []string, line []byte) error {
	if len(line) == 0 || l.s.quick(line) {
		return nil
	}
	var o object
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("%.200q: %w", line, err)
	}
	switch {
	case o.Channel != "":
		return l.s.TakeObject(&o)
	case o.Position != "":
		if o.Recovered != nil {
			if err := l.s.Resumed(channels, *o.Recovered); err != nil {
				return err
			}
		}
		err := l.s.ToldAll(channels, o.Position)
		l.confirmedAll(channels)
		return err
	case o.Closing != "":
		l.run.tally.Add("closed/"+o.Closing, 1)
		return io.EOF
	}
	return fmt.Errorf("not expected: %.200q", line)
}
