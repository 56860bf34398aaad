package channel

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"encke/codes"
)

// Epoch is the identity of the streams of one process. It is written in base 36, lower case, and is never 0.
type Epoch uint64

// String returns the epoch as it stands in a position.
func (e Epoch) String() string { return strconv.FormatUint(uint64(e), 36) }

// FromKind is how a From is to be read.
type FromKind uint8

// The kinds of From.
const (
	FromNow      FromKind = iota // only what comes
	FromStart                    // everything kept, never a gap
	FromPosition                 // what follows Offset of Epoch
)

// From tells where a subscriber wants to begin. It is pointer-free; the zero value is "from now on".
type From struct {
	Kind   FromKind
	Epoch  Epoch
	Offset uint64
}

// ParseSince reads a since list (PROTOCOL.md "Positions") for n channels. The items overwrite dst, whose room is used;
// an empty list stands for n empty items. A bare offset takes the last epoch named before it, over empty items too.
// Numbers are canonical: no sign, no leading zero, nothing above 64 bits. Errors have the code BadSince. Nothing is
// allocated when dst has room and there is no error.
func ParseSince(dst []From, s []byte, n int) ([]From, *codes.Error) {
	dst = dst[:0]
	if len(s) == 0 {
		for range n {
			dst = append(dst, From{})
		}
		return dst, nil
	}
	if items := bytes.Count(s, comma) + 1; items != n {
		return dst, codes.New(codes.BadSince, fmt.Sprintf("%d items for %d channels", items, n))
	}
	var epoch Epoch
	for i := range n {
		item, rest, _ := bytes.Cut(s, comma)
		s = rest
		from, wrong := parseItem(item, epoch)
		if wrong != "" {
			return dst[:0], codes.New(codes.BadSince, fmt.Sprintf("item %d, %s, %s", i+1, shown(item), wrong))
		}
		if from.Kind == FromPosition {
			epoch = from.Epoch
		}
		dst = append(dst, from)
	}
	return dst, nil
}

var comma = []byte{','}

// parseItem reads one item; last is the epoch named before it, 0 for none. wrong says what is not as it should be.
func parseItem(item []byte, last Epoch) (from From, wrong string) {
	if len(item) == 0 {
		return From{}, ""
	}
	dot := bytes.IndexByte(item, '.')
	offset, ok := parseNumber(item[dot+1:], 10)
	if !ok {
		return From{}, "has an offset that is no number"
	}
	if dot >= 0 {
		epoch, ok := parseNumber(item[:dot], 36)
		if !ok || epoch == 0 {
			return From{}, "has an epoch that is none"
		}
		return From{FromPosition, Epoch(epoch), offset}, ""
	}
	switch {
	case offset == 0:
		return From{Kind: FromStart}, ""
	case last == 0:
		return From{}, "has no epoch, nor has an item before it"
	}
	return From{FromPosition, last, offset}, ""
}

// parseNumber reads a canonical number: what AppendUint writes in that base, and nothing else.
func parseNumber(s []byte, base uint64) (uint64, bool) {
	if len(s) == 0 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var v uint64
	for _, c := range s {
		d := uint64(math.MaxUint64)
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c >= 'a' && c <= 'z':
			d = uint64(c-'a') + 10
		}
		if d >= base || v > (math.MaxUint64-d)/base {
			return 0, false
		}
		v = v*base + d
	}
	return v, true
}

// shown returns the item as an error quotes it: the sender chose its length, the answer's is ours.
func shown(item []byte) string {
	const most = 40
	if len(item) > most {
		return strconv.Quote(string(item[:most])) + "…"
	}
	return strconv.Quote(string(item))
}

// AppendPosition appends the position of one channel, "k3f9zq.17".
func AppendPosition(dst []byte, e Epoch, offset uint64) []byte {
	dst = strconv.AppendUint(dst, uint64(e), 36)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, offset, 10)
}

// AppendPositions appends the position of several channels, "k3f9zq.17,4". Offset 0 always carries its epoch: a bare 0
// means "the beginning of what is kept" and would hide a gap from who comes back with it.
func AppendPositions(dst []byte, e Epoch, offsets []uint64) []byte {
	for i, offset := range offsets {
		if i > 0 {
			dst = append(dst, ',')
		}
		if i == 0 || offset == 0 {
			dst = AppendPosition(dst, e, offset)
			continue
		}
		dst = strconv.AppendUint(dst, offset, 10)
	}
	return dst
}
