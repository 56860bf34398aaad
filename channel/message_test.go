package channel

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"encke/codes"
)

func TestClassify(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1})
	wire := func(m Message, kind Kind, tail string) {
		t.Helper()
		if _, err := s.Publish([]byte("c"), &m, 7); err != nil {
			t.Errorf("%q: %v", m.Data, err)
			return
		}
		p := kept(s, "c")[0]
		_, got, _ := strings.Cut(string(p.Wire), `,"time":7`)
		if p.Kind != kind || got != tail {
			t.Errorf("%q as %q is %d, %s, want %d, %s", m.Data, m.Type, p.Kind, got, kind, tail)
		}
		if !json.Valid(p.Wire) || !utf8.Valid(p.Wire) {
			t.Errorf("%q is no JSON", p.Wire)
		}
	}
	typed := func(contentType, data string) Message { return Message{Type: []byte(contentType), Data: []byte(data)} }

	wire(Message{Data: []byte(`{"a": 1}`), JSON: true}, KindJSON, `,"data":{"a": 1}}`)
	wire(Message{Data: []byte(`"x"`), JSON: true, Type: []byte("image/png")}, KindJSON, `,"data":"x"}`)
	wire(typed("application/json", `[1, 2]`), KindJSON, `,"data":[1, 2]}`)
	wire(typed("Application/JSON ; charset=utf-8", `null`), KindJSON, `,"data":null}`)
	wire(typed("application/ld+json;x=y", `1`), KindJSON, `,"data":1}`)
	wire(typed("a/b+JSON", `1`), KindJSON, `,"data":1}`)
	wire(typed("application/json", "{\r\n \"a\":\n1}\n"), KindJSON, `,"data":{"a":1}}`)
	wire(typed("application/json", "[\"<\u2028&\",\n1]"), KindJSON, ",\"data\":[\"<\u2028&\",1]}")
	wire(typed("x+json", `1`), KindText, `,"type":"x+json","data":"1"}`)
	wire(typed("/+json", `1`), KindText, `,"type":"/+json","data":"1"}`)
	wire(typed("application/jsonx", `1`), KindText, `,"type":"application/jsonx","data":"1"}`)
	wire(typed("", `{"a":1}`), KindText, `,"data":"{\"a\":1}"}`)
	wire(typed("text/plain", "é"), KindText, `,"type":"text/plain","data":"é"}`)
	wire(typed(`text/plain; x="y\z"`, "a"), KindText, `,"type":"text/plain; x=\"y\\z\"","data":"a"}`)
	wire(typed("text/\xff", "a"), KindText, ",\"type\":\"text/\ufffd\",\"data\":\"a\"}")
	wire(typed("", "\x00\b\t\n\f\r\x1f\x7f\u2028"), KindText, ",\"data\":\"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f\u2028\"}")
	wire(typed("text/plain", "\xff\xfe"), KindBinary, `,"type":"text/plain","encoding":"base64","data":"//4="}`)
	wire(typed("", "\xff"), KindBinary, `,"encoding":"base64","data":"/w=="}`)
	wire(typed("application/octet-stream", "abc"), KindBinary, `,"type":"application/octet-stream","encoding":"base64","data":"YWJj"}`)
	wire(typed("IMAGE/png", "abc"), KindBinary, `,"type":"IMAGE/png","encoding":"base64","data":"YWJj"}`)
	wire(typed("audio/ogg;a=b", "abc"), KindBinary, `,"type":"audio/ogg;a=b","encoding":"base64","data":"YWJj"}`)
	wire(typed("video/mp4", "abc"), KindBinary, `,"type":"video/mp4","encoding":"base64","data":"YWJj"}`)
}

func TestWireObject(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 20})
	for range 12 {
		s.Publish([]byte("news"), &Message{Event: "sc\"ore\xff", Data: []byte(`{"home":2}`), JSON: true}, 1795224000123)
	}
	all := kept(s, "news")
	for i, want := range map[int]string{
		0:  "{\"channel\":\"news\",\"offset\":1,\"position\":\"z.1\",\"event\":\"sc\\\"ore\ufffd\",\"time\":1795224000123,\"data\":{\"home\":2}}",
		10: "{\"channel\":\"news\",\"offset\":11,\"position\":\"z.11\",\"event\":\"sc\\\"ore\ufffd\",\"time\":1795224000123,\"data\":{\"home\":2}}",
	} {
		if got := string(all[i].Wire); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if p := all[0]; string(p.Data) != `{"home":2}` || cap(p.Wire) != len(p.Wire) || p.Channel != "news" {
		t.Errorf("%+v", p)
	}
}

