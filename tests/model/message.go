package model

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Every message is a function of channel, generation and sequence, so what arrives can be verified without remembering what
// was sent. A generation is the life of one server process: its offsets begin at 1 again, and so do our sequences. Messages that may
// become letters have a row of their own for each user, which is generation 0.

// kind is how a message is pushed, and so how it stands in the wire object.
type kind uint8

const (
	asJSON   kind = iota // a JSON string, given as it is
	asText               // text/plain
	asBinary             // application/octet-stream, base64 on the wire
)

// Channels are named by what they are for; the first letter decides how their messages look.
const (
	bulk  = 'b' // short ASCII, JSON only: checked and pushed fast
	large = 'l' // about two kilobytes: a slow reader's buffers fill
	huge  = 'h' // about twenty: those of the kernel too
	brief = 't' // some of the messages have a time of their own, which is soon over
)

// fleeting says whether a message has a time of its own: some stand alone, some in a row.
func fleeting(channel string, sequence uint64) bool {
	return fleetingIn(channel) && (sequence%3 == 1 || sequence%16 > 12)
}

// allFleeting says whether messages from one after a place to another are.
func allFleeting(channel string, after, to uint64) bool {
	for n := after + 1; n <= to; n++ {
		if !fleeting(channel, n) {
			return false
		}
	}
	return true
}

// fleetingIn says whether some of the messages of a channel have a time of their own.
func fleetingIn(channel string) bool { return channel[0] == brief }

var contentTypes = [...]string{"application/json", "text/plain", "application/octet-stream"}

// kindOf is mostly asJSON: a batch cannot hold anything else.
func kindOf(channel string, sequence uint64) kind {
	switch {
	case channel[0] == bulk:
		return asJSON
	case sequence%32 == 7:
		return asText
	case sequence%32 == 19:
		return asBinary
	}
	return asJSON
}

// eventOf returns the event's name, "" for none.
func eventOf(sequence uint64) string {
	if sequence%5 != 0 {
		return ""
	}
	return events[sequence%uint64(len(events))]
}

var events = [...]string{"score", "état", "a b", "x", `quote"d`, "goal", "e"}

// filler is what messages are padded with: plain ASCII, and everything that an encoder may get wrong.
var plainFiller, richFiller = fillers()

func fillers() (plain, rich string) {
	var p, r strings.Builder
	runes := []rune("abcdefghij \"\\/<>&'\t\n\r\u0001\u007fé☃😀\u2028\u2029\ufeff{}[],:")
	x := uint64(88172645463325252)
	for p.Len() < 40<<10 {
		x = mix(x, 1)
		p.WriteByte(byte('a' + x%26))
		r.WriteRune(runes[x>>32%uint64(len(runes))])
	}
	return p.String(), r.String()
}

// mix is a step of a cheap hash.
func mix(x, y uint64) uint64 {
	x = (x ^ y) * 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// hashOf tells messages apart; a payload that carries another's hash was altered.
func hashOf(channel string, generation, sequence uint64) uint64 {
	x := uint64(14695981039346656037)
	for i := range len(channel) {
		x = (x ^ uint64(channel[i])) * 1099511628211
	}
	return mix(mix(x, generation), sequence)
}

// appendText appends the message: channel, generation, sequence, a hash, and a padding that the hash chooses.
func appendText(dst []byte, channel string, generation, sequence uint64) []byte {
	h := hashOf(channel, generation, sequence)
	dst = append(dst, channel...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, generation, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, sequence, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, h, 36)
	dst = append(dst, ' ')
	return append(dst, padding(channel, h)...)
}

// padding is at most 100 bytes, for some messages 4 KiB, in large channels between one and three KiB, in huge ones ten times
// as much.
func padding(channel string, h uint64) string {
	from, n := h%2048, h>>11%100
	switch {
	case channel[0] == huge:
		return plainFiller[from : from+10<<10+h>>11%(20<<10)]
	case channel[0] == large:
		n = 1024 + h>>11%2048
	case channel[0] != bulk && h>>40%64 == 0:
		n = h >> 11 % 4096
	}
	if channel[0] == bulk {
		return plainFiller[from : from+n]
	}
	for from > 0 && !utf8.RuneStart(richFiller[from]) {
		from--
	}
	end := from + n
	for !utf8.RuneStart(richFiller[end]) {
		end++
	}
	return richFiller[from:end]
}

// appendPayload appends the bytes that are pushed, which are also those that encke.raw delivers.
func appendPayload(dst []byte, channel string, generation, sequence uint64) []byte {
	switch kindOf(channel, sequence) {
	case asText:
		return appendText(dst, channel, generation, sequence)
	case asBinary:
		return append(appendText(dst, channel, generation, sequence), 0xff, 0x00)
	}
	if channel[0] == bulk { // nothing in it needs an escape
		return append(appendText(append(dst, '"'), channel, generation, sequence), '"')
	}
	literal, err := json.Marshal(string(appendText(nil, channel, generation, sequence)))
	if err != nil {
		panic("BUG: " + err.Error()) // strings always marshal
	}
	return append(dst, literal...)
}

// checkWire compares a publication or a letter with the message that was pushed.
func checkWire(o *object, generation, sequence uint64) error {
	k := kindOf(o.Channel, sequence)
	want := appendPayload(nil, o.Channel, generation, sequence)
	got := []byte(o.Data)
	if k != asJSON {
		var text string
		if err := json.Unmarshal(o.Data, &text); err != nil {
			return fmt.Errorf("altered: data is no string: %w", err)
		}
		got = []byte(text)
	}
	if k == asBinary {
		var err error
		if got, err = base64.StdEncoding.DecodeString(string(got)); err != nil || o.Encoding != "base64" {
			return fmt.Errorf("altered: encoding %q: %v", o.Encoding, err)
		}
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("altered: got %.200q, want %.200q", got, want)
	}
	if event := eventOf(sequence); o.Event != event {
		return fmt.Errorf("altered: event %q, want %q", o.Event, event)
	}
	if k != asJSON && o.Type != contentTypes[k] {
		return fmt.Errorf("altered: type %q, want %q", o.Type, contentTypes[k])
	}
	return nil
}

// readRaw reads which message a payload says it is.
func readRaw(payload []byte) (channel string, generation, sequence uint64, err error) {
	fields := bytes.SplitN(bytes.TrimPrefix(payload, []byte(`"`)), []byte(" "), 4)
	if len(fields) < 4 {
		return "", 0, 0, fmt.Errorf("invented: %.100q", payload)
	}
	generation, err1 := strconv.ParseUint(string(fields[1]), 10, 64)
	sequence, err2 := strconv.ParseUint(string(fields[2]), 10, 64)
	if err1 != nil || err2 != nil || len(fields[0]) == 0 {
		return "", 0, 0, fmt.Errorf("invented: %.100q", payload)
	}
	return string(fields[0]), generation, sequence, nil
}
