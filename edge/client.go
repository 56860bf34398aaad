package edge

import "encke/netloop"

// transport is what a connection speaks now.
type transport uint8

const (
	overHTTP   transport = iota // between requests, or in one
	overWS                      // encke.json
	overRaw                     // encke.raw
	overEcho                    // /echo
	overSSE                     // /sse
	overStream                  // /stream
	overPoll                    // a parked long poll
	numTransports
)

var transportNames = [numTransports]string{"http", "ws", "raw", "echo", "sse", "stream", "poll"}

// websocket says whether frames travel.
func (t transport) websocket() bool { return t == overWS || t == overRaw || t == overEcho }

type clientFlags uint16

const (
	onBackend    clientFlags = 1 << iota // came by the backend listener
	isDeflate                            // permessage-deflate
	isChunked                            // the stream is chunked
	isPinged                             // a ping is not answered yet
	keepsAlive                           // the connection outlives the parked poll
	isHTTP10                             // and "Connection: keep-alive" has to be said
	isPartial                            // r.progress has an entry
	isMany                               // r.many has an entry: more than one channel
	isStalled                            // a push that waits for loops that are behind
	isBusy                               // an answer is being made elsewhere
	awaitsProxy                          // the proxy's header has not come yet
	isLagging                            // r.lags has an entry: a subscription is fed from history
	isRefreshing                         // another token is being verified elsewhere
	isLatent                             // follows its user's own channel, which is not there (latent.go)
)

// client is what the edge knows of a connection: 16 bytes without pointers, under the connection's netloop.ID. Rare state
// is in the reactor's side tables. Owned by the reactor.
type client struct {
	entry     uint32 // index of the only channel's entry + 1, 0 when there is none; unused with isMany
	flags     clientFlags
	transport transport
	bits      uint8  // deflate: the window that the client allows
	beat      uint32 // second of the last heartbeat, since the reactor began
}

// counted is the transport that a connection is counted under. Those of the backend listener are no clients: what the console reads
// must not look like a visitor.
func (cl *client) counted() transport {
	if cl.flags&onBackend != 0 {
		return overHTTP
	}
	return cl.transport
}

const clientChunk = 4096

// clients is the slab of client records, in chunks that never move.
type clients struct{ chunks []*[clientChunk]client }

func (s *clients) at(c netloop.ID) *client { return &s.chunks[c/clientChunk][c%clientChunk] }

// ensure makes room for c.
func (s *clients) ensure(c netloop.ID) *client {
	for int(c/clientChunk) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([clientChunk]client))
	}
	return s.at(c)
}
