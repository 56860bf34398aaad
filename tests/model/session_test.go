package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// world is a truth of two channels: of each, generation 1 in epoch e1 with 20 messages.
func world(t *testing.T, keeps uint64) *Truth {
	truth := NewTruth(keeps, []string{"k", "b"})
	truth.Starting()
	for _, name := range []string{"k", "b"} {
		stored(t, truth, name, "e1", 20)
	}
	return truth
}

// stored begins a generation of n messages, of which the last was not answered yet.
func stored(t *testing.T, truth *Truth, channel, epoch string, n uint64) {
	t.Helper()
	g, err := truth.streams[channel].Begin(epoch, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.sent.Store(n)
	g.answered.Store(n - 1)
}

// wire makes the object that an honest server sends.
func wire(channel, epoch string, generation, offset uint64) string {
	data := appendPayload(nil, channel, generation, offset)
	more := ""
	switch k := kindOf(channel, offset); k {
	case asText:
		data, _ = json.Marshal(string(data))
		more = `,"type":"text/plain"`
	case asBinary:
		data, _ = json.Marshal(data)
		more = `,"type":"application/octet-stream","encoding":"base64"`
	}
	event := ""
	if e := eventOf(offset); e != "" {
		text, _ := json.Marshal(e)
		event = `"event":` + string(text) + `,`
	}
	return fmt.Sprintf(`{"channel":"%s","offset":%d,"position":"%s.%d",%s"time":1795224000123%s,"data":%s}`,
		channel, offset, epoch, offset, event, more, data)
}

// history is what a connection was told, in words: "3" is publication 3, "2:3" is publication 3 of generation 2, "gap expired
// e1.5", "at e1.5" a position, "since e1.5" begins the subscription.
func tell(s *Session, channel, words string) error {
	var generation, offset uint64
	var verb, a, b string
	switch n, _ := fmt.Sscanf(words, "%s %s %s", &verb, &a, &b); {
	case verb == "since":
		k, err := s.Ask(channel, a)
		return either(err, s.Join(k))
	case verb == "gap" && n == 3:
		return s.Take(fmt.Appendf(nil, `{"channel":"%s","gap":true,"reason":"%s","position":"%s"}`, channel, a, b))
	case verb == "at":
		return s.Told(channel, a)
	case verb == "text":
		return s.Take([]byte(strings.TrimPrefix(words, "text ")))
	case strings.Contains(verb, ":"):
		_, _ = fmt.Sscanf(verb, "%d:%d", &generation, &offset)
	default:
		generation = 1
		_, _ = fmt.Sscanf(verb, "%d", &offset)
	}
	return s.Take([]byte(wire(channel, fmt.Sprint("e", generation), generation, offset)))
}

// TestHistories tells the model true and false histories. In each false one it is the last word that must be refused.
func TestHistories(t *testing.T) {
	altered := strings.Replace(wire("k", "e1", 1, 3), `"data":"k 1 3 `, `"data":"k 1 3 x`, 1)
	foreign := strings.Replace(wire("k", "e1", 1, 4), `e1.4`, `e1.3`, 1)
	foreign = strings.Replace(foreign, `"offset":4`, `"offset":3`, 1)
	for _, c := range []struct {
		keeps   uint64
		history string
		wrong   string // "" for a true one
	}{
		{Forever, "since 0; 1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11; 12; 13; 14; 15; 16; 17; 18; 19; 20", ""},
		{Forever, "since e1.2; at e1.2; 3; at e1.3; 4", ""},
		{Forever, "since ; at e1.19; 20", ""},
		{Forever, "since ; 20; at e1.20", ""},
		{Forever, "since ; at e1.20", ""},
		{Forever, "since e1.2; gap epoch e2.0; 2:1; 2:2", ""},
		{5, "since e1.2; gap expired e1.15; 16", ""},
		{5, "since e1.2; 3; gap expired e1.12; gap expired e1.15; 16", ""},
		{5, "since e1.2; 3; gap slow e1.18; 19", ""}, // a reason to come: only that it goes forward can be said
		{5, "since 0; 16", ""},

		{Forever, "since e1.2; 4", "lost"},
		{Forever, "since e1.2; 3; 5", "lost"},
		{Forever, "since 0; 2", "lost"},
		{Forever, "since 0; at e1.1", "lost"},
		{5, "since 0; 17", "lost"},
		{Forever, "since e1.2; 3; 3", "repeated"},
		{Forever, "since e1.2; 2", "repeated"},
		{Forever, "since e1.2; 3; 4; 3", "repeated"}, // as is what comes in another order
		{Forever, "since ; 19", "repeated"},
		{Forever, "since ; at e1.18", "now is"},
		{Forever, "since e1.2; text " + altered, "altered"},
		{Forever, "since e1.2; text " + foreign, "altered"},
		{Forever, "since e1.20; 21", "invented"},
		{Forever, "since e1.20; 3:1", "invented"},
		{Forever, "since ; at e1.21", "invented"},
		{Forever, "since e1.2; 2:1", "another epoch"},
		{Forever, "since e1.2; at e2.0", "is at e1.2"},
		{Forever, "since e1.2; at e1.3", "is at e1.2"},
		{Forever, "since e1.2; 3; at e1.2", "is at e1.3"},
		{Forever, "since e1.2; gap expired e1.4", "false gap"}, // everything is kept
		{5, "since e1.2; gap expired e1.16", "false gap"},      // 16 is kept
		{5, "since e1.16; gap expired e1.16", "false gap"},     // nothing is missing
		{5, "since e1.16; 17; gap slow e1.16", "false gap"},    // backwards
		{5, "since 0; gap expired e1.15", "false gap"},
		{5, "since e1.2; gap epoch e1.15", "false gap"},
		{5, "since e1.2; gap expired e2.0", "false gap"},
		{5, "since e1.20; gap epoch e2.0; 2:1; gap epoch e1.15", "older epoch"},
		{Forever, "since e1.2; gap epoch e2.1", "false gap"}, // the new process keeps everything too
		{Forever, "since e1.2; gap epoch e3.0", "3th of 2"},
		{5, "since e1.2; gap expired e1.15; 17", "lost"},
	} {
		for _, channel := range []string{"k", "b"} { // the second is checked by the quick way
			truth := world(t, c.keeps)
			words := strings.Split(c.history, "; ")
			if channel == "b" {
				words = strings.Split(strings.ReplaceAll(c.history, "k", "b"), "; ")
				if strings.Contains(c.history, "text") {
					continue
				}
			}
			s := NewSubscriber(truth).NewSession(false)
			for i, w := range words {
				err := tell(s, channel, w)
				if i == 0 { // everything is asked of the first process; of the second it is told
					truth.Starting()
					stored(t, truth, channel, "e2", 2)
				}
				last := i == len(words)-1
				if last && c.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), c.wrong) {
						t.Errorf("%s: %q: got %v, want %q", channel, c.history, err, c.wrong)
					}
				} else if err != nil {
					t.Errorf("%s: %q, at %q: %v", channel, c.history, w, err)
					break
				}
			}
		}
	}
}

