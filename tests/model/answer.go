package model

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
)

// readAnswer reads the head of an HTTP answer and prepares its body. It exists since http.ReadResponse says of a head that
// was cut off that it is malformed; here it is io.ErrUnexpectedEOF, or what the connection said, and malformed is malformed.
func readAnswer(r *bufio.Reader) (*http.Response, error) {
	var head []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if head = append(head, line...); len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return nil, err
	}
	switch {
	case len(res.TransferEncoding) > 0:
		res.Body = io.NopCloser(httputil.NewChunkedReader(r))
	case res.ContentLength >= 0:
		res.Body = io.NopCloser(&sized{r, res.ContentLength})
	default:
		res.Body = io.NopCloser(r)
	}
	return res, nil
}

// sized reads left bytes; an end before is unexpected.
type sized struct {
	r    io.Reader
	left int64
}

func (s *sized) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
