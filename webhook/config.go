package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Config says whom a Sender tells, and how. A value of 0 stands for the default.
type Config struct {
	URL        string        // http:// or https://, without user and password
	Secrets    [][]byte      // what requests are signed with, at least 16 bytes: one, or two while it is being changed
	Epoch      string        // names this process: 1 to 64 visible ASCII characters
	Timeout    time.Duration // of one attempt; 5 s
	MaxBatch   int           // events in one request; 100
	MaxPending int           // users that wait, and channels; beyond it events of others of the kind are dropped; 100,000, some 300 bytes each
	MaxAge     time.Duration // for how long an event is tried; 1 h
	TLS        *tls.Config   // nil: the system's roots

	// Log is told when the backend cannot be told any more, and when it can again. The Sender's goroutine calls it, never Add.
	Log func(format string, args ...any) // nil: nothing is logged

	Now  func() time.Time                                 // nil: time.Now
	Wait func(ctx context.Context, d time.Duration) error // waits between attempts, not longer than ctx; nil: by a timer
}

// complete puts in the defaults, and refuses what cannot work.
func (c *Config) complete() error {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.MaxAge = cmp.Or(c.MaxAge, time.Hour)
	c.MaxBatch = cmp.Or(c.MaxBatch, 100)
	c.MaxPending = cmp.Or(c.MaxPending, 100_000)
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	if c.Timeout < 0 || c.MaxAge < 0 || c.MaxBatch < 0 || c.MaxPending < 0 {
		return errors.New("cannot use a webhook's Timeout, MaxAge, MaxBatch or MaxPending: one is negative")
	}
	return checkEpoch(c.Epoch)
}

func checkEpoch(epoch string) error {
	if epoch == "" || len(epoch) > 64 {
		return fmt.Errorf("cannot use the epoch of a webhook: 1 to 64 characters are wanted, it has %d", len(epoch))
	}
	for _, c := range []byte(epoch) {
		if c <= ' ' || c > '~' {
			return errors.New("cannot use the epoch of a webhook: only visible ASCII characters are wanted")
		}
	}
	return nil
}
