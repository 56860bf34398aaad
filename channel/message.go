package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"encke/codes"
)

// maxLabel is the longest event name and Content-Type in bytes.
const maxLabel = 256

// Message is what a publisher gives. Its slices are copied: they may be used again when Publish has returned.
type Message struct {
	Event  string
	User   string // who publishes, where a client does; "" for the backend
	Except uint64 // whom Sink's user is not to give it live, as that understands it; 0: nobody
	Type   []byte // Content-Type as pushed; empty when none was given
	Data   []byte
	JSON   bool // Data is known to be valid JSON: the caller has checked it
	Own    bool // it is the server's own: Config.MaxMessage, which is for what others send, does not bound it

	// ID, where not empty, is remembered for Config.IDAge: a message pushed again with it, by the same User, is not stored again.
	ID []byte
	// TTL is for how many milliseconds the message may be given to those who come for it later; 0: as long as it is kept.
	TTL int64
	// Expect, where not nil, is the position that the channel must be at: FromStart is one without any publication.
	Expect *From
}

// key is what ID is remembered by: ids of one user are not those of another, nor of the backend.
func (m *Message) key() []byte {
	if m.User == "" {
		return m.ID
	}
	return append(append([]byte(m.User), 0), m.ID...)
}

// Kind is how the data stands in the wire object.
type Kind uint8

// The kinds of data.
const (
	KindJSON   Kind = iota // as it is
	KindText               // as a JSON string
	KindBinary             // as base64 in a JSON string
	KindGap                // no data: it stands for publications that are missing (Joined.Replay)
)

// check refuses what no publication can be made of. maxData 0 is no limit.
func (m *Message) check(maxData int) *codes.Error {
	switch {
	case len(m.Data) == 0:
		return codes.New(codes.EmptyMessage, "")
	case maxData > 0 && len(m.Data) > maxData && !m.Own:
		return codes.New(codes.MessageTooLarge, fmt.Sprintf("%d bytes, %d allowed", len(m.Data), maxData))
	}
	if wrong := wrongLabel([]byte(m.Event)); wrong != "" {
		return codes.New(codes.BadMessage, "the event's name "+wrong)
	}
	if wrong := wrongLabel(m.Type); wrong != "" {
		return codes.New(codes.BadMessage, "the Content-Type "+wrong)
	}
	return nil
}

// wrongLabel says what is wrong with an event's name or a Content-Type; a line break in either would break SSE.
func wrongLabel(s []byte) string {
	if len(s) > maxLabel {
		return fmt.Sprintf("is longer than %d bytes", maxLabel)
	}
	for _, c := range s {
		if c < 0x20 || c == 0x7f {
			return "has a control character"
		}
	}
	return ""
}

// classify tells how the data stands in the wire object and returns the bytes to put there, which for JSON without line
// breaks, text and binary are m.Data itself.
func (m *Message) classify() (Kind, []byte, *codes.Error) {
	media := mediaType(m.Type)
	switch {
	case m.JSON || isJSON(media):
		data, err := jsonLine(m.Data, m.JSON)
		return KindJSON, data, err
	case isBinary(media) || !utf8.Valid(m.Data):
		return KindBinary, m.Data, nil
	}
	return KindText, m.Data, nil
}

// mediaType returns the type and subtype of a Content-Type, without parameters (RFC 9110 section 8.3.1).
func mediaType(contentType []byte) []byte {
	media, _, _ := bytes.Cut(contentType, []byte{';'})
	return bytes.Trim(media, " ")
}

func isJSON(media []byte) bool {
	const suffix = "+json"
	if bytes.EqualFold(media, []byte("application/json")) {
		return true
	}
	end := len(media) - len(suffix)
	return end > 0 && bytes.IndexByte(media[:end], '/') > 0 && bytes.EqualFold(media[end:], []byte(suffix))
}

func isBinary(media []byte) bool {
	const kind = len("image/") // as long as audio/ and video/
	if len(media) < kind {
		return false
	}
	return bytes.EqualFold(media[:kind], []byte("image/")) ||
		bytes.EqualFold(media[:kind], []byte("audio/")) ||
		bytes.EqualFold(media[:kind], []byte("video/")) ||
		bytes.EqualFold(media, []byte("application/octet-stream"))
}

// jsonLine returns the JSON text in one line: SSE and ndjson end at a line break, and in valid JSON those are
// insignificant white space. encoding/json lets strings that are not UTF-8 pass; RFC 8259 section 8.1 does not, and a
// WebSocket client would have to close (RFC 6455 section 8.1), so they are refused here.
func jsonLine(data []byte, known bool) ([]byte, *codes.Error) {
	if !known && !json.Valid(data) {
		return nil, badJSON(data)
	}
	if !utf8.Valid(data) {
		return nil, &codes.Error{Code: codes.BadJSON, Detail: "invalid UTF-8", Offset: validPrefix(data) + 1}
	}
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		return data, nil
	}
	var line bytes.Buffer
	line.Grow(len(data))
	if json.Compact(&line, data) != nil {
		return nil, badJSON(data)
	}
	return line.Bytes(), nil
}

// badJSON names the byte at which data stops being JSON.
func badJSON(data []byte) *codes.Error {
	var (
		raw    json.RawMessage
		syntax *json.SyntaxError
	)
	if err := json.Unmarshal(data, &raw); errors.As(err, &syntax) {
		return &codes.Error{Code: codes.BadJSON, Detail: syntax.Error(), Offset: int(syntax.Offset)}
	}
	return codes.New(codes.BadJSON, "")
}

// validPrefix counts the bytes before the first that is not UTF-8.
func validPrefix(s []byte) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(s)
}
