package wire

import (
	"bytes"
	"errors"
	"strconv"
)

var errChunk = errors.New("the server sent a malformed chunk")

// ParseChunkSize reads the line before a chunk (RFC 9112 section 7.1), and the end of the chunk before it. size is the
// chunk's, taken the bytes up to it; taken is 0 while the line is not complete.
func ParseChunkSize(b []byte) (size uint32, taken int, err error) {
	start := 0
	if bytes.HasPrefix(b, []byte("\r\n")) {
		start = 2
	}
	n := bytes.Index(b[start:], []byte("\r\n"))
	if n < 0 {
		if len(b) > 64 {
			return 0, 0, errChunk
		}
		return 0, 0, nil
	}
	line, _, _ := bytes.Cut(b[start:start+n], []byte(";"))
	v, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
	if err != nil {
		return 0, 0, errChunk
	}
	return uint32(v), start + n + 2, nil
}
