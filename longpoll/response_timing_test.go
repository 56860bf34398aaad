package longpoll

import (
	"testing"

	"github.com/valyala/fasthttp"
)

var pollBody = []byte(`{"publications":[{"channel":"news","offset":17,"position":"k3f9zq.17","time":1795224000123,` +
	`"data":{"home":2}}],"position":"k3f9zq.17"}`)

func BenchmarkAppendByHand(b *testing.B) {
	c := clock()
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r := Response{Status: 200, Type: "application/json", Body: pollBody}
		dst = r.Append(dst[:0], c)
	}
}

// BenchmarkAppendByFasthttp makes the same answer with a ResponseHeader that is set up anew for each, as answers differ.
func BenchmarkAppendByFasthttp(b *testing.B) {
	var h fasthttp.ResponseHeader
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		h.SetStatusCode(200)
		h.SetServer("encke")
		h.SetContentType("application/json")
		h.SetContentLength(len(pollBody))
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cache-Control", "no-store")
		dst = append(h.AppendBytes(dst[:0]), pollBody...)
	}
}

// BenchmarkAppendByFasthttpKept is the best case for fasthttp: the header is kept, only the length is set.
func BenchmarkAppendByFasthttpKept(b *testing.B) {
	var h fasthttp.ResponseHeader
	h.SetStatusCode(200)
	h.SetServer("encke")
	h.SetContentType("application/json")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		h.SetContentLength(len(pollBody))
		dst = append(h.AppendBytes(dst[:0]), pollBody...)
	}
}
