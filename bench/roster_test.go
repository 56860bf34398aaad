package bench

import (
	"fmt"
	"strings"
	"testing"

	"encke/bench/report"
)

// TestRoster feeds a follower what it might be told, from an empty channel on.
func TestRoster(t *testing.T) {
	lost := func(n uint64) report.Faults { return report.Faults{Lost: n} }
	untrue := func(n uint64) report.Faults { return report.Faults{Untrue: n} }
	for _, c := range []struct {
		name string
		told string // offset +joins -leaves =users; "?offset members =users": a listing; "!offset members =users": begins anew; or JSON
		want report.Faults
		here string
	}{
		{"a join", "1 +a =1", report.Faults{}, "a"},
		{"two at once", "1 +a,b =2; 2 -a +c =2", report.Faults{}, "b,c"},
		{"parts", "1 +a,b; 2 +c; 3 +d =4", report.Faults{}, "a,b,c,d"},
		{"counts alone", "1 +a =1; 2 =1", report.Faults{}, "a"},
		{"a join of one who is there", "1 +a =1; 2 +a =1", untrue(1), "a"},
		{"twice in an event", "1 +a,a =1", untrue(1), "a"},
		{"a leave of one who is not", "1 +a =1; 2 -b =1", untrue(1), "a"},
		{"twice left", "1 +a,b =2; 2 -a =1; 3 -a =1", untrue(1), "b"},
		{"a wrong count", "1 +a =2", untrue(1), "a"},
		{"a count of nobody", "1 +a =1; 2 =0", untrue(1), "a"},
		{"lost", "1 +a =1; 3 +c =3", report.Faults{Lost: 1, Untrue: 1}, "a,c"},
		{"lost, without a trace", "1 +a; 3 +c", lost(1), "a,c"},
		{"repeated", "1 +a =1; 1 +a =1", report.Faults{Duplicated: 1}, "a"},
		{"from before", "1 +a =1; 2 +b =2; 1 +c =1", report.Faults{Duplicated: 1}, "a,b"},
		{"a gap", `1 +a =1; {"channel":"$presence:b","gap":true,"reason":"expired","position":"e.9"}`, lost(1), "a"},
		{"another channel", `{"channel":"$presence:c","offset":1,"position":"e.1","event":"presence","data":{}}`, report.Faults{Corrupted: 1}, ""},
		{"another event", `{"channel":"$presence:b","offset":1,"position":"e.1","event":"absence","data":{}}`, report.Faults{Corrupted: 1}, ""},
		{"another epoch", `{"channel":"$presence:b","offset":1,"position":"f.1","event":"presence","data":{}}`, report.Faults{Corrupted: 1}, ""},
		{"no event", `{"channel":"$presence:b","offset":1,"position":"e.1","event":"presence","data":"a"}`, report.Faults{Corrupted: 1}, ""},
		{"a list", "1 +a =1; ?1 a =1", report.Faults{}, "a"},
		{"a list of nobody", "?0 =0; 1 +a =1", report.Faults{}, "a"},
		{"a list that lacks one", "1 +a,b =2; ?1 a =2", untrue(1), "a,b"},
		{"a list of one who is not there", "1 +a =1; ?1 a,b =1", untrue(1), "a"},
		{"a list with one twice", "1 +a =1; ?1 a,a =1", untrue(1), "a"},
		{"a list that counts wrong", "1 +a =1; ?1 a =2", untrue(1), "a"},
		{"a list between two parts", "1 +a =1; 2 +b; ?2 a,b =1; 3 +c =3; ?3 a,b,c =3", report.Faults{}, "a,b,c"},
		{"a list ahead", "1 +a =1; ?3 a,c =2; 2 +b =2; 3 -b +c =2", report.Faults{}, "a,c"},
		{"a list ahead, wrong", "1 +a =1; ?3 a,b =2; 2 +b =2; 3 -b +c =2", untrue(1), "a,c"},
		{"a list behind", "1 +a =1; 2 +b =2; 3 -a =1; ?1 a =1; ?2 a,b =2; ?0 =0", report.Faults{}, "b"},
		{"a list behind, wrong", "1 +a =1; 2 +b =2; 3 -a =1; ?2 b =2", untrue(1), "b"},
		{"anew", "1 +a =1; !5 b,c =2; 6 -b =1", report.Faults{}, "c"},
		{"anew, and told again", "1 +a =1; !5 b,c =2; 5 +c =2", report.Faults{Duplicated: 1}, "b,c"},
		{"a list from before it began", "1 +a =1; !5 b,c =2; ?4 b =1", untrue(1), "b,c"},
	} {
		r := newRoster("$presence:b")
		r.adopt(&listing{Position: "e.0"}, 0)
		for text := range strings.SplitSeq(c.told, "; ") {
			feedRoster(t, r, text)
		}
		want := map[string]bool{}
		for user := range strings.SplitSeq(c.here, ",") {
			if user != "" {
				want[user] = true
			}
		}
		if text := differ(r.members, want); text != "" || r.faults != c.want || (r.wrong == "") != (c.want == report.Faults{}) || r.waits() {
			t.Errorf("%s: %+v, want %+v; %s; %s", c.name, r.faults, c.want, r.wrong, text)
		}
	}
}

