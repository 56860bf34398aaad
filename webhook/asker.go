package webhook

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"github.com/valyala/fasthttp"
)

// AskConfig says whom an Asker asks, and how. A value of 0 stands for the default.
type AskConfig struct {
	URL      string        // http:// or https://, without user and password
	Secrets  [][]byte      // what requests are signed with, at least 16 bytes: one, or two while it is being changed
	Timeout  time.Duration // of a question, waiting for a connection included; 2 s
	MaxConns int           // questions under way at once; 64
	Failures int           // the breaker opens after so many in a row; 10
	OpenFor  time.Duration // for how long the breaker stays open before it lets one question through; 5 s
	TLS      *tls.Config   // nil: the system's roots

	// Log is told when the breaker opens and when it closes, once each. It is called under the breaker's mutex: it must
	// return soon and must not call the Asker.
	Log func(format string, args ...any) // nil: nothing is logged
	Now func() time.Time                 // for signatures; nil: time.Now
}

// ErrUnavailable says that there is no answer; it wraps why. The caller decides what that means, and nothing is allowed by it.
var ErrUnavailable = errors.New("the backend cannot be asked")

const (
	// idle is for how long a connection is kept for another question: shorter than servers do.
	idle = time.Second
	// maxAnswerHeader is how many bytes the header of an answer may have.
	maxAnswerHeader = 16 << 10
)

// Asker asks the site's backend whether something is allowed. A breaker keeps it from asking one that is down:
//
//	        Failures in a row           OpenFor is over
//	closed ──────────────────▶ open ──────────────────────▶ half-open
//	all are asked              none is ◀── it failed ────── one is asked
//	   ▲                                                        │
//	   └───────────────────────────────────── it was answered ──┘
//
// Allowances and refusals are answers; everything else is a failure. All methods may be called by any goroutine, but Ask
// blocks: never from an event loop.
type Asker struct {
	// immutable
	url     string
	config  AskConfig
	client  *fasthttp.HostClient
	breaker *gobreaker.CircuitBreaker[Answer]

	// atomic
	asked, allowed, refused, failed, shorted atomic.Uint64

	mu        sync.Mutex
	lastError string // guarded by mu
}

// AskerCounts is what became of questions. When none is under way, Asked = Allowed + Refused + Failed + Shorted.
type AskerCounts struct {
	Asked     uint64 `json:"asked"`
	Allowed   uint64 `json:"allowed"`
	Refused   uint64 `json:"refused"`
	Failed    uint64 `json:"failed"`     // asked, or tried to, and no answer
	Shorted   uint64 `json:"shorted"`    // not asked, because the breaker was open
	Breaker   string `json:"breaker"`    // closed, open, half-open
	LastError string `json:"last_error"` // why the last failure was one, at most 200 bytes, without secrets; stays when the backend is back
}

// NewAsker returns an Asker; it has no goroutine of its own but the one that closes idle connections, which ends with them.
func NewAsker(c AskConfig) (*Asker, error) {
	u, err := target(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Secrets, err = checkSecrets(c.Secrets); err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	a := &Asker{url: u.String(), config: c, client: newClient(u, &c)}
	a.breaker = gobreaker.NewCircuitBreaker[Answer](gobreaker.Settings{
		MaxRequests:   1,
		Timeout:       c.OpenFor,
		ReadyToTrip:   func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= uint32(c.Failures) },
		OnStateChange: a.turned,
	})
	return a, nil
}

// complete puts in the defaults, and refuses what cannot work.
func (c *AskConfig) complete() error {
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.OpenFor = cmp.Or(c.OpenFor, 5*time.Second)
	c.MaxConns = cmp.Or(c.MaxConns, 64)
	c.Failures = cmp.Or(c.Failures, 10)
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout < 0 || c.OpenFor < 0 || c.MaxConns < 0 || c.Failures < 0 {
		return errors.New("cannot use a hook's Timeout, OpenFor, MaxConns or Failures: one is negative")
	}
	return nil
}

