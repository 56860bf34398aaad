package model

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// post is what a connection was given of its user's letters.
type post struct {
	last    uint64    // number of the last
	lastN   uint64    // and ours
	mark    int       // the box's clock when the connection, or a poll, was asked for
	process int64     // that serves the connection, 0: not known
	polled  time.Time // when the last poll was asked for
}

// decoded is the text of a publication or letter, as it was pushed but for the quotation marks.
func decoded(o *object) []byte {
	var text string
	_ = json.Unmarshal(o.Data, &text) // what is no text is invented
	if o.Encoding == "base64" {
		b, _ := base64.StdEncoding.DecodeString(text)
		return b
	}
	return []byte(text)
}

// Asks is said before a connection, or a poll, asks for letters too. grace is for how long polls are one visit.
func (s *Session) Asks(grace time.Duration, now time.Time) {
	if s.box == nil {
		return
	}
	if s.polls && !s.says && now.Sub(s.post.polled) > grace/2 {
		s.post.last, s.post.lastN = 0, 0 // another visit may have begun
	}
	s.post.mark, s.post.polled, s.post.process = s.box.Mark(), now, -s.truth.starts.Load()
}

// Served is said when the server has answered something: then it is known which process serves the connection.
func (s *Session) Served() {
	if s.post.process < 0 {
		if s.post.process = -s.post.process; s.truth.starts.Load() != s.post.process {
			s.post.process = 0
		}
	}
}

// letter checks a letter: numbers grow, and none is left out.
func (s *Session) letter(o *object) error {
	if s.box == nil || s.blind {
		return fmt.Errorf("a letter to %s, for nobody here", o.Channel)
	}
	s.Served()
	if o.Mail <= s.post.last {
		return fmt.Errorf("%s: repeated: letter %d after %d", o.Channel, o.Mail, s.post.last)
	}
	n, err := s.box.Given(o, s.post.lastN, s.post.mark, s.post.process, s.polls && !s.says)
	if err != nil {
		return fmt.Errorf("%s: number %d: %w", o.Channel, o.Mail, err)
	}
	if n <= s.post.lastN {
		return fmt.Errorf("%s: repeated: letter %d again as %d", o.Channel, n, o.Mail)
	}
	s.post.last, s.post.lastN = o.Mail, n
	s.Checked++
	s.Letters++
	if s.read = append(s.read, o.Mail); len(s.read) > 20 {
		s.read = s.read[1:]
	}
	return nil
}
