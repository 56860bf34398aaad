package model

import (
	"time"
)

// A link keeps when its connection asked to be in which channel, was answered, and left, for those who are told of it.

// asking is said before a subscription is asked for.
func (l *link) asking(channel string) {
	r := l.run.truth.rosters[channel]
	if r == nil || l.user == nil {
		return
	}
	stays := !l.faulty && l.transport != "poll" && l.transport != "longpoll"
	l.visits[channel] = r.Ask(l.user.name, !l.faulty, stays, time.Now())
}

func (l *link) askingAll(asks []ask) {
	for _, a := range asks {
		l.asking(a.channel)
	}
}

// confirmed is said when a place in a channel has been told, which it is after the subscription.
func (l *link) confirmed(channel string) {
	if v := l.visits[channel]; v != nil && v.confirmed.IsZero() {
		if at, ok := l.s.At(channel); ok {
			l.run.truth.rosters[channel].Confirm(v, at.epoch, time.Now())
		}
	}
}

func (l *link) confirmedAll(channels []string) {
	for _, channel := range channels {
		l.confirmed(channel)
	}
}

// leaving is said before a client leaves a channel; quits says that it asks to.
func (l *link) leaving(channel string, quits bool) {
	if v := l.visits[channel]; v != nil {
		l.run.truth.rosters[channel].Leave(v, quits, time.Now())
	}
}

// leavingAll is said before anything that makes the server end the connection.
func (l *link) leavingAll() {
	for channel := range l.visits {
		l.leaving(channel, false)
	}
}