func newClient(u *url.URL, c *AskConfig) *fasthttp.HostClient {
	d := newDialer(u, c)
	return &fasthttp.HostClient{
		Addr:                      hostPort(u),
		IsTLS:                     d.tls != nil,
		Name:                      agent,
		DialTimeout:               d.dial,
		MaxConns:                  c.MaxConns,
		MaxConnWaitTimeout:        c.Timeout,
		MaxIdleConnDuration:       idle,
		ConnPoolStrategy:          fasthttp.LIFO,
		ReadTimeout:               c.Timeout,
		WriteTimeout:              c.Timeout,
		ReadBufferSize:            maxAnswerHeader,
		MaxResponseBodySize:       maxAnswer,
		DisablePathNormalizing:    true,
		SecureErrorLogMessage:     true,
		MaxIdemponentCallAttempts: c.MaxConns + 1, // each connection may have gone, but not the one then made
		RetryIfErr:                func(_ *fasthttp.Request, _ int, err error) (bool, bool) { return false, errors.Is(err, errGone) },
	}
}

// Ask asks, and blocks until there is an answer or Timeout has passed. A question reaches the backend once at most: it is
// not asked again when it failed. Every error wraps ErrUnavailable.
func (a *Asker) Ask(q Question) (Answer, error) {
	a.asked.Add(1)
	body, err := json.Marshal(q)
	if err != nil { // Data is not JSON; says nothing of the backend
		return Answer{}, a.fail(err)
	}
	answer, err := a.breaker.Execute(func() (Answer, error) { return a.ask(body) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		a.shorted.Add(1)
		return Answer{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case err != nil:
		return Answer{}, err
	case answer.Allow:
		a.allowed.Add(1)
	default:
		a.refused.Add(1)
	}
	return answer, nil
}

// ask sends a question, whatever the breaker says.
func (a *Asker) ask(body []byte) (Answer, error) {
	q, p := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(q)
	defer fasthttp.ReleaseResponse(p)
	q.SetRequestURI(a.url)
	q.Header.SetMethod(fasthttp.MethodPost)
	q.Header.SetContentType("application/json")
	q.Header.Set(SignatureHeader, sign(a.config.Secrets, body, a.config.Now()))
	q.SetBodyRaw(body)
	if err := a.client.DoTimeout(q, p, a.config.Timeout); err != nil {
		return Answer{}, a.fail(a.plain(err))
	}
	answer, err := parseAnswer(p.StatusCode(), p.Body())
	if err != nil {
		return Answer{}, a.fail(err)
	}
	return answer, nil
}

// plain says an error of fasthttp's in fewer words, where it would be long or one of many.
func (a *Asker) plain(err error) error {
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("no answer within %v", a.config.Timeout)
	case errors.Is(err, fasthttp.ErrConnectionClosed):
		return errors.New("the connection was closed without an answer")
	}
	return err
}

// fail counts a failure.
func (a *Asker) fail(why error) error {
	a.failed.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastError = cut(why.Error())
	return fmt.Errorf("%w: %w", ErrUnavailable, why)
}

// turned tells the log, once for a time of trouble: attempts to close the breaker are not worth a line each.
func (a *Asker) turned(_ string, from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed:
		a.mu.Lock()
		why := a.lastError
		a.mu.Unlock()
		a.config.Log("webhook: the backend is not asked any more, but once every %v: %d questions in a row failed: %s",
			a.config.OpenFor, a.config.Failures, why)
	case to == gobreaker.StateClosed:
		a.config.Log("webhook: the backend answers, and is asked again")
	}
}

// Counts returns what became of questions so far.
func (a *Asker) Counts() AskerCounts {
	c := AskerCounts{Asked: a.asked.Load(), Allowed: a.allowed.Load(), Refused: a.refused.Load(), Failed: a.failed.Load(),
		Shorted: a.shorted.Load(), Breaker: a.breaker.State().String()}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.LastError = a.lastError
	return c
}

// Close closes idle connections. Questions under way go on.
func (a *Asker) Close() { a.client.CloseIdleConnections() }
