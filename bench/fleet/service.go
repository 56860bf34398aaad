package fleet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"encke/bench/proc"
)

// Version is of the conversation between coordinator and worker; both must have the same.
const Version = 3

// Request is one line from the coordinator. Exactly one field is set.
type Request struct {
	Hello   *struct{} `json:"hello,omitempty"`
	Setup   *Config   `json:"setup,omitempty"`
	Add     *Group    `json:"add,omitempty"`
	Connect *Ramp     `json:"connect,omitempty"`
	Storm   *Ramp     `json:"storm,omitempty"`
	Churn   *Churn    `json:"churn,omitempty"`
	Leave   *struct{} `json:"leave,omitempty"`
	Stat    *struct{} `json:"stat,omitempty"`
	Count   *struct{} `json:"count,omitempty"`
	Verify  *Sent     `json:"verify,omitempty"`
	Begun   *struct{} `json:"begun,omitempty"`
	Close   *struct{} `json:"close,omitempty"`
}

// Answer is one line to the coordinator.
type Answer struct {
	Hello   *Hello   `json:"hello,omitempty"`
	Stat    *Stat    `json:"stat,omitempty"`
	Count   uint64   `json:"count,omitempty"` // messages delivered
	Verdict *Verdict `json:"verdict,omitempty"`
	Begun   Begun    `json:"begun,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// Hello is what a worker says of itself.
type Hello struct {
	Version int   `json:"version"`
	PID     int   `json:"pid"`
	Limit   int   `json:"limit"` // connections that it can hold
	Cores   int   `json:"cores"`
	Clock   int64 `json:"clock"` // Unix ns
}

// maxRequest bounds a line.
const maxRequest = 64 << 20

// Serve is a worker: it does what in says until that ends, and answers on out. The secret is for clients' tokens, "" where
// there are none.
func Serve(in io.Reader, out io.Writer, cores int, secret string) error {
	var f *Fleet
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxRequest)
	answers := json.NewEncoder(out)
	for lines.Scan() {
		var q Request
		var a Answer
		err := json.Unmarshal(lines.Bytes(), &q)
		if err == nil {
			err = q.do(&f, &a, cores, secret)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("cannot answer the coordinator: %w", err)
		}
	}
	return lines.Err()
}

func (q *Request) do(f **Fleet, a *Answer, cores int, secret string) (err error) {
	switch {
	case q.Hello != nil:
		a.Hello = &Hello{Version, os.Getpid(), proc.Limit() - proc.Spare, cores, time.Now().UnixNano()}
	case q.Setup != nil:
		q.close(f)
		q.Setup.Secret = secret
		*f, err = New(*q.Setup)
	case *f == nil:
		err = errors.New("there is no fleet yet")
	case q.Add != nil:
		err = (*f).Add(*q.Add)
	case q.Connect != nil:
		(*f).Connect(*q.Connect)
	case q.Storm != nil:
		(*f).Storm(*q.Storm)
	case q.Churn != nil:
		(*f).Churn(*q.Churn)
	case q.Leave != nil:
		(*f).Leave()
	case q.Stat != nil:
		s := (*f).Stat()
		s.RSS, err = proc.Resident(os.Getpid())
		a.Stat = &s
	case q.Count != nil:
		a.Count = (*f).Delivered()
	case q.Verify != nil:
		v := (*f).Verify(*q.Verify)
		a.Verdict = &v
	case q.Begun != nil:
		a.Begun = (*f).Begun()
	case q.Close != nil:
		q.close(f)
	default:
		err = errors.New("this request says nothing")
	}
	return err
}

func (*Request) close(f **Fleet) {
	if *f != nil {
		(*f).Close()
		*f = nil
	}
}
