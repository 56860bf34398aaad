package edge

import (
	"math"
	"slices"

	"encke/channel"
)

const (
	// surveyEach is how many channels a survey looks at, twice, in each second. Where there are more they take turns: a million come
	// round in 50 s.
	surveyEach = 20_000
	// surveyKept is how many of the best of each kind are looked at in every second, whether it is their turn or not.
	surveyKept = 50
	// surveyTop is how many of them are told.
	surveyTop = 10
	// surveyMean is over about how many seconds rates are averaged, so that a channel with little to say does not come and go.
	surveyMean = 3
)

// ranked is a channel with what it is ranked by.
type ranked struct {
	channel.Sight
	rate float64 // publications a second
}

// survey finds the channels with the most subscribers and those with the most publications. Nothing is counted for it where messages
// pass: a channel's offset, seen twice, tells its rate.
type survey struct {
	all           *channel.Survey
	window        []channel.Sight // seen at the end of the last look, to be seen again
	bySubs, byPub []ranked        // the best so far, best first
}

// look sees the channels of the last look again, dt seconds later, and others for the next. With 20,000 channels it takes 1 to 2 ms of
// the caller's time, of very many channels 7 ms, and nobody else's (BenchmarkSurvey).
func (v *survey) look(dt float64) {
	best := rankings{}
	for _, x := range slices.Concat(v.bySubs, v.byPub) {
		if now, ok := x.Channel.Sight(); ok {
			rate := float64(now.Head-x.Head) / dt
			best.offer(ranked{now, x.rate + (rate-x.rate)*(1-math.Exp(-dt/surveyMean))})
		}
	}
	for _, was := range v.window {
		if now, ok := was.Channel.Sight(); ok {
			best.offer(ranked{now, float64(now.Head-was.Head) / dt})
		}
	}
	v.bySubs, v.byPub = best.bySubs, best.byPub
	clear(v.window)
	v.window = v.all.Next(v.window[:0], surveyEach)
}

// rankings keep the best of what they are offered. Of one that is offered again the first counts.
type rankings struct{ bySubs, byPub []ranked }

// leastRate is the rate below which a channel counts as silent.
const leastRate = 0.01

func (b *rankings) offer(x ranked) {
	if x.Channel.Name() == consoleChannel {
		return
	}
	if x.Subscribers > 0 {
		b.bySubs = keepBest(b.bySubs, x, func(a, b ranked) bool { return a.Subscribers > b.Subscribers })
	}
	if x.rate >= leastRate {
		b.byPub = keepBest(b.byPub, x, func(a, b ranked) bool { return a.rate > b.rate })
	}
}

// keepBest puts x into its place among the best, if it has one.
func keepBest(best []ranked, x ranked, better func(a, b ranked) bool) []ranked {
	if len(best) == surveyKept && !better(x, best[surveyKept-1]) {
		return best
	}
	for i := range best {
		if best[i].Channel == x.Channel {
			return best
		}
	}
	at := len(best)
	for at > 0 && better(x, best[at-1]) {
		at--
	}
	if len(best) == surveyKept {
		best = best[:surveyKept-1]
	}
	return slices.Insert(best, min(at, len(best)), x)
}
