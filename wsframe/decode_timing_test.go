package wsframe

import (
	"fmt"
	"io"
	"testing"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

func BenchmarkDecode(b *testing.B) {
	cases := []struct {
		name string
		wire string
		cut  int
	}{
		{"text-16", frame(0x81, string(publication(0)[:16])), 0},
		{"text-128", frame(0x81, string(publication(200)[:128])), 0},
		{"text-4096", frame(0x81, string(publication(5000)[:4096])), 0},
		{"binary-4096", frame(0x82, string(publication(5000)[:4096])), 0},
		{"ping", frame(0x89, ""), 0},
		{"two-pieces-4096", frame(0x81, string(publication(5000)[:4096])), 1000},
		{"deflated-200", frame(0xc1, deflated(string(publication(200)))), 0},
		{"deflated-4096", frame(0xc1, deflated(string(publication(5000)[:4096]))), 0},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			d, s, buf := NewDecoder(), new(counter), make([]byte, len(c.wire))
			b.ReportAllocs()
			for b.Loop() {
				copy(buf, c.wire)
				n, p, _ := d.Decode(nil, true, testLimit, buf[:c.cut], s)
				d.Decode(p, true, testLimit, buf[n:], s)
			}
			b.SetBytes(int64(s.bytes / b.N))
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		Accept(dst, acceptSample, testOptions, nil)
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	payload, dst := publication(200), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		AppendFrame(dst, ws.OpText, payload)
	}
}

func BenchmarkAppendMasked(b *testing.B) {
	payload, dst := publication(200), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		AppendMasked(dst, ws.OpText, payload, testKey, true)
	}
}

func BenchmarkAppendDeflated(b *testing.B) {
	for _, size := range []int{200, 4000, 60000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload, dst := publication(size), make([]byte, 0, 1<<16)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				dst = AppendDeflated(dst[:0], ws.OpText, payload)
			}
			b.ReportMetric(float64(len(dst))/float64(len(payload)), "ratio")
		})
	}
}

// BenchmarkDeflateLevel is what deflateLevel was chosen by.
func BenchmarkDeflateLevel(b *testing.B) {
	for _, level := range []int{1, 2, 3, 4, 5, 6, 7, 9} {
		for _, size := range []int{200, 4000, 60000} {
			b.Run(fmt.Sprintf("%d/%d", level, size), func(b *testing.B) {
				payload := publication(size)
				w, err := flate.NewWriter(io.Discard, level)
				if err != nil {
					b.Fatal(err)
				}
				d := &deflater{w: w}
				var dst []byte
				b.SetBytes(int64(len(payload)))
				for b.Loop() {
					dst = d.append(dst[:0], ws.OpText, payload)
				}
				b.ReportMetric(float64(len(dst))/float64(len(payload)), "ratio")
			})
		}
	}
}
