package edge

import (
	"fmt"
	"time"

	"encke/channel"
	"encke/presence"
	"encke/token"
)

// Rule makes settings of channels otherwise than those of all. What is nil stays as it is for all.
type Rule struct {
	Pattern       string         // a name, or the beginning of names and "*"
	HistoryLength *int           // publications kept
	HistoryAge    *time.Duration // how long they are kept
	SlowReaders   *string        // resume, drop-oldest or latest

	Subscribe   *string // which clients may: granted, anybody, users or nobody
	Publish     *string // the same
	SeePresence *string // the same
	Presence    *string // what is kept of who is here: off, counts or members
	Hooks       *string // what the site's backend is asked about: subscribe, publish, both with a comma between, or ""

	MaxSubscribers *int // connections that may subscribe; 0: any number
	MaxMessage     *int // bytes of one message; 0: as for all
}

// rules returns the settings of all channels and those of the rules, for the store and for the edge itself.
func (c *Config) rules() (all channel.Settings, rules []channel.Rule, common policy, policies []policy, err error) {
	all = channel.Settings{Length: c.HistoryLength, Age: c.HistoryAge.Milliseconds()}
	if all.Slow, err = slowReaders(c.SlowReaders); err != nil {
		return
	}
	if common, err = c.commonPolicy(); err != nil {
		return
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		settings, p := all, common
		if err = r.apply(&settings); err == nil {
			err = r.applyPolicy(&p)
		}
		if err == nil && p.message > c.MaxMessage {
			err = fmt.Errorf("max-message-size %d is more than that of the server, %d, which holds for all", p.message, c.MaxMessage)
		}
		if err != nil {
			err = fmt.Errorf("cannot use the rule for channels %q: %w", r.Pattern, err)
			return
		}
		rules = append(rules, channel.Rule{Pattern: r.Pattern, Settings: settings})
		policies = append(policies, p)
	}
	rules = ownFirst(rules, all)
	if all.Slow == channel.SlowLatest && all.Length == 0 {
		err = errNothingKept
	}
	return
}

// ownFirst puts the rules for users' own channels first, and behind them that for such channels no other rule counts: the store
// knows nothing of users.
func ownFirst(rules []channel.Rule, all channel.Settings) []channel.Rule {
	var own, others []channel.Rule
	for _, r := range rules {
		if _, is := token.ChannelUser(r.Pattern); is {
			own = append(own, r)
		} else {
			others = append(others, r)
		}
	}
	if len(others) == 0 {
		return own
	}
	return append(append(own, channel.Rule{Pattern: token.UserChannel("*"), Settings: all}), others...)
}

// commonPolicy is what holds for channels for which no rule says otherwise.
func (c *Config) commonPolicy() (p policy, err error) {
	if p.presence, err = parseMode(c.Presence); err != nil {
		return p, fmt.Errorf("cannot use --presence: %w", err)
	}
	if p.seePresence, err = parseAccess(c.SeePresence); err != nil {
		return p, fmt.Errorf("cannot use --see-presence: %w", err)
	}
	if p.hooks, err = parseHooks(c.HookOn); err != nil {
		return p, fmt.Errorf("cannot use --hook-on: %w", err)
	}
	return p, nil
}

var errNothingKept = fmt.Errorf("slow-readers latest needs a history-length of at least 1: slow readers are given the newest from there")

func (r *Rule) apply(s *channel.Settings) (err error) {
	if !channel.CheckPattern(r.Pattern) {
		return fmt.Errorf("a pattern is a channel's name, or the beginning of one and *")
	}
	if r.HistoryLength != nil {
		s.Length = *r.HistoryLength
	}
	if r.HistoryAge != nil {
		s.Age = r.HistoryAge.Milliseconds()
	}
	if r.SlowReaders != nil {
		if s.Slow, err = slowReaders(*r.SlowReaders); err != nil {
			return err
		}
	}
	switch {
	case s.Length < 0 || s.Age < 0:
		return fmt.Errorf("history-length and history-age are at least 0")
	case s.Age == 0 && r.HistoryAge != nil && *r.HistoryAge > 0:
		return fmt.Errorf("history-age %v is too short: at least 1ms is needed, or 0", *r.HistoryAge)
	case s.Slow == channel.SlowLatest && s.Length == 0:
		return errNothingKept
	}
	return nil
}

func (r *Rule) applyPolicy(p *policy) (err error) {
	p.pattern = r.Pattern
	for _, x := range []struct {
		name string
		text *string
		set  func(string) error
	}{
		{"subscribe", r.Subscribe, func(s string) (err error) { p.subscribe, err = parseAccess(s); return }},
		{"publish", r.Publish, func(s string) (err error) { p.publish, err = parseAccess(s); return }},
		{"see-presence", r.SeePresence, func(s string) (err error) { p.seePresence, err = parseAccess(s); return }},
		{"presence", r.Presence, func(s string) (err error) { p.presence, err = parseMode(s); return }},
		{"hooks", r.Hooks, func(s string) (err error) { p.hooks, err = parseChannelHooks(s); return }},
	} {
		if x.text == nil {
			continue
		}
		if err := x.set(*x.text); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	for _, x := range []struct {
		name string
		n    *int
		to   *int
	}{{"max-subscribers", r.MaxSubscribers, &p.subscribers}, {"max-message-size", r.MaxMessage, &p.message}} {
		if x.n == nil {
			continue
		}
		if *x.to = *x.n; *x.n < 0 {
			return fmt.Errorf("%s is at least 0", x.name)
		}
	}
	return nil
}

// parseChannelHooks reads what is asked about a channel. Connections are asked about for all channels or none.
func parseChannelHooks(list string) (hookSet, error) {
	h, err := parseHooks(list)
	if err == nil && h&hookConnect != 0 {
		return 0, fmt.Errorf("%q: connect is none of subscribe, publish; --hook-on has it", list)
	}
	return h, err
}

func parseMode(name string) (presence.Mode, error) {
	m, ok := presence.ParseMode(name)
	if !ok {
		return 0, fmt.Errorf("%q is none of off, counts, members", name)
	}
	return m, nil
}

func slowReaders(name string) (channel.Slow, error) {
	s, ok := channel.ParseSlow(name)
	if !ok {
		return 0, fmt.Errorf("cannot use --slow-readers %q: resume, drop-oldest or latest", name)
	}
	return s, nil
}
