// Package codes is the one table of what clients are told when something is refused or ended: a stable name, the HTTP
// status (RFC 9110), the WebSocket close code (RFC 6455 section 7.4) and a text for people. PROTOCOL.md shows the same
// table; a test compares the two.
package codes

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Code is an entry of the table. The zero value is None, which is no error.
type Code uint8

// The codes. Their order is that of the table in PROTOCOL.md.
const (
	None Code = iota

	BadRequest
	LengthConflict
	BadChunk
	URITooLong
	HeaderTooLarge
	BodyTooLarge
	RequestTimeout
	ExpectationFailed
	UnsupportedCoding
	UnsupportedVersion
	NotFound
	MethodNotAllowed
	UnsupportedType

	NoChannel
	BadChannel
	DuplicateChannel
	TooManyChannels
	UnknownChannel
	ReservedChannel
	ChannelFull
	NoPresence
	BadSince
	BadWait
	BadLimit
	BadJSON
	BadMessage
	EmptyMessage
	MessageTooLarge
	BadID
	BadTTL
	BadMailbox
	BadAck
	BadMail
	IDReused
	Conflict

	BadHandshake
	UpgradeRequired
	BadCommand
	AlreadySubscribed
	NotSubscribed
	TooManyCommands
	Forbidden
	BadToken
	TokenExpired
	TokenRevoked
	BadOrigin
	BadHost
	BadKey
	BadUser
	Disconnected
	HookFailed

	Normal
	GoingAway
	ProtocolError
	UnsupportedData
	InvalidUTF8
	FrameTooBig
	PingTimeout
	SlowConsumer
	WriteTimeout
	MessageTimeout
	Gap

	TooManyConnections
	AddressLimit
	UserLimit
	RateLimited
	Overloaded
	Internal

	numCodes
)

// entry is a row: status 0 means "never an HTTP answer", close 0 "never a close code".
type entry struct {
	name   string
	status int
	close  int
	text   string
}

