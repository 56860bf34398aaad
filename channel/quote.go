package channel

// escapes has, for each byte that JSON wants escaped in a string, how many bytes its escape has (RFC 8259 section 7).
var escapes = func() (t [256]uint8) {
	for c := range 0x20 {
		t[c] = 6
	}
	for _, c := range []byte("\b\f\n\r\t\"\\") {
		t[c] = 2
	}
	return t
}()

// quotedLen is the length of what appendQuoted appends.
func quotedLen(s []byte) int {
	n := len(s) + 2
	for _, c := range s {
		if e := escapes[c]; e != 0 {
			n += int(e) - 1
		}
	}
	return n
}

// appendQuoted appends s, which must be UTF-8, as a JSON string. encoding/json would do, but allocates and escapes for
// HTML, which makes the text longer.
func appendQuoted(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if escapes[c] == 0 {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
