package wsframe

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// deflated returns text as a compressed message.
func deflated(text string) string {
	b := AppendDeflated(nil, ws.OpText, []byte(text))
	_, size, _ := parseHeader(b, unmasked, false, true)
	return string(b[size:])
}

// randomStream returns frames of messages, mostly proper, with control frames between and now and then a wrong byte.
func randomStream(r *rand.Rand) stream {
	s := stream{client: r.IntN(4) == 0, deflate: r.IntN(3) > 0, lim: Limits{Message: []int{60, 300, 1 << 16}[r.IntN(3)]}}
	for range 1 + r.IntN(5) {
		op, payload := byte(1+r.IntN(2)), randomText(r)
		if r.IntN(3) == 0 && s.deflate {
			payload = []byte(deflated(string(payload)))
			op |= bitRsv1
		}
		for pieces := 1 + r.IntN(4); pieces > 0; pieces-- {
			n := r.IntN(len(payload) + 1)
			if pieces == 1 {
				n, op = len(payload), op|bitFin
			}
			s.bytes = s.appendFrame(s.bytes, op, payload[:n], r)
			payload, op = payload[n:], 0
			if r.IntN(4) == 0 {
				s.bytes = s.appendFrame(s.bytes, bitFin|byte(8+r.IntN(3)), randomText(r)[:r.IntN(2)], r)
			}
		}
	}
	switch r.IntN(4) {
	case 0:
		s.bytes[r.IntN(len(s.bytes))] ^= 1 << r.IntN(8)
	case 1:
		s.bytes = s.bytes[:r.IntN(len(s.bytes))]
	}
	return s
}

// appendFrame appends a frame in the stream's direction.
func (s stream) appendFrame(dst []byte, first byte, payload []byte, r *rand.Rand) []byte {
	if s.client {
		return append(appendHeader(dst, first, 0, len(payload)), payload...)
	}
	return appendMasked(dst, first, payload, [4]byte{byte(r.Int()), byte(r.Int()), byte(r.Int()), byte(r.Int())})
}

// randomText returns text of some characters of each length, seldom with a wrong byte.
func randomText(r *rand.Rand) []byte {
	words := []string{"a", "hello, world", "é", "€", "😀", "\U0010ffff", "\ud7ff", "\x00"}
	text := []byte("#")
	for range r.IntN(12) {
		text = append(text, words[r.IntN(len(words))]...)
	}
	if r.IntN(10) == 0 {
		text = bytes.Repeat(text, 1+r.IntN(20))
	}
	if r.IntN(20) == 0 {
		text[r.IntN(len(text))] ^= 0x80
	}
	return text
}

// randomCuts returns up to five cuts.
func randomCuts(r *rand.Rand, size int) []int {
	cuts := make([]int, r.IntN(6))
	for i := range cuts {
		cuts[i] = r.IntN(size + 1)
	}
	slices.Sort(cuts)
	return cuts
}

// TestDecodeAgainstModel compares the decoder, which lives through all of it, with the model.
func TestDecodeAgainstModel(t *testing.T) {
	rounds := 20000
	if underRace || testing.Short() {
		rounds = 2000
	}
	server, client := NewDecoder(), NewClientDecoder()
	seen := map[string]int{}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := randomStream(r)
		want, wantCode := model(s)
		d := server
		if s.client {
			d = client
		}
		cuts := randomCuts(r, len(s.bytes))
		events, code := feed(t, d, s, r.IntN(3) == 0, cuts...)
		if code != wantCode || !slices.Equal(events, want) {
			t.Fatalf("seed %d, cuts %v of %x:\ngot  %.500q %v\nwant %.500q %v", seed, cuts, s.bytes, events, code, want, wantCode)
		}
		seen[code.String()]++
	}
	if len(seen) != 4 { // none, and the three reasons to fail
		t.Errorf("the streams gave only %v", seen)
	}
}

// FuzzDecode compares the decoder with the model for any bytes and any splits.
func FuzzDecode(f *testing.F) {
	for i, c := range decodeCases {
		f.Add([]byte(c.bytes), uint64(i), c.deflate, i%7 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, deflate, client bool) {
		if len(b) > 1<<16 {
			return
		}
		s := stream{bytes: b, deflate: deflate, client: client, lim: Limits{Message: 1 << 12}}
		want, wantCode := model(s)
		d := s.decoder()
		r := rand.New(rand.NewPCG(seed, 2))
		for range 3 {
			events, code := feed(t, d, s, r.IntN(2) == 0, randomCuts(r, len(b))...)
			expect(t, "split", events, want, code, wantCode)
		}
	})
}
