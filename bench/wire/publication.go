package wire

import "bytes"

// Publication is what a client needs of a publication in Encke's JSON form.
type Publication struct {
	Offset  uint64
	Payload []byte
	Gap     bool // the server says that something cannot be given
}

var (
	keyOffset   = []byte(`"offset":`)
	keyData     = []byte(`"data":"`)
	keyGap      = []byte(`"gap":true`)
	keyPosition = []byte(`"position":"`)
	keyRecover  = []byte(`"recovered":false`)
)

// NextPublication finds the first publication or gap in b and returns what follows it; ok is false where there is none.
// It relies on the order of fields that PROTOCOL.md promises, and on payloads that hold no quotation mark.
func NextPublication(b []byte) (p Publication, rest []byte, ok bool) {
	at := bytes.Index(b, keyOffset)
	if gap := bytes.Index(b, keyGap); gap >= 0 && (at < 0 || gap < at) {
		return Publication{Gap: true}, b[gap+len(keyGap):], true
	}
	if at < 0 {
		return p, nil, false
	}
	b = b[at+len(keyOffset):]
	p.Offset, _ = Digits(b)
	if at = bytes.Index(b, keyData); at < 0 {
		return p, nil, true // without a payload: corrupt, and so it will be found
	}
	b = b[at+len(keyData):]
	end := bytes.IndexByte(b, '"')
	if end < 0 {
		return p, nil, true
	}
	p.Payload = b[:end]
	return p, b[end+1:], true
}

// Unrecovered says whether a reply to a subscription tells of a loss.
func Unrecovered(b []byte) bool { return bytes.Contains(b, keyRecover) }

// LastPosition returns the last position in b, of one channel: epoch and offset.
func LastPosition(b []byte) (epoch []byte, offset uint64, ok bool) {
	at := bytes.LastIndex(b, keyPosition)
	if at < 0 {
		return nil, 0, false
	}
	return ParsePosition(b[at+len(keyPosition):])
}

// ParsePosition reads a position that b begins with: epoch.offset.
func ParsePosition(b []byte) (epoch []byte, offset uint64, ok bool) {
	dot := bytes.IndexByte(b, '.')
	if dot < 0 {
		return nil, 0, false
	}
	offset, ok = Digits(b[dot+1:])
	return b[:dot], offset, ok
}