// feedRoster gives a roster one thing, through the same door as a follower does.
func feedRoster(t *testing.T, r *roster, text string) {
	t.Helper()
	f := follower{roster: r}
	if text[0] == '{' {
		if err := f.take([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return
	}
	words := strings.Fields(text)
	offset := strings.TrimLeft(words[0], "?!")
	parts := map[byte]string{}
	for _, w := range words[1:] {
		switch w[0] {
		case '+', '-', '=':
			parts[w[0]] = w[1:]
		default:
			parts['+'] = w
		}
	}
	var joins, leaves []string
	if parts['+'] != "" {
		for user := range strings.SplitSeq(parts['+'], ",") {
			joins = append(joins, fmt.Sprintf(`{"user":%q}`, user))
		}
	}
	if parts['-'] != "" {
		for user := range strings.SplitSeq(parts['-'], ",") {
			leaves = append(leaves, fmt.Sprintf("%q", user))
		}
	}
	var fields []string
	switch joined := strings.Join(joins, ","); text[0] {
	case '!':
		l := listing{Position: "e." + offset}
		_, _ = fmt.Sscan(parts['='], &l.Users)
		for user := range strings.SplitSeq(parts['+'], ",") {
			l.Members = append(l.Members, named{user})
		}
		r.adopt(&l, 0)
		return
	case '?':
		r.asked++
		text = fmt.Sprintf(`{"presence":{"channel":"b","users":%s,"connections":9,"position":"e.%s","members":[%s]}}`, parts['='], offset, joined)
	default:
		if joins != nil {
			fields = append(fields, `"join":[`+joined+`]`)
		}
		if leaves != nil {
			fields = append(fields, `"leave":[`+strings.Join(leaves, ",")+`]`)
		}
		if users, counted := parts['=']; counted {
			fields = append(fields, `"users":`+users+`,"connections":9`)
		}
		text = fmt.Sprintf(`{"channel":"$presence:b","offset":%s,"position":"e.%s","event":"presence","time":1,"data":{%s}}`, offset, offset, strings.Join(fields, ","))
	}
	if err := f.take([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// TestRosterGoesBack compares lists that are older than more events than a follower keeps.
func TestRosterGoesBack(t *testing.T) {
	r := newRoster("$presence:b")
	r.adopt(&listing{Position: "e.0"}, 0)
	for n := 1; n <= 3*keptPast; n += 2 {
		feedRoster(t, r, fmt.Sprintf("%d +a =1", n))
		feedRoster(t, r, fmt.Sprintf("%d -a =0", n+1))
	}
	feedRoster(t, r, fmt.Sprintf("?%d a =1", 3*keptPast-keptPast+1))
	if r.wrong != "" {
		t.Error(r.wrong)
	}
	feedRoster(t, r, "?1 a =1")
	if r.faults.Untrue != 1 || len(r.past) > 2*keptPast {
		t.Errorf("%+v: %s; %d events kept", r.faults, r.wrong, len(r.past))
	}
}
