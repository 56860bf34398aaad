package edge

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"

	"encke/longpoll"
)

// script is the JavaScript client as GET /encke.js answers it. It is immutable.
type script struct {
	plain, packed []byte
	tag           string // of its bytes: the entity tag, and what ?v= has to say to be kept for a year
	integrity     string // for <script integrity> (W3C Subresource Integrity)
}

func newScript(source []byte) *script {
	if len(source) == 0 {
		return nil
	}
	short, long := sha256.Sum256(source), sha512.Sum384(source)
	return &script{plain: source, packed: packed(source), tag: hex.EncodeToString(short[:8]),
		integrity: "sha384-" + base64.StdEncoding.EncodeToString(long[:])}
}

// Script returns where the JavaScript client is to be had in just this version, and its integrity; both are empty where none is
// served.
func (s *Server) Script() (path, integrity string) {
	if s.script == nil {
		return "", ""
	}
	return "/encke.js?v=" + s.script.tag, s.script.integrity
}

const (
	// cacheForever is for an address that names the version, cacheShortly for one that does not.
	cacheForever = "public, max-age=31536000, immutable"
	cacheShortly = "public, max-age=300"
)

// serveScript answers GET /encke.js.
func (r *reactor) serveScript(q *request) {
	s := r.server.script
	res := longpoll.Response{Status: 200, Type: "text/javascript; charset=utf-8", Body: s.plain, Cache: cacheShortly}
	if v, _ := arg(q.query, "v"); string(v) == s.tag {
		res.Cache = cacheForever
	}
	etag := `"` + s.tag + `"`
	extra := "ETag: " + etag + "\r\nVary: Accept-Encoding\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
	switch {
	case bytes.Contains(q.Header.Peek("If-None-Match"), []byte(etag)):
		res.Status, res.Type, res.Body = 304, "", nil
	case q.Header.HasAcceptEncoding("gzip"):
		res.Body = s.packed
		extra += "Content-Encoding: gzip\r\n"
	}
	res.Extra = []byte(extra)
	r.answer(q, res)
}
