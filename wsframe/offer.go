package wsframe

// fullBits is the window of DEFLATE itself, 32 KiB, and the one in force when nobody asks for less.
const fullBits = 15

// offer is one permessage-deflate offer of the client (RFC 7692 section 7.1).
type offer struct {
	seen    uint8 // one bit a parameter: each at most once
	invalid bool
	bits    uint8 // server_max_window_bits, 0 when not asked for
}

// The parameters of RFC 7692 section 7.1 as bits of offer.seen.
const (
	serverNoTakeover = 1 << iota
	clientNoTakeover
	serverBits
	clientBits
)

// param takes one parameter in. RFC 7692 section 7.1: an offer with an unknown parameter, with one twice, or with a
// value that is not allowed is declined.
func (o *offer) param(name, value []byte, given bool) {
	var bit uint8
	ok := !given
	switch string(name) {
	case "server_no_context_takeover": // 7.1.1.1: no value
		bit = serverNoTakeover
	case "client_no_context_takeover": // 7.1.1.2: no value
		bit = clientNoTakeover
	case "server_max_window_bits": // 7.1.2.1: a value
		bit = serverBits
		o.bits, ok = windowBits(value)
	case "client_max_window_bits": // 7.1.2.2: a value or none
		bit = clientBits
		if given {
			_, ok = windowBits(value)
		}
	default:
		ok = false
	}
	if !ok || o.seen&bit != 0 {
		o.invalid = true
	}
	o.seen |= bit
}

// windowBits reads a decimal number from 8 to 15 without leading zeros (RFC 7692 section 7.1.2). Backslashes are those
// of a quoted string, see scanner.value.
func windowBits(v []byte) (uint8, bool) {
	n, digits := 0, 0
	for _, c := range v {
		if c == '\\' {
			continue
		}
		if c < '0' || c > '9' || digits == 2 || n == 0 && digits > 0 {
			return 0, false
		}
		n = n*10 + int(c-'0')
		digits++
	}
	return uint8(n), 8 <= n && n <= fullBits
}

// negotiate reads Sec-WebSocket-Extensions (RFC 6455 section 9.1) to its end and returns the first permessage-deflate
// offer that can be accepted. ok is false when the header is malformed.
func negotiate(header []byte) (accepted offer, found, ok bool) {
	s := scanner{header}
	elements := 0
	for ; s.element(); elements++ {
		name := s.token()
		if len(name) == 0 {
			return offer{}, false, false
		}
		var o offer
		for s.next(';') {
			param, value := s.token(), []byte(nil)
			given := s.next('=')
			if given {
				value = s.value()
			}
			if len(param) == 0 || given && len(value) == 0 {
				return offer{}, false, false
			}
			o.param(param, value, given)
		}
		if !s.endElement() {
			return offer{}, false, false
		}
		if !found && !o.invalid && string(name) == "permessage-deflate" {
			accepted, found = o, true
		}
	}
	return accepted, found, elements > 0
}
