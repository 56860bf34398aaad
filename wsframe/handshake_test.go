package wsframe

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"encke/codes"
)

// sample is the request of RFC 6455 section 1.3.
func sample() Request {
	return Request{
		Method: []byte("GET"), HTTP11: true,
		Host: []byte("server.example.com"), Upgrade: []byte("websocket"), Connection: []byte("Upgrade"),
		Key: []byte("dGhlIHNhbXBsZSBub25jZQ=="), Version: []byte("13"),
	}
}

var testOptions = Options{Protocols: []string{"encke.json", "encke.raw"}, Deflate: true}

// TestAcceptAnswer checks the answer to the byte.
func TestAcceptAnswer(t *testing.T) {
	const want = "before" +
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: encke.raw\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9\r\n" +
		"Server: encke\r\n\r\n"
	r := sample()
	r.Protocols = []byte("chat, encke.raw")
	r.Extensions = []byte("permessage-deflate; server_max_window_bits=9")
	got, h, code := Accept([]byte("before"), r, testOptions, []byte("Server: encke\r\n"))
	if string(got) != want || code != codes.None || h != (Handshake{Protocol: 1, Named: true, Deflate: true, ServerBits: 9}) {
		t.Fatalf("%v %+v\n%s", code, h, got)
	}
}

const bad, version = codes.BadHandshake, codes.UpgradeRequired

// set returns a change of one header.
func set(field func(*Request) *[]byte) func(value string) func(*Request) {
	return func(value string) func(*Request) {
		return func(r *Request) { *field(r) = []byte(value) }
	}
}

var (
	method     = set(func(r *Request) *[]byte { return &r.Method })
	host       = set(func(r *Request) *[]byte { return &r.Host })
	upgrade    = set(func(r *Request) *[]byte { return &r.Upgrade })
	connection = set(func(r *Request) *[]byte { return &r.Connection })
	key        = set(func(r *Request) *[]byte { return &r.Key })
	versions   = set(func(r *Request) *[]byte { return &r.Version })
	protocols  = set(func(r *Request) *[]byte { return &r.Protocols })
)

