package model

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// overPolls asks again and again over one connection, at intervals or parked.
func (l *link) overPolls() error {
	channels := l.some()
	if l.staying { // a parked poll is let alone only where nothing is told
		channels = slices.DeleteFunc(channels, func(name string) bool { return l.run.truth.streams[name].roster != nil })
	}
	for n := 1 + l.rng.IntN(12); n > 0 || l.heads != nil; n-- {
		if err := l.poll(channels); err != nil || l.enough() {
			return err
		}
		if l.transport == "poll" && l.heads == nil {
			pause(l.run.stop, between(l.rng, 0, 30*time.Millisecond))
		}
	}
	return nil
}

// poll asks once. Each poll subscribes anew, from what the one before it has answered.
func (l *link) poll(channels []string) error {
	wait := "&wait=0"
	if l.transport == "longpoll" {
		wait = []string{"&wait=200ms", "&wait=1", "&wait=5s", ""}[l.rng.IntN(4)]
	}
	switch {
	case l.staying:
		wait = "&wait=60s"
	case l.transport == "longpoll" && l.heads != nil:
		wait = "&wait=200ms"
	}
	asks, err := l.asks(channels)
	if err != nil {
		return err
	}
	if l.s.says {
		wait += fmt.Sprint("&mail=", l.s.post.last)
	}
	l.askingAll(asks)
	l.s.Asks(l.run.scenario.Grace, time.Now())
	token, argument := l.credentials()
	if err := l.write([]byte("GET " + l.target("/poll", asks, wait) + argument + " HTTP/1.1\r\nHost: localhost\r\n" + token + "\r\n")); err != nil {
		return err
	}
	if err := l.joinAll(asks); err != nil {
		return err
	}
	if l.staying && !l.await(l.r) {
		return either(l.dismissed(), errCut)
	}
	res, err := readAnswer(l.r)
	if err != nil {
		return err
	}
	if err := l.status(res.StatusCode, 200, res.Body); err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	err = either(l.served(), l.takePoll(channels, body))
	l.confirmedAll(channels)
	l.leavingAll()
	if err != nil || res.Close {
		return either(err, errCut)
	}
	if l.enough() {
		return nil
	}
	return l.leaveAll(channels)
}

// takePoll checks an answer that has come whole.
func (l *link) takePoll(channels []string, body []byte) error {
	var answer struct {
		Publications []json.RawMessage
		Position     string
		Recovered    bool
		Mail         uint64
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Publications == nil {
		return fmt.Errorf("poll answers %.200q: %v", body, err)
	}
	told := l.s.gaps()
	letters := l.s.Letters
	for _, text := range answer.Publications {
		if err := l.s.Take(text); err != nil {
			return err
		}
	}
	if given := l.s.Letters > letters; given != (answer.Mail > 0) || given && answer.Mail != l.s.post.last {
		return fmt.Errorf("poll answers mail:%d, and the last letter is %d", answer.Mail, l.s.post.last)
	}
	if n := l.s.gaps() - told; answer.Recovered != (n == 0) {
		return fmt.Errorf("poll answers recovered:%v, and %d gaps", answer.Recovered, n)
	}
	return l.s.ToldAll(channels, answer.Position)
}

func (l *link) leaveAll(channels []string) error {
	for _, channel := range channels {
		if err := l.s.Leave(channel); err != nil {
			return err
		}
	}
	return nil
}

// either returns the first, or when it is nil the second.
func either(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
