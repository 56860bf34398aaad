package channel

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"encke/codes"
)

// Publication is a message with its place in a channel. It is shared by all loops; everything but Forms is immutable
// once it is published.
type Publication struct {
	Channel string
	Offset  uint64
	Time    int64  // when it was taken, Unix time in milliseconds
	Wire    []byte // the JSON object of PROTOCOL.md, one line without its end
	Data    []byte // the payload as pushed, JSON in one line; it may be a part of Wire
	Forms   Forms
	Except  uint64 // Message.Except
	Kind    Kind

	// immutable
	cost uint32 // bytes it takes in memory, without Forms
	ends int64  // when its own time is over, Unix time in milliseconds; 0: never

	// guarded by the mutex of the ledger it is in
	home         *Channel
	older, newer *Publication
}

// overhead is what a kept publication takes besides its buffer: itself and its place in the ring.
const overhead = int(unsafe.Sizeof(Publication{}) + unsafe.Sizeof((*Publication)(nil)))

// The wire object begins with these parts; what stands between them is known only under the channel's lock.
const (
	headChannel  = `{"channel":"`
	headOffset   = `","offset":`
	headPosition = `,"position":"`
	headEnd      = `"`

	maxDigits = 20 // of an offset
)

// headLen is the length of the head of a wire object: up to the position's closing quote.
func headLen(name, epoch, digits int) int {
	return len(headChannel) + name + len(headOffset) + digits + len(headPosition) + epoch + 1 + digits + len(headEnd)
}

// newPublication encodes a message, all but its head. The head's length depends on the offset, which only the channel's
// lock gives; so there is room for the longest one at the beginning of the buffer, and seal puts the head at its end.
// Data that cannot be a part of Wire follows Wire in the same buffer.
func newPublication(nameLen int, epoch string, m *Message, maxData int, now int64) (*Publication, *codes.Error) {
	if err := m.check(maxData); err != nil {
		return nil, err
	}
	kind, data, err := m.classify()
	if err != nil {
		return nil, err
	}
	event, contentType := []byte(m.Event), m.Type
	if !utf8.ValidString(m.Event) {
		event = []byte(strings.ToValidUTF8(m.Event, "\ufffd"))
	}
	if kind == KindJSON {
		contentType = nil
	} else if !utf8.Valid(contentType) {
		contentType = bytes.ToValidUTF8(contentType, []byte("\ufffd"))
	}
	inWire, own := dataLen(kind, data)
	room := headLen(nameLen, len(epoch), maxDigits)
	size := room + labelLen(len(`,"event":`), event) + len(`,"time":`) + decimalLen(now) +
		labelLen(len(`,"user":`), []byte(m.User)) + labelLen(len(`,"type":`), contentType) + len(`,"data":}`) + inWire + own
	if kind == KindBinary {
		size += len(`,"encoding":"base64"`)
	}
	// Grow gives the whole size class, so that cap counts what the allocator really spends.
	buf := slices.Grow([]byte(nil), size)[:room]
	buf = appendLabel(buf, `,"event":`, event)
	buf = appendLabel(buf, `,"user":`, []byte(m.User))
	buf = strconv.AppendInt(append(buf, `,"time":`...), now, 10)
	buf = appendLabel(buf, `,"type":`, contentType)

	p := &Publication{Time: now, Kind: kind, Except: m.Except, cost: uint32(min(overhead+cap(buf), math.MaxUint32))}
	if m.TTL > 0 {
		p.ends = now + m.TTL
	}
	p.fill(buf, data, own > 0)
	return p, nil
}

// dataLen returns how many bytes the data takes in the wire object, and how many beside it.
func dataLen(kind Kind, data []byte) (inWire, own int) {
	switch kind {
	case KindJSON:
		return len(data), 0
	case KindBinary:
		return base64.StdEncoding.EncodedLen(len(data)) + 2, len(data)
	}
	inWire = quotedLen(data)
	if inWire > len(data)+2 { // it has escapes; otherwise the text stands unchanged between the quotes
		own = len(data)
	}
	return inWire, own
}

// fill appends the data and the end of the object to buf and sets Wire, still with the room for the head, and Data.
func (p *Publication) fill(buf, data []byte, own bool) {
	if p.Kind == KindBinary {
		buf = append(buf, `,"encoding":"base64"`...)
	}
	buf = append(buf, `,"data":`...)
	at := len(buf)
	switch p.Kind {
	case KindJSON:
		buf = append(buf, data...)
	case KindText:
		buf = appendQuoted(buf, data)
		at++
	case KindBinary:
		buf = append(buf, '"')
		buf = base64.StdEncoding.AppendEncode(buf, data)
		buf = append(buf, '"')
	}
	buf = append(buf, '}')
	end := len(buf)
	if own {
		at = end
		buf = append(buf, data...)
	}
	p.Wire = buf[:end:end] // whoever appends to Wire must not reach Data
	p.Data = buf[at : at+len(data) : at+len(data)]
}

// seal gives the publication its channel and offset and writes the head of its wire object. It does not allocate.
func (p *Publication) seal(channel, epoch string, offset uint64) {
	var digits [maxDigits]byte
	number := strconv.AppendUint(digits[:0], offset, 10)
	room := headLen(len(channel), len(epoch), maxDigits)
	length := headLen(len(channel), len(epoch), len(number))
	wire := p.Wire[room-length:]
	head := wire[:0]
	head = append(append(head, headChannel...), channel...)
	head = append(append(head, headOffset...), number...)
	head = append(append(append(head, headPosition...), epoch...), '.')
	head = append(append(head, number...), headEnd...)
	if len(head) != length {
		panic("BUG: the head of a wire object has not the length that was left for it")
	}
	p.Channel, p.Offset, p.Wire = channel, offset, wire
}

// over tells whether the publication's own time has passed. It may be kept still: what is kept has no holes.
func (p *Publication) over(now int64) bool { return p.ends != 0 && now >= p.ends }

// newGap makes what stands in a replay for publications that are missing up to an offset.
func newGap(channel, epoch, why string, upTo uint64) *Publication {
	return &Publication{Channel: channel, Offset: upTo, Wire: AppendGap(nil, channel, epoch, why, upTo), Kind: KindGap}
}

// AppendGap appends the object that tells of publications that are missing up to an offset.
func AppendGap(dst []byte, channel, epoch, why string, upTo uint64) []byte {
	dst = append(append(dst, headChannel...), channel...)
	dst = append(append(dst, `","gap":true,"reason":"`...), why...)
	dst = append(append(append(dst, `","position":"`...), epoch...), '.')
	return append(strconv.AppendUint(dst, upTo, 10), `"}`...)
}

func labelLen(key int, value []byte) int {
	if len(value) == 0 {
		return 0
	}
	return key + quotedLen(value)
}

func appendLabel(dst []byte, key string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendQuoted(append(dst, key...), value)
}

// decimalLen is the length of v as AppendInt writes it, or one more.
func decimalLen(v int64) int {
	n := 2
	for v /= 10; v != 0; v /= 10 {
		n++
	}
	return n
}
