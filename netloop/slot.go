package netloop

import "encke/bitset"

// ID names a connection within its loop. It is an index into the loop's slab, used again after the connection has gone;
// a layer above may keep its own slab under the same indexes.
type ID uint32

// Handle names a connection to other goroutines: loop (8 bits), generation (24 bits), slot (32 bits). The zero Handle
// names nobody.
type Handle uint64

func makeHandle(loop int, gen uint32, c ID) Handle {
	return Handle(uint64(loop)<<56 | uint64(gen&genMask)<<32 | uint64(c))
}

// Loop returns the index of the loop that owns the connection.
func (h Handle) Loop() int { return int(h >> 56) }

// ID returns the connection's index in its loop; valid only while the handle is (Loop.Resolve).
func (h Handle) ID() ID { return ID(h) }

func (h Handle) gen() uint32 { return uint32(h>>32) & genMask }

const genMask = 1<<24 - 1

const (
	chunkBits = 12
	chunkSize = 1 << chunkBits
)

type flags uint16

const (
	flagOpen      flags = 1 << iota
	flagDialing         // connect(2) is under way
	flagOutput          // l.outputs has an entry
	flagInput           // l.inputs has an entry
	flagPaused          // input is not wanted
	flagEOF             // the peer has sent FIN
	flagFinishing       // close once the output is out
	flagLingering       // FIN sent, input is thrown away
	flagReady           // in l.ready
)

// slot is a connection's record. It holds no pointers, so that the garbage collector never walks the slab.
// All of it is owned by the loop.
type slot struct {
	fd       int32
	gen      uint32 // 1 to genMask; +1 when the connection ends
	next     uint32 // timer wheel links, index+1, 0 = none
	prev     uint32
	deadline uint32 // tick at which the timer runs out
	active   uint32 // tick of the last byte received
	flags    flags
	timer    TimerKind // 0: none
	listener uint8
	events   uint32 // what epoll watches for
}

// slab keeps slots in chunks that never move and never shrink.
type slab struct {
	chunks []*[chunkSize]slot
	free   bitset.Set // lowest first, so that slot order stays close to descriptor order
	used   int
}

func (s *slab) at(c ID) *slot { return &s.chunks[c>>chunkBits][c%chunkSize] }

func (s *slab) size() int { return len(s.chunks) * chunkSize }

func (s *slab) take() (ID, *slot) {
	x, ok := s.free.Next(0)
	if !ok {
		x = uint32(s.size())
		s.chunks = append(s.chunks, new([chunkSize]slot))
		for i := x; i < x+chunkSize; i++ {
			s.free.Add(i)
		}
	}
	s.free.Remove(x)
	s.used++
	c := s.at(ID(x))
	if c.gen == 0 {
		c.gen = 1
	}
	return ID(x), c
}

func (s *slab) put(c ID, p *slot) {
	gen := (p.gen + 1) & genMask
	if gen == 0 {
		gen = 1
	}
	*p = slot{gen: gen, fd: -1}
	s.free.Add(uint32(c))
	s.used--
}
