package game

import (
	"encoding/json"
	"math"
	"strconv"
)

// State returns the arena as pages get it, in JSON. Every state is a whole one, so that any may be left out:
//
//	k  the tick
//	r  [number of the round, 1 in the pause after it, ticks that are left of it]
//	p  comets: [id, name, 1 for a bot, x, y, vx, vy, direction or -1, score, energy, steps dazed, safe, 1 boost + 2 away, t of the last wish]
//	d  dust, three numbers each: [4 × id + kind, x, y, …]
func (a *Arena) State() []byte {
	b := make([]byte, 0, 1024)
	b = strconv.AppendInt(append(b, `{"k":`...), a.tick, 10)
	b = numbers(append(b, `,"r":[`...), a.round, bit(a.pause, 1), a.left)
	b = append(b, `],"p":[`...)
	for i, p := range a.players {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.encode(b)
	}
	b = append(b, `],"d":[`...)
	for i, m := range a.motes {
		if i > 0 {
			b = append(b, ',')
		}
		b = numbers(b, m.id<<2|m.kind, round(m.x), round(m.y))
	}
	return append(b, "]}"...)
}

func (p *player) encode(b []byte) []byte {
	name, err := json.Marshal(p.name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	b = strconv.AppendInt(append(b, '['), int64(p.id), 10)
	b = append(append(append(b, ','), name...), ',')
	boost := p.wish.B && p.wish.D >= 0 && p.Energy > 0 && p.Dazed == 0
	b = numbers(b, bit(p.bot, 1), round(p.X), round(p.Y), round(p.VX), round(p.VY), p.wish.D, p.score, round(p.Energy), p.Dazed, p.safe,
		bit(boost, 1)|bit(!p.bot && p.quiet > awayTicks, 2))
	b = strconv.AppendInt(append(b, ','), p.wish.T, 10)
	return append(b, ']')
}

func numbers(b []byte, all ...int) []byte {
	for i, n := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return b
}

func round(x float64) int { return int(math.Round(x)) }

func bit(is bool, value int) int {
	if is {
		return value
	}
	return 0
}
