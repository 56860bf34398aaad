package charts

import (
	"math"
	"strconv"
)

// figures is what is pushed. Arrays, because there are ten a second.
type figures struct {
	At     float64   `json:"at"`     // when it was measured: Unix time in milliseconds
	CPU    []figure  `json:"cpu"`    // percent: of all cores, then of each
	Load   figure    `json:"load"`   // processes that run or wait, mean of a minute
	Memory [2]figure `json:"memory"` // bytes: used, and all there is
	Net    [3]figure `json:"net"`    // bytes a second: in, out, within the machine
	Disk   [2]figure `json:"disk"`   // bytes a second: read, written
	Encke  [4]figure `json:"encke"`  // percent of one core, bytes of memory, connections of clients, publications given a second
}

// figure has two decimals. NaN, what is not known, is null.
type figure float64

func (f figure) MarshalJSON() ([]byte, error) {
	if x := float64(f); !math.IsNaN(x) && !math.IsInf(x, 0) {
		return strconv.AppendFloat(nil, math.Round(x*100)/100, 'f', -1, 64), nil
	}
	return []byte("null"), nil
}

// figuresOf makes figures of counters: rates since last, the use of processors since half.
func figuresOf(c, last, half counters) figures {
	since := func(from, to float64) figure { return rate(to-from, c.at.Sub(last.at).Seconds()) }
	f := figures{
		At:     float64(c.at.UnixMicro()) / 1000,
		Load:   figure(c.load),
		Memory: [2]figure{figure(c.used), figure(c.memory)},
		Net:    [3]figure{since(last.in, c.in), since(last.out, c.out), since(last.within, c.within)},
		Disk:   [2]figure{since(last.read, c.read), since(last.written, c.written)},
		Encke:  [4]figure{100 * rate(c.process-half.process, c.at.Sub(half.at).Seconds()), figure(unknown), figure(unknown), figure(unknown)},
	}
	if e := c.encke; e.known {
		f.Encke[1], f.Encke[2] = figure(e.rss), figure(e.clients)
		if last.encke.known {
			f.Encke[3] = since(last.encke.delivered, e.delivered)
		}
	}
	for i, b := range c.cpu {
		x := figure(unknown)
		if len(half.cpu) == len(c.cpu) {
			x = min(100, 100*rate(b.busy-half.cpu[i].busy, b.all-half.cpu[i].all))
		}
		f.CPU = append(f.CPU, x)
	}
	return f
}

// rate is unknown where a counter has begun anew, or no time has passed.
func rate(more, within float64) figure {
	if more < 0 || !(within > 0) {
		return figure(unknown)
	}
	return figure(more / within)
}
