package longpoll

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/valyala/fasthttp"
)

var roomy = Limits{Header: 8 << 10, Body: 64 << 10}

func benchmarkNext(b *testing.B, input string) {
	a := NewAssembler()
	raw := []byte(input)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var p Progress
		if _, _, _, status, _, _ := a.Next(raw, &p, roomy); status != Ready {
			b.Fatal(status)
		}
	}
}

func BenchmarkNextSmallGet(b *testing.B)   { benchmarkNext(b, get()) }
func BenchmarkNextBrowserGet(b *testing.B) { benchmarkNext(b, browserHead) }
func BenchmarkNextPost(b *testing.B)       { benchmarkNext(b, post("Content-Length: 100")+pad(100)) }
func BenchmarkNextChunkedPost(b *testing.B) {
	benchmarkNext(b, chunkedPost("64\r\n"+pad(100)+"\r\n0\r\n\r\n"))
}

// BenchmarkFasthttpBrowserGet is what of BenchmarkNextBrowserGet is fasthttp's.
func BenchmarkFasthttpBrowserGet(b *testing.B) {
	raw := []byte(browserHead)
	var src bytes.Reader
	br := bufio.NewReaderSize(&src, keepReader)
	var req fasthttp.Request
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		req.Reset()
		src.Reset(raw)
		br.Reset(&src)
		if err := req.Header.Read(br); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNextByteByByte is the browser's head in as many calls as it has bytes.
func BenchmarkNextByteByByte(b *testing.B) {
	a := NewAssembler()
	raw := []byte(browserHead)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		var p Progress
		for i := 1; i <= len(raw); i++ {
			a.Next(raw[:i], &p, roomy)
		}
	}
}
