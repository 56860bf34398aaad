package model

import (
	"fmt"
	"strings"
	"time"
)

// journal remembers the last things that a client did and was given. It belongs to that client.
type journal struct {
	began   time.Time
	entries [60]entry
	n       int
}

// entry is something done, or steps from one place to another in a channel.
type entry struct {
	at       time.Duration
	text     string
	from, to place
}

func (j *journal) next() *entry {
	e := &j.entries[j.n%len(j.entries)]
	j.n++
	*e = entry{at: time.Since(j.began)}
	return e
}

// note remembers something done.
func (j *journal) note(format string, args ...any) { j.next().text = fmt.Sprintf(format, args...) }

// step remembers what was given; steps in a row in one channel become one entry.
func (j *journal) step(p place, v *view) {
	if j.n > 0 {
		last := &j.entries[(j.n-1)%len(j.entries)]
		if last.to.epoch == p.epoch && last.text == v.channel && last.to.offset+1 == p.offset {
			last.to = p
			return
		}
	}
	e := j.next()
	e.text, e.from, e.to = v.channel, p, p
}

// String lists what is remembered, oldest first.
func (j *journal) String() string {
	var b strings.Builder
	for i := max(0, j.n-len(j.entries)); i < j.n; i++ {
		e := &j.entries[i%len(j.entries)]
		fmt.Fprintf(&b, "    %10s %s", e.at.Round(time.Microsecond), e.text)
		if e.to.epoch != "" {
			fmt.Fprintf(&b, " %s", e.from)
			if e.to != e.from {
				fmt.Fprintf(&b, " … %d", e.to.offset)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