var table = [numCodes]entry{
	BadRequest:         {"bad_request", 400, 0, "the request line or a header is malformed"},
	LengthConflict:     {"length_conflict", 400, 0, "Content-Length and Transfer-Encoding must not stand in one request, nor Content-Length twice"},
	BadChunk:           {"bad_chunk", 400, 0, "the chunked body is malformed"},
	URITooLong:         {"uri_too_long", 414, 0, "the request line is longer than --max-header-size"},
	HeaderTooLarge:     {"header_too_large", 431, 0, "request line and headers are longer than --max-header-size"},
	BodyTooLarge:       {"body_too_large", 413, 0, "the body is longer than --max-body-size"},
	RequestTimeout:     {"request_timeout", 408, 0, "the request was not complete in time"},
	ExpectationFailed:  {"expectation_failed", 417, 0, "only Expect: 100-continue is understood"},
	UnsupportedCoding:  {"unsupported_coding", 501, 0, "the only transfer coding understood is chunked"},
	UnsupportedVersion: {"unsupported_version", 505, 0, "HTTP/1.1 and HTTP/1.0 are understood"},
	NotFound:           {"not_found", 404, 0, "there is nothing at this path"},
	MethodNotAllowed:   {"method_not_allowed", 405, 0, "this path does not take this method; see Allow"},
	UnsupportedType:    {"unsupported_type", 415, 0, "this path takes application/json or application/x-ndjson"},

	NoChannel:         {"no_channel", 400, 0, "name at least one channel"},
	BadChannel:        {"bad_channel", 400, 4100, "a channel's name is 1 to 128 of A-Z a-z 0-9 _ - . : @ = ~ $ + !"},
	DuplicateChannel:  {"duplicate_channel", 400, 4101, "a channel is named twice"},
	TooManyChannels:   {"too_many_channels", 400, 4102, "more channels than --max-channels allows for one connection"},
	UnknownChannel:    {"unknown_channel", 404, 0, "there is no such channel: nobody is subscribed and nothing is kept"},
	ReservedChannel:   {"reserved_channel", 403, 0, "names that begin with $ belong to the server"},
	ChannelFull:       {"channel_full", 403, 4113, "this channel has as many subscribers as its rule allows (max-subscribers)"},
	NoPresence:        {"no_presence", 404, 4114, "it is not kept who is in this channel; see presence in its rule"},
	BadSince:          {"bad_since", 400, 4103, "since is a list of positions, one for each channel, in the same order"},
	BadWait:           {"bad_wait", 400, 0, "wait is a time from 0 to 60s"},
	BadLimit:          {"bad_limit", 400, 0, "limit is a number from 1 to 1000"},
	BadJSON:           {"bad_json", 400, 0, "this is not JSON"},
	BadMessage:        {"bad_message", 400, 0, "a publish names channel or channels, and data"},
	EmptyMessage:      {"empty_message", 400, 0, "a message has at least one byte"},
	MessageTooLarge:   {"message_too_large", 413, 0, "the message is longer than --max-message-size"},
	BadID:             {"bad_id", 400, 0, "a message id is 1 to 128 printable ASCII characters"},
	BadTTL:            {"bad_ttl", 400, 0, "a ttl is a time above 0: seconds, or a number with a unit (30s, 500ms)"},
	BadMailbox:        {"bad_mailbox", 400, 0, "mailbox is off, away or always, for a message to a user"},
	BadAck:            {"bad_ack", 400, 4116, "a user acknowledges a letter by its number: all up to mail, or those of only"},
	BadMail:           {"bad_mail", 400, 0, "mail is the number of the last letter that this client has got, 0 for none"},
	IDReused:          {"id_reused", 409, 0, "this id was given to another message of this channel"},
	Conflict:          {"conflict", 412, 0, "the channel is not at the expected position"},
	BadHandshake:      {"bad_handshake", 400, 0, "this is no WebSocket handshake: Upgrade, Connection or Sec-WebSocket-Key is missing or malformed"},
	UpgradeRequired:   {"upgrade_required", 426, 0, "this path takes WebSocket version 13"},
	BadCommand:        {"bad_command", 0, 4104, "a command is a JSON object with one of subscribe, unsubscribe, publish, ping"},
	AlreadySubscribed: {"already_subscribed", 0, 4105, "this connection is subscribed to that channel"},
	NotSubscribed:     {"not_subscribed", 0, 4106, "this connection is not subscribed to that channel"},
	TooManyCommands:   {"too_many_commands", 0, 4107, "commands come faster than --command-rate allows"},
	Forbidden:         {"forbidden", 403, 1008, "this is not allowed"},
	BadToken:          {"bad_token", 401, 4108, "this token is not one that the server takes"},
	TokenExpired:      {"token_expired", 401, 4109, "the token's time is over; come back with a new one"},
	TokenRevoked:      {"token_revoked", 401, 4112, "this token is not taken any more; come back with a new one"},
	BadOrigin:         {"bad_origin", 403, 0, "pages of this origin may not connect; see --origins"},
	BadHost:           {"bad_host", 403, 0, "without keys the backend listener is for this machine: name it localhost, or by its address"},
	BadKey:            {"bad_key", 401, 0, "this needs a backend key: Authorization: Bearer …"},
	BadUser:           {"bad_user", 400, 0, "a user's id is 1 to 120 of A-Z a-z 0-9 _ - . : @ = ~ $ + !"},
	Disconnected:      {"disconnected", 403, 4110, "the site has ended this connection"},

	HookFailed: {"hook_failed", 503, 4115, "the site's backend has to be asked and does not answer; try again later"},

	Normal:          {"normal", 0, 1000, "the end was asked for"},
	GoingAway:       {"going_away", 503, 1001, "the server is shutting down; come back with your position"},
	ProtocolError:   {"protocol_error", 0, 1002, "a frame broke RFC 6455"},
	UnsupportedData: {"unsupported_data", 0, 1003, "this endpoint takes no binary frames"},
	InvalidUTF8:     {"invalid_utf8", 0, 1007, "text that is not UTF-8, or compressed data that does not decompress"},
	FrameTooBig:     {"frame_too_big", 0, 1009, "the message is longer than --max-message-size"},
	PingTimeout:     {"ping_timeout", 0, 4001, "pings were not answered; come back with your position"},
	SlowConsumer:    {"slow_consumer", 0, 4002, "more output was waiting than --max-pending; come back with your position"},
	WriteTimeout:    {"write_timeout", 0, 4003, "output waited longer than --write-timeout; come back with your position"},
	MessageTimeout:  {"message_timeout", 0, 4005, "a message was not complete within --body-timeout; come back with your position"},
	Gap:             {"gap", 0, 4004, "publications were missed and this subprotocol cannot say which"},

	TooManyConnections: {"too_many_connections", 503, 1013, "the server holds as many connections as --max-connections allows; try again later"},
	AddressLimit:       {"address_limit", 429, 0, "this address holds as many connections as --max-connections-per-address allows"},
	UserLimit:          {"user_limit", 429, 4111, "this user holds as many connections as --max-connections-per-user allows"},
	RateLimited:        {"rate_limited", 429, 0, "connections come faster than --connection-rate or --connection-rate-per-address allows; try again later"},
	Overloaded:         {"overloaded", 503, 1013, "the server is behind with its work; try again later"},
	Internal:           {"internal", 500, 1011, "the server made a mistake; it is in its log"},
}