// TestEveryByteMatters changes each byte of a publication in turn. Fields may be added and the time is the server's, but
// nothing else may change without a complaint.
func TestEveryByteMatters(t *testing.T) {
	for _, offset := range []uint64{3, 5, 7, 19} {
		for _, channel := range []string{"k", "b"} {
			text := []byte(wire(channel, "e1", 1, offset))
			truth := world(t, Forever)
			check := func() error {
				s := NewSubscriber(truth).NewSession(false)
				a, err := s.Ask(channel, fmt.Sprint("e1.", offset-1))
				return either(err, either(s.Join(a), s.Take(text)))
			}
			if err := check(); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			accepted := 0
			for i := range text {
				was := text[i]
				text[i] = 'q'
				if was != 'q' && check() == nil {
					accepted++
				}
				text[i] = was
			}
			if names := len(`timetypeencodingevent`); accepted > names { // a field of another name is an added one
				t.Errorf("%s: %d changes of %d are accepted", text, accepted, len(text))
			}
		}
	}
}

// TestQuickIsUsual tells that what is usual takes the quick way, which it is all about.
func TestQuickIsUsual(t *testing.T) {
	s := NewSubscriber(world(t, Forever)).NewSession(false)
	if err := tell(s, "b", "since e1.0"); err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 20; n++ {
		text := []byte(wire("b", "e1", 1, n))
		if !s.quick(text) && (n%5 != 0 || s.Take(text) != nil) {
			t.Errorf("not the quick way: %s", text)
		}
	}
	if s.Checked != 20 || s.Holds("b") != "e1.20" {
		t.Errorf("%d checked, holds %s", s.Checked, s.Holds("b"))
	}
}

