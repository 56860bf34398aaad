package model

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// patience is a toxic that stands between others. toxiproxy leaves goroutines behind when one end of a link has gone while
// data is on its way: whoever writes to a stage that has ended waits for ever, and with it 32 KiB of buffer; in an hour of
// connections that are cut these are gigabytes. patience gives up after a while: it ends what follows, and drops what comes.
type patience struct{}

const patienceOf = 5 * time.Second

func init() { toxics.Register("patience", new(patience)) }

// Pipe implements toxics.Toxic. Toxics are never added to or taken from a proxy that runs, so nothing interrupts it.
func (*patience) Pipe(stub *toxics.ToxicStub) {
	for chunk := range stub.Input {
		if !pass(stub, chunk) {
			break
		}
	}
	stub.Close()
	for range stub.Input { // ends when the connection is closed, which ending what follows brings about
	}
}

func pass(stub *toxics.ToxicStub, chunk *stream.StreamChunk) bool {
	select {
	case stub.Output <- chunk:
		return true
	default:
	}
	timer := time.NewTimer(patienceOf)
	defer timer.Stop()
	select {
	case stub.Output <- chunk:
		return true
	case <-timer.C:
		return false
	}
}
