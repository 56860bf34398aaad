package wsframe

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"encke/codes"
)

// maxControl is the longest payload of a control frame (RFC 6455 section 5.5).
const maxControl = ws.MaxControlFramePayloadSize

// CloseReply checks the payload of a received close frame and says what to answer: status is for AppendClose, 0 stands
// for a close frame without one. The code is Normal when the frame was proper; its status is repeated then (RFC 6455
// section 5.5.1). Otherwise it is ProtocolError or InvalidUTF8 and status is that code's own.
func CloseReply(payload []byte) (status int, code codes.Code) {
	if len(payload) == 0 {
		return 0, codes.Normal
	}
	code = codes.ProtocolError
	if len(payload) >= 2 { // 5.5.1: if there is a body, its first two bytes are the status
		status = int(binary.BigEndian.Uint16(payload))
		if validStatus(status) {
			if utf8.Valid(payload[2:]) { // 5.5.1: the rest is UTF-8
				return status, codes.Normal
			}
			code = codes.InvalidUTF8
		}
	}
	return code.Close(), code
}

// validStatus says whether a status may stand in a close frame (RFC 6455 section 7.4 and the registry of section
// 11.7): not those below 1000, not 1004 to 1006 and 1015 (7.4.1), not the unassigned up to 2999 (7.4.2).
func validStatus(status int) bool {
	switch {
	case status >= 1000 && status <= 1003, status >= 1007 && status <= 1014:
		return true
	}
	return status >= 3000 && status <= 4999
}

// AppendClose appends a server's close frame. The reason, which must be UTF-8, is cut to what fits, 123 bytes, between
// two characters. Status 0 stands for a frame without status and reason.
func AppendClose(dst []byte, status int, reason string) []byte {
	if status == 0 {
		return AppendHeader(dst, ws.OpClose, 0, false)
	}
	const most = maxControl - 2
	if len(reason) > most {
		n := most
		for n > 0 && !utf8.RuneStart(reason[n]) {
			n--
		}
		reason = reason[:n]
	}
	dst = AppendHeader(dst, ws.OpClose, 2+len(reason), false)
	dst = binary.BigEndian.AppendUint16(dst, uint16(status))
	return append(dst, reason...)
}