// TestReplies tells the model what a WebSocket replies to a subscription.
func TestReplies(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		since, position string
		recovered       *bool
		then            string
		wrong           string
	}{
		{"e1.2", "e1.2", &yes, "3", ""},
		{"e1.2", "e1.15", &no, "gap expired e1.15", ""},
		{"0", "e1.15", &yes, "16", ""},
		{"", "e1.20", nil, "", ""},
		{"e1.2", "e1.3", &yes, "", "is at e1.2"},
		{"e1.2", "e1.2", nil, "", "recovered"},
		{"", "e1.20", &yes, "", "recovered"},
		{"0", "e1.15", &no, "", "recovered"},
		{"e1.2", "e1.15", &no, "16", "recovered:false announced"},
		{"e1.2", "e1.2", &no, "3", "recovered:false announced"},
		{"e1.2", "e1.15", &no, "at e1.15", "recovered:false announced"},
	} {
		s := NewSubscriber(world(t, 5)).NewSession(false)
		a, err := s.Ask("k", c.since)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Subscribed(a, c.position, c.recovered)
		if err == nil && c.then != "" {
			err = tell(s, "k", c.then)
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestRaw tells the model what comes over encke.raw, where only the payload speaks.
func TestRaw(t *testing.T) {
	for _, c := range []struct {
		since   string
		frames  []uint64 // sequences; a thousand more is of generation 2
		altered bool
		wrong   string
	}{
		{"e1.2", []uint64{3, 4, 5, 6, 7, 8}, false, ""},
		{"0", []uint64{1, 2}, false, ""},
		{"", []uint64{20}, false, ""},
		{"", []uint64{1001, 1002}, false, ""},
		{"e1.2", []uint64{4}, false, "lost"},
		{"e1.2", []uint64{3, 3}, false, "repeated"},
		{"e1.2", []uint64{3, 4, 3}, false, "repeated"},
		{"", []uint64{18}, false, "repeated"},
		{"e1.2", []uint64{1001}, false, "another epoch"},
		{"e1.20", []uint64{21}, false, "invented"},
		{"e1.2", []uint64{3}, true, "altered"},
	} {
		truth := world(t, Forever)
		truth.Starting()
		s := NewSubscriber(truth).NewSession(true)
		a, err := s.Ask("k", c.since)
		if err := either(err, s.Join(a)); err != nil {
			t.Fatal(err)
		}
		stored(t, truth, "k", "e2", 2)
		for i, n := range c.frames {
			payload := appendPayload(nil, "k", 1+n/1000, n%1000)
			if c.altered {
				payload[len(payload)-2]++
			}
			err = s.TakeRaw(payload, kindOf("k", n%1000) == asBinary)
			if last := i == len(c.frames)-1; !last && err != nil {
				t.Errorf("%+v: %d: %v", c, n, err)
			}
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestFalseEndsOfRaw closes raw connections for gaps that are none.
func TestFalseEndsOfRaw(t *testing.T) {
	for _, c := range []struct {
		keeps uint64
		since string
		ok    bool
	}{{5, "e1.2", true}, {5, "e1.16", false}, {Forever, "e1.2", false}, {5, "", false}, {5, "0", false}} {
		s := NewSubscriber(world(t, c.keeps)).NewSession(true)
		a, _ := s.Ask("k", c.since)
		if err := s.GapOfRaw([]ask{a}, false); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestNotSubscribed gives what was not asked for, or not any more.
func TestNotSubscribed(t *testing.T) {
	s := NewSubscriber(world(t, Forever)).NewSession(false)
	if tell(s, "k", "3") == nil || tell(s, "k", "at e1.3") == nil || s.Leave("k") == nil {
		t.Error("accepted without a subscription")
	}
	if err := tell(s, "k", "since e1.2"); err != nil || tell(s, "k", "3") != nil || s.Leave("k") != nil || tell(s, "k", "4") == nil {
		t.Error("accepted after the subscription:", err)
	}
}

// TestPlaces reads position lists.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		list string
		n    int
		want string
	}{
		{"e1.17", 1, "[e1.17]"}, {"e1.17,4,e1.0,5", 4, "[e1.17 e1.4 e1.0 e1.5]"}, {"e1.17", 2, ""}, {"e1.17,4", 1, ""}, {"4", 1, ""},
		{"e1.", 1, ""}, {".4", 1, ""}, {"e1.17,", 2, ""}, {"", 1, ""},
	} {
		places, err := readPlaces(c.list, c.n)
		if got := fmt.Sprint(places); (err == nil) != (c.want != "") || err == nil && got != c.want {
			t.Errorf("%q: %s %v, want %q", c.list, got, err, c.want)
		}
	}
}