// requestCases change one thing of the sample.
var requestCases = []struct {
	name   string
	change func(*Request)
	want   codes.Code
}{
	{"as it is", func(*Request) {}, 0},
	{"POST", method("POST"), bad},
	{"get", method("get"), bad},
	{"HTTP/1.0", func(r *Request) { r.HTTP11 = false }, bad},
	{"no host", host(""), bad},
	{"blank host", host(" "), bad},
	{"no upgrade", upgrade(""), bad},
	{"upgrade in any case", upgrade("WebSocket"), 0},
	{"upgrade with space", upgrade(" websocket\t"), 0},
	{"another upgrade", upgrade("h2c"), bad},
	{"two upgrades", upgrade("websocket, h2c"), bad},
	{"longer upgrade", upgrade("websockets"), bad},
	{"Kelvin sign", upgrade("websoc\u212aet"), bad},
	{"no connection", connection(""), bad},
	{"connection in a list", connection("keep-alive, Upgrade"), 0},
	{"connection in any case", connection("UPGRADE,,close"), 0},
	{"another connection", connection("keep-alive"), bad},
	{"longer connection", connection("upgraded"), bad},
	{"no version", versions(""), version},
	{"version 8", versions("8"), version},
	{"version 013", versions("013"), version},
	{"two versions", versions("13, 8"), version},
	{"version with space", versions(" 13 "), 0},
	{"old version with its own keys", func(r *Request) { r.Version, r.Key = nil, nil }, version},
	{"no key", key(""), bad},
	{"key with space", key(" dGhlIHNhbXBsZSBub25jZQ== "), 0},
	{"short key", key("dGhlIHNhbXBsZSBub25j"), bad},
	{"long key", key("dGhlIHNhbXBsZSBub25jZSE="), bad},
	{"key of 18 bytes", key("dGhlIHNhbXBsZSBub25jZSEh"), bad},
	{"key not base64", key("dGhlIHNhbXBsZSBub25jZ!=="), bad},
	{"key padded too early", key("dGhlIHNhbXBsZSBub25j===="), bad},
	{"two keys", key("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), bad},
	{"protocol", protocols("encke.json"), 0},
	{"unknown protocol", protocols("chat"), 0},
	{"protocol of two words", protocols("encke json"), bad},
	{"protocol with a slash", protocols("encke/json"), bad},
	{"no protocol but a comma", protocols(","), bad},
}

// TestAcceptRequest checks each point of RFC 6455 section 4.2.1.
func TestAcceptRequest(t *testing.T) {
	for _, c := range requestCases {
		r := sample()
		c.change(&r)
		got, h, code := Accept([]byte("x"), r, testOptions, nil)
		if code != c.want || (string(got) == "x") != (c.want != codes.None) || code != codes.None && h != (Handshake{}) {
			t.Errorf("%s: %v, want %v: %+v %q", c.name, code, c.want, h, got)
		}
	}
}

// TestAcceptProtocol checks which subprotocol is chosen.
func TestAcceptProtocol(t *testing.T) {
	cases := []struct {
		header string
		index  int
		named  bool
	}{
		{"", 0, false},
		{"encke.json", 0, true},
		{"encke.raw", 1, true},
		{"encke.raw, encke.json", 1, true},
		{"chat,encke.json\t, encke.raw", 0, true},
		{", encke.raw,", 1, true},
		{"chat", 0, false},
		{"ENCKE.RAW", 0, false},
	}
	for _, c := range cases {
		r := sample()
		r.Protocols = []byte(c.header)
		got, h, code := Accept(nil, r, testOptions, nil)
		if h.Protocol != c.index || h.Named != c.named || code != codes.None || bytes.Contains(got, []byte("-Protocol")) != c.named {
			t.Errorf("%q: %+v %v", c.header, h, code)
		}
	}
}

const pd = "permessage-deflate"

// extensionCases: bits 0 stands for "not accepted", -1 for "malformed".
var extensionCases = []struct {
	header string
	bits   int
}{
	{"", 0},
	{pd, 15},
	{pd + "; client_max_window_bits", 15},
	{pd + "; client_max_window_bits=8", 15},
	{pd + "; client_max_window_bits=15", 15},
	{pd + ";server_no_context_takeover;client_no_context_takeover", 15},
	{pd + "; server_max_window_bits=8", 8},
	{pd + "; server_max_window_bits=9", 9},
	{pd + "; server_max_window_bits=15", 15},
	{pd + `; server_max_window_bits="10"`, 10},
	{pd + `; server_max_window_bits="1\0"`, 10},
	{pd + " ;\tserver_max_window_bits = 11 ", 11},
	{pd + "; client_no_context_takeover; client_max_window_bits; server_no_context_takeover; server_max_window_bits=12", 12},
	{"x-webkit-deflate-frame, " + pd, 15},
	{`foo; a="b"; c, ` + pd, 15},
	{"," + pd + ",,", 15},
	// Declined: RFC 7692 section 7.1.
	{"deflate", 0},
	{"Permessage-Deflate", 0},
	{pd + "; unknown", 0},
	{pd + "; server_no_context_takeover=1", 0},
	{pd + "; client_no_context_takeover=x", 0},
	{pd + "; server_max_window_bits", 0},
	{pd + "; server_max_window_bits=7", 0},
	{pd + "; server_max_window_bits=16", 0},
	{pd + "; server_max_window_bits=08", 0},
	{pd + "; server_max_window_bits=010", 0},
	{pd + "; server_max_window_bits=115", 0},
	{pd + "; server_max_window_bits=1x", 0},
	{pd + "; server_max_window_bits=264", 0},
	{pd + "; client_max_window_bits=7", 0},
	{pd + "; client_max_window_bits=16", 0},
	{pd + "; client_max_window_bits; client_max_window_bits", 0},
	{pd + "; server_max_window_bits=9; server_max_window_bits=9", 0},
	{pd + "; server_no_context_takeover; server_no_context_takeover", 0},
	// The first that can be accepted: RFC 7692 section 5.1.
	{pd + "; server_max_window_bits=9, " + pd, 9},
	{pd + ", " + pd + "; server_max_window_bits=9", 15},
	{pd + "; unknown, " + pd + "; server_max_window_bits=10, " + pd, 10},
	{pd + "; server_max_window_bits=7, " + pd, 15},
	// Malformed.
	{";", -1},
	{",", -1},
	{"=", -1},
	{pd + ";", -1},
	{pd + "; =9", -1},
	{pd + "; server_max_window_bits=", -1},
	{pd + `; server_max_window_bits="`, -1},
	{pd + `; server_max_window_bits="9`, -1},
	{pd + `; server_max_window_bits=""`, -1},
	{pd + `; server_max_window_bits="9 "`, -1},
	{pd + `; server_max_window_bits="9\`, -1},
	{pd + ` server_max_window_bits=9`, -1},
	{pd + " foo", -1},
	{pd + ", a b", -1},
	{"a; b=c=d", -1},
	{"a(b)", -1},
}

// TestAcceptExtensions checks the negotiation, also by a server that does not compress.
func TestAcceptExtensions(t *testing.T) {
	for _, c := range extensionCases {
		r := sample()
		r.Extensions = []byte(c.header)
		got, h, code := Accept(nil, r, testOptions, nil)
		switch {
		case (code == codes.BadHandshake) != (c.bits < 0), c.bits >= 0 && h.Deflate != (c.bits > 0), c.bits > 0 && int(h.ServerBits) != c.bits:
			t.Errorf("%q: %+v %v", c.header, h, code)
		case bytes.Contains(got, []byte("server_max_window_bits=")) != (c.bits > 0 && c.bits < 15 || c.header == pd+"; server_max_window_bits=15"):
			t.Errorf("%q: answered %q", c.header, got)
		}
		_, h, code = Accept(nil, r, Options{}, nil)
		if h.Deflate || (code == codes.BadHandshake) != (c.bits < 0) {
			t.Errorf("%q without deflate: %+v %v", c.header, h, code)
		}
	}
}

// TestAcceptConformanceOffers accepts each offer of the public conformance suite's cases 13.*.
func TestAcceptConformanceOffers(t *testing.T) {
	for _, takeover := range []string{"", "; server_no_context_takeover", "; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"} {
		for _, server := range []string{"", "; server_max_window_bits=8", "; server_max_window_bits=9", "; server_max_window_bits=15"} {
			for _, client := range []string{"", "; client_max_window_bits", "; client_max_window_bits=8", "; client_max_window_bits=9", "; client_max_window_bits=15"} {
				r := sample()
				r.Extensions = []byte("permessage-deflate" + takeover + server + client)
				got, h, code := Accept(nil, r, testOptions, nil)
				if !h.Deflate || code != codes.None || !strings.Contains(string(got), "client_no_context_takeover"+server+"\r\n") {
					t.Errorf("%s: %+v %v", r.Extensions, h, code)
				}
			}
		}
	}
}

// FuzzHandshake checks that whatever is accepted is a proper answer that names nothing of the client's.
func FuzzHandshake(f *testing.F) {
	f.Add("Upgrade", "websocket", "dGhlIHNhbXBsZSBub25jZQ==", "encke.raw", "permessage-deflate; client_max_window_bits")
	f.Add("keep-alive, Upgrade", "WebSocket", "dGhlIHNhbXBsZSBub25jZQ==", "a, b", `x; y="z\"", permessage-deflate; server_max_window_bits="9"`)
	f.Add("", "", "", ",", "permessage-deflate;;")
	f.Fuzz(func(t *testing.T, connection, upgrade, key, protocols, extensions string) {
		r := sample()
		r.Connection, r.Upgrade, r.Key = []byte(connection), []byte(upgrade), []byte(key)
		r.Protocols, r.Extensions = []byte(protocols), []byte(extensions)
		got, h, code := Accept(nil, r, testOptions, nil)
		if code != codes.None {
			if code != codes.BadHandshake || len(got) != 0 {
				t.Fatalf("%v %q", code, got)
			}
			return
		}
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
		if err != nil || answer.StatusCode != 101 || len(answer.Header.Get("Sec-WebSocket-Accept")) != 28 {
			t.Fatalf("%v in %q", err, got)
		}
		if name := answer.Header.Get("Sec-WebSocket-Protocol"); h.Named != (name != "") || h.Named && name != testOptions.Protocols[h.Protocol] {
			t.Fatalf("%+v in %q", h, got)
		}
		if ext := answer.Header.Get("Sec-WebSocket-Extensions"); h.Deflate != (ext != "") || h.ServerBits < 8 || h.ServerBits > 15 {
			t.Fatalf("%+v in %q", h, got)
		}
	})
}