func TestRefusals(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 1, MaxMessage: 300})
	refused := func(m Message, code codes.Code, offset int) {
		t.Helper()
		_, err := s.Publish([]byte("c"), &m, 7)
		if err == nil || err.Code != code || err.Offset != offset {
			t.Errorf("%+v: %+v, want %v at %d", m, err, code, offset)
		}
	}
	long := strings.Repeat("x", 257)
	jsonType := []byte("application/json")
	refused(Message{}, codes.EmptyMessage, 0)
	refused(Message{Data: make([]byte, 301)}, codes.MessageTooLarge, 0)
	if _, err := NewStore(s.conf).Publish([]byte("c"), &Message{Data: make([]byte, 301), Own: true}, 7); err != nil {
		t.Errorf("the server's own: %v", err)
	}
	refused(Message{Data: []byte("a"), Event: long}, codes.BadMessage, 0)
	refused(Message{Data: []byte("a"), Event: "a\nb"}, codes.BadMessage, 0)
	refused(Message{Data: []byte("a"), Event: "a\x7f"}, codes.BadMessage, 0)
	refused(Message{Data: []byte("a"), Type: []byte(long)}, codes.BadMessage, 0)
	refused(Message{Data: []byte("a"), Type: []byte("a\x00")}, codes.BadMessage, 0)
	refused(Message{Data: []byte(`{"a":x}`), Type: jsonType}, codes.BadJSON, 6)
	refused(Message{Data: []byte(`{"a":`), Type: jsonType}, codes.BadJSON, 5)
	refused(Message{Data: []byte(" "), Type: jsonType}, codes.BadJSON, 1)
	refused(Message{Data: []byte("\"a\xff\""), Type: jsonType}, codes.BadJSON, 3)
	refused(Message{Data: []byte("\"a\xff\""), JSON: true}, codes.BadJSON, 3)
	if _, err := s.Publish([]byte("a b"), &Message{Data: []byte("a")}, 7); err == nil || err.Code != codes.BadChannel {
		t.Error(err)
	}
	if got := s.Totals(); got != (Totals{}) {
		t.Errorf("refused messages left %+v", got)
	}
}

// TestMessageIsCopied checks that a publisher may use its slices again.
func TestMessageIsCopied(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 3})
	for _, contentType := range []string{"application/json", "text/plain", "image/png"} {
		m := Message{Type: []byte(contentType), Data: []byte(`"a\n"`)}
		s.Publish([]byte("c"), &m, 7)
		clear(m.Type)
		clear(m.Data)
	}
	for _, p := range kept(s, "c") {
		if string(p.Data) != `"a\n"` || !json.Valid(p.Wire) {
			t.Errorf("%q %q", p.Data, p.Wire)
		}
	}
}

// FuzzWire checks that whatever is accepted gives valid JSON in one line from which the message can be read back.
func FuzzWire(f *testing.F) {
	f.Add("score", []byte("application/json"), []byte(`{"a":[1,"\n"]}`), int64(1795224000123))
	f.Add("", []byte("text/plain"), []byte("a\"\\\x00\u2028"), int64(0))
	f.Add("\xff", []byte("image/png"), []byte("\xff\x00"), int64(-5))
	f.Add("é", []byte(""), []byte("\xed\xa0\x80"), int64(1))
	f.Add("", []byte("a/b+json"), []byte("[1,\r\n2]"), int64(1))
	f.Add("", []byte("application/json"), []byte(" 0 "), int64(1))
	f.Fuzz(func(t *testing.T, event string, contentType, data []byte, now int64) {
		s := NewStore(Config{Epoch: epochK, Length: 1, MaxMessage: 1 << 20})
		m := Message{Event: event, Type: contentType, Data: data}
		if _, err := s.Publish([]byte("a.b"), &m, now); err != nil {
			if len(data) > 0 && err.Code != codes.BadMessage && err.Code != codes.BadJSON {
				t.Fatal(err)
			}
			return
		}
		checkWire(t, kept(s, "a.b")[0], &m, now)
	})
}

func checkWire(t *testing.T, p *Publication, m *Message, now int64) {
	t.Helper()
	var w struct {
		Channel, Position, Event, Type, Encoding string
		Offset                                   uint64
		Time                                     int64
		Data                                     json.RawMessage
	}
	if err := json.Unmarshal(p.Wire, &w); err != nil || !utf8.Valid(p.Wire) || strings.ContainsAny(string(p.Wire), "\r\n") {
		t.Fatalf("%q: %v", p.Wire, err)
	}
	if w.Channel != "a.b" || w.Offset != 1 || w.Position != epochK.String()+".1" || w.Time != now || p.Time != now {
		t.Fatalf("%s", p.Wire)
	}
	if w.Event != strings.ToValidUTF8(m.Event, "\ufffd") && utf8.ValidString(m.Event) {
		t.Fatalf("event %q of %q", w.Event, m.Event)
	}
	var text string
	switch p.Kind {
	case KindJSON:
		var sent, came bytes.Buffer // white space around and between does not matter
		if w.Type != "" || json.Compact(&sent, m.Data) != nil || json.Compact(&came, w.Data) != nil ||
			!bytes.Equal(sent.Bytes(), came.Bytes()) || !bytes.HasSuffix(p.Wire, append(p.Data, '}')) {
			t.Fatalf("%q came back as %q and %q", m.Data, w.Data, p.Data)
		}
		return
	case KindBinary:
		if json.Unmarshal(w.Data, &text) != nil || w.Encoding != "base64" {
			t.Fatalf("%s", p.Wire)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	case KindText:
		if json.Unmarshal(w.Data, &text) != nil || w.Encoding != "" {
			t.Fatalf("%s", p.Wire)
		}
	}
	if text != string(m.Data) || string(p.Data) != text {
		t.Fatalf("%q came back as %q and %q", m.Data, text, p.Data)
	}
}
