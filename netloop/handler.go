package netloop

import "time"

// Handler is a loop's protocol. Each loop has its own, made by Config.New; every method is called on the loop's
// goroutine and must not block. A method may close any connection of the loop, its own too.
type Handler interface {
	// Open tells of a new connection. listener is the index given to Engine.Listen, or Dialed.
	Open(c ID, listener int)
	// Data hands over what has arrived and was not taken before. It returns how many bytes of b it has taken; the rest is
	// shown again, in front of what arrives next (or after Loop.Resume). b may be changed; it is valid until Data returns.
	Data(c ID, b []byte) int
	// EOF tells that the peer has sent FIN. The connection stays open until it is closed here or later.
	EOF(c ID)
	// Drained tells that output which had to wait has been sent whole.
	Drained(c ID)
	// Timeout tells that the connection's timer, as set by SetTimer, has run out.
	Timeout(c ID, kind TimerKind)
	// Silent tells, once a sweep, that nothing has arrived for at least Config.Silence.
	Silent(c ID, silence time.Duration)
	// Stalled tells, about once a second, how much output waits and how long its oldest byte has waited, or how long ago it
	// is that the peer had taken another 16 KiB: whichever is shorter.
	Stalled(c ID, waiting int, age time.Duration)
	// Closed tells that the connection has gone. c is used again after it returns.
	Closed(c ID, why Reason)
	// Mail hands over a message posted to this loop, in the order of posting.
	Mail(m Mail)
	// Turn runs after events and mail of each turn. It does a bounded amount of work and says whether there is more, in
	// which case the loop looks at its descriptors and comes back at once.
	Turn() (more bool)
	// Tick runs every Config.Tick.
	Tick(now time.Time)
}

// Dialed is the listener index of connections made by Loop.Dial.
const Dialed = 255

// TimerKind tells a handler which of its timers ran out. Zero means no timer; the last value is the engine's own.
type TimerKind uint8

const timerLinger TimerKind = 255

// Reason says why a connection ended; each is counted.
type Reason uint8

// The reasons. Handlers may use their own from ReasonUser on, up to NumReasons-1.
const (
	ReasonPeer    Reason = iota // the peer closed in order
	ReasonReset                 // the peer reset, or the network failed
	ReasonLinger                // the peer did not close in time after our FIN
	ReasonConnect               // a dialed connection could not be made
	ReasonStop                  // the engine stopped
	ReasonUser                  // first of the handler's own
	NumReasons    = 96
)
