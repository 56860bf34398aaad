package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// newTransport returns what a Sender's requests go through: one connection, HTTP/1.1. It is used without an http.Client, which
// would follow redirects and put the URL into errors.
func newTransport(c *Config) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSClientConfig:        c.TLS.Clone(),
		TLSHandshakeTimeout:    c.Timeout,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
		DisableCompression:     true,
	}
}

// attempt sends a batch once. It returns an error unless the answer's status is a 2xx, and how long the backend asked to be
// left alone.
func (s *Sender) attempt(events []Event) (after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(s.life, s.config.Timeout)
	defer cancel()
	q, err := s.request(ctx, events)
	if err != nil {
		return 0, err
	}
	p, err := s.transport.RoundTrip(q)
	switch {
	case s.life.Err() != nil && err != nil:
		return 0, errors.New("given up by Close")
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("no answer within %v", s.config.Timeout)
	case err != nil:
		return 0, err
	}
	defer p.Body.Close()
	_, _ = io.CopyN(io.Discard, p.Body, maxAnswer) // so that the connection can be used again; the status has said it all
	if p.StatusCode < 200 || p.StatusCode > 299 {
		return retryAfter(p.Header.Get("Retry-After"), s.config.Now()), fmt.Errorf("the answer was %d", p.StatusCode)
	}
	return 0, nil
}

// request makes the next batch's request.
func (s *Sender) request(ctx context.Context, events []Event) (*http.Request, error) {
	s.number++
	body, err := json.Marshal(Batch{s.config.Epoch, s.number, events})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made") // err would show the URL
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", agent)
	q.Header.Set(EpochHeader, s.config.Epoch)
	q.Header.Set(SignatureHeader, sign(s.config.Secrets, body, s.config.Now()))
	return q, nil
}

// retryAfter reads the header Retry-After (RFC 9110 section 10.2.3): seconds or a date. The result may be negative, and is
// longestWait at most.
func retryAfter(text string, now time.Time) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	switch {
	case err == nil:
		return min(time.Duration(n)*time.Second, longestWait)
	case errors.Is(err, strconv.ErrRange):
		return longestWait
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(t.Sub(now), longestWait)
	}
	return 0
}
