package edge

import (
	"fmt"
	"time"

	"encke/channel"
)

// Rule makes settings of channels otherwise than those of all. What is nil stays as it is for all.
type Rule struct {
	Pattern       string         // a name, or the beginning of names and "*"
	HistoryLength *int           // publications kept
	HistoryAge    *time.Duration // how long they are kept
	SlowReaders   *string        // resume, drop-oldest or latest
}

// rules returns the settings of all channels and those of the rules.
func (c *Config) rules() (all channel.Settings, rules []channel.Rule, err error) {
	all = channel.Settings{Length: c.HistoryLength, Age: c.HistoryAge.Milliseconds()}
	if all.Slow, err = slowReaders(c.SlowReaders); err != nil {
		return
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		settings := all
		if err = r.apply(&settings); err != nil {
			return all, nil, fmt.Errorf("cannot use the rule for channels %q: %w", r.Pattern, err)
		}
		rules = append(rules, channel.Rule{Pattern: r.Pattern, Settings: settings})
	}
	if all.Slow == channel.SlowLatest && all.Length == 0 {
		err = errNothingKept
	}
	return all, rules, err
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

func slowReaders(name string) (channel.Slow, error) {
	s, ok := channel.ParseSlow(name)
	if !ok {
		return 0, fmt.Errorf("cannot use --slow-readers %q: resume, drop-oldest or latest", name)
	}
	return s, nil
}
