package wsframe

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"encke/codes"
)

// TestCloseReply checks RFC 6455 sections 5.5.1 and 7.4.
func TestCloseReply(t *testing.T) {
	with := func(status int, reason string) string {
		return string([]byte{byte(status >> 8), byte(status)}) + reason
	}
	cases := []struct {
		payload string
		status  int
		code    codes.Code
	}{
		{"", 0, codes.Normal},
		{"\x03", 1002, codes.ProtocolError},
		{with(1000, ""), 1000, codes.Normal},
		{with(1000, "bye"), 1000, codes.Normal},
		{with(1001, strings.Repeat("x", 123)), 1001, codes.Normal},
		{with(3000, "é"), 3000, codes.Normal},
		{with(1000, "\xff"), 1007, codes.InvalidUTF8},
		{with(1000, "\xe2\x82"), 1007, codes.InvalidUTF8},
		{with(1005, "\xff"), 1002, codes.ProtocolError},
	}
	for _, c := range cases {
		if status, code := CloseReply([]byte(c.payload)); status != c.status || code != c.code {
			t.Errorf("%q: %d %v, want %d %v", c.payload, status, code, c.status, c.code)
		}
	}
	good := map[int]bool{1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true, 1010: true,
		1011: true, 1012: true, 1013: true, 1014: true}
	for status := range 1 << 16 {
		want := good[status] || status >= 3000 && status < 5000
		got, code := CloseReply([]byte(with(status, "")))
		if (code == codes.Normal) != want || want && got != status || !want && (got != 1002 || code != codes.ProtocolError) {
			t.Errorf("%d: %d %v", status, got, code)
		}
	}
}

// TestAppendClose checks the form, and that the reason is cut between characters.
func TestAppendClose(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	cases := []struct {
		status       int
		reason, want string
	}{
		{0, "unused", ""},
		{1000, "", "\x03\xe8"},
		{1000, "bye", "\x03\xe8bye"},
		{4001, x(123), "\x0f\xa1" + x(123)},
		{4001, x(124), "\x0f\xa1" + x(123)},
		{4001, x(122) + "é", "\x0f\xa1" + x(122)},
		{4001, x(121) + "é", "\x0f\xa1" + x(121) + "é"},
		{4001, x(120) + "😀", "\x0f\xa1" + x(120)},
		{4001, strings.Repeat("€", 100), "\x0f\xa1" + strings.Repeat("€", 41)},
	}
	for _, c := range cases {
		got := string(AppendClose([]byte("before"), c.status, c.reason))
		if want := "before" + plain(bitFin|byte(ws.OpClose), c.want); got != want || !utf8.ValidString(c.want[min(2, len(c.want)):]) {
			t.Errorf("%d %q: %q, want %q", c.status, c.reason, got, want)
		}
	}
	for _, code := range codes.All() { // what the server says is what a peer may be told
		if status := code.Close(); status != 0 {
			_, size, _ := parseHeader(AppendClose(nil, status, code.String()), unmasked, false, false)
			if got, ok := CloseReply(AppendClose(nil, status, code.String())[size:]); got != status || ok != codes.Normal {
				t.Errorf("%v: %d %v", code, got, ok)
			}
		}
	}
}