// String returns the code's stable name.
func (c Code) String() string {
	if c == None || c >= numCodes {
		return "code(" + strconv.Itoa(int(c)) + ")"
	}
	return table[c].name
}

// Status returns the HTTP status, 0 where the code is never an HTTP answer.
func (c Code) Status() int { return table[c].status }

// Close returns the WebSocket close code, 0 where the code never closes a WebSocket.
func (c Code) Close() int { return table[c].close }

// ComeBack returns what a client does that was refused or ended with the code: no, since the same again would fare the same; yes; later,
// when the server says so or after a growing time; or what it has to change first.
func (c Code) ComeBack() string {
	switch {
	case c == Gap:
		return "yes, without `since`"
	case c == TooManyCommands:
		return "with fewer commands"
	case c == BadToken || c == TokenExpired || c == TokenRevoked:
		return "with another token"
	case c.Status() == 503 || c.Status() == 429 || c == Internal:
		return "later"
	case c == RequestTimeout || c.Close() >= 4000 && c.Close() < 4100:
		return "yes"
	}
	return "no"
}

// Text returns the sentence for people.
func (c Code) Text() string { return table[c].text }

// All returns every code but None, in the table's order.
func All() []Code {
	all := make([]Code, 0, numCodes-1)
	for c := None + 1; c < numCodes; c++ {
		all = append(all, c)
	}
	return all
}

// Error is a code with the particulars of one case.
type Error struct {
	Code    Code
	Detail  string // appended to the code's text; may be empty
	Channel string // the one that is refused, as it was named; "" where it is not about a certain channel
	Offset  int    // for BadJSON: bytes before the error, counted from 1 as encoding/json does; otherwise 0
}

// Error returns the text for people with its particulars.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code.Text()
	}
	return e.Code.Text() + ": " + e.Detail
}

// New returns an error of that code; detail may be empty.
func New(c Code, detail string) *Error { return &Error{Code: c, Detail: detail} }

// In returns an error of that code about a certain channel; detail may be empty.
func In(c Code, channel, detail string) *Error {
	return &Error{Code: c, Detail: detail, Channel: channel}
}

// maxChannel is the longest channel's name that is repeated, in bytes: no channel has a longer one.
const maxChannel = 128

// AppendJSON appends {"code":…,"message":…[,"channel":…][,"offset":…]} to dst. A channel's name is there as it was given, or not at all:
// not one that is too long, or is not UTF-8.
func (e *Error) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"code":"`...)
	dst = append(dst, e.Code.String()...)
	dst = append(dst, `","message":`...)
	dst = appendString(dst, e.Error())
	if n := len(e.Channel); n > 0 && n <= maxChannel && utf8.ValidString(e.Channel) {
		dst = appendString(append(dst, `,"channel":`...), e.Channel)
	}
	if e.Offset > 0 {
		dst = append(dst, `,"offset":`...)
		dst = strconv.AppendInt(dst, int64(e.Offset), 10)
	}
	return append(dst, '}')
}

func appendString(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic("BUG: " + err.Error())
	}
	return append(dst, text...)
}
