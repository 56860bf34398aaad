package fleet

import (
	"fmt"
	"testing"
	"time"

	"encke/bench/report"
	"encke/bench/wire"
)

// bare is a loop with one client and no connection: enough to feed it.
func bare(publishers int, k Group, m marks) *loop {
	l := &loop{fleet: &Fleet{config: Config{Size: 64, Publishers: publishers}, began: time.Now()}, latency: histogram(), connect: histogram()}
	k.Count = 1
	l.add(kind{Group: k}, 0, 0, 1)
	l.clients[0].state = here
	l.clients[0].marks |= m
	return l
}

// found is what the loop finds wrong in the end.
func (l *loop) found(sent ...uint32) report.Faults {
	v := Verdict{Orders: map[uint64]uint64{}}
	l.verify(&Sent{Publishers: sent}, &v)
	v.Faults.Add(l.figures.faults)
	return v.Faults
}

func payload(publisher uint8, n int) []byte {
	return wire.AppendPayload(nil, wire.Mark{Publisher: publisher, Sequence: uint32(n), Time: 1}, 64)
}

// TestVerification feeds one client what it might be sent when 1 to 4 were published.
func TestVerification(t *testing.T) {
	const broken = -1
	for _, c := range []struct {
		name  string
		marks marks
		got   []int
		want  report.Faults
	}{
		{"in order", 0, []int{1, 2, 3, 4}, report.Faults{}},
		{"lost in between", 0, []int{1, 3, 4}, report.Faults{Lost: 1}},
		{"lost at the start", 0, []int{2, 3, 4}, report.Faults{Lost: 1}},
		{"lost at the end", 0, []int{1, 2}, report.Faults{Lost: 2}},
		{"nothing came", 0, nil, report.Faults{Lost: 4}},
		{"duplicated", 0, []int{1, 2, 2, 3, 4}, report.Faults{Duplicated: 1}},
		{"duplicated later", 0, []int{1, 2, 3, 4, 1}, report.Faults{Duplicated: 1}},
		{"reordered", 0, []int{1, 3, 2, 4}, report.Faults{Reordered: 1}},
		{"reordered and duplicated", 0, []int{1, 3, 2, 2, 4}, report.Faults{Reordered: 1, Duplicated: 1}},
		{"corrupted", 0, []int{1, 2, broken, 4}, report.Faults{Lost: 1, Corrupted: 1}},
		{"joined late", late, []int{3, 4}, report.Faults{}},
		{"joined late and lost", late, []int{2, 4}, report.Faults{Lost: 1}},
		{"joined late, nothing came", late, nil, report.Faults{Lost: 1}},
		{"deaf", deaf, []int{1}, report.Faults{}},
	} {
		l := bare(1, Group{}, c.marks)
		for _, n := range c.got {
			b := payload(0, n)
			if n == broken {
				b = payload(0, 3)
				b[50] ^= 1
			}
			l.text(0, &l.clients[0], b, 1)
		}
		if got := l.found(4); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestOffsets feeds a client of JSON publications, offset by offset, that joined in mid-stream.
func TestOffsets(t *testing.T) {
	for _, c := range []struct {
		name string
		text []string
		want report.Faults
		gaps uint64
	}{
		{"in order", []string{"@7", "8", "9"}, report.Faults{}, 0},
		{"the first one lost", []string{"@7", "9"}, report.Faults{Lost: 1}, 0},
		{"one lost later", []string{"@7", "8", "10"}, report.Faults{Lost: 1}, 0},
		{"twice", []string{"@7", "8", "8"}, report.Faults{Duplicated: 1}, 0},
		{"before its position", []string{"@7", "7"}, report.Faults{Duplicated: 1}, 0},
		{"a gap told", []string{"@7", "8", "gap", "20", "21"}, report.Faults{}, 1},
		{"two at once", []string{"@7", "8 9"}, report.Faults{}, 0},
		{"another channel's position", []string{"!3", "@7", "8"}, report.Faults{}, 0},
		{"the user's own channel, before", []string{"+3", "@7", "8"}, report.Faults{}, 0},
		{"the user's own channel, behind", []string{"@7", "+3", "8"}, report.Faults{}, 0},
		{"a list of positions", []string{"*7", "8"}, report.Faults{}, 0},
		{"a list of positions, one lost", []string{"*7", "9"}, report.Faults{Lost: 1}, 0},
	} {
		l := bare(1, Group{JSON: true, Users: 1}, 0) // its position says that it joined in mid-stream
		for _, text := range c.text {
			var b []byte
			var n, m int
			switch _, err := fmt.Sscanf(text, "%d %d", &n, &m); {
			case text[0] == '@':
				b = fmt.Appendf(nil, `{"subscribed":{"channel":"b","position":"e.%s"}}`, text[1:])
			case text[0] == '!':
				b = fmt.Appendf(nil, `{"subscribed":{"channel":"elsewhere-1","position":"e.%s"}}`, text[1:])
			case text[0] == '+':
				b = fmt.Appendf(nil, `{"subscribed":{"channel":"user:u0","position":"e.%s"}}`, text[1:])
			case text[0] == '*':
				b = fmt.Appendf(nil, `{"position":"e.%s,0"}`, text[1:])
			case text == "gap":
				b = []byte(`{"channel":"b","gap":true,"reason":"expired","position":"e.19"}`)
			case err == nil:
				b = append(publication(n), publication(m)...)
			default:
				b = publication(n)
			}
			l.text(0, &l.clients[0], b, 1)
		}
		got := l.figures.faults
		got.Lost += uint64(len(l.missing))
		if got != c.want || l.figures.gaps != c.gaps {
			t.Errorf("%s: %+v and %d gaps, want %+v and %d", c.name, got, l.figures.gaps, c.want, c.gaps)
		}
	}
}

// TestOwnChannel feeds a client that follows nothing but its user's own channel, and lets it come back.
func TestOwnChannel(t *testing.T) {
	l := bare(1, Group{JSON: true, Users: 1, Own: true, Resume: true}, 0)
	c := &l.clients[0]
	l.text(0, c, []byte(`{"subscribed":{"channel":"user:u0","position":"e.0"}}`), 1)
	l.text(0, c, publication(1), 1)
	if got := l.found(1); got != (report.Faults{}) || string(l.appendSince(nil, c)) != "&since=e.1" {
		t.Errorf("%+v, %s", got, l.appendSince(nil, c))
	}
	l.kinds[0].Own = false // it follows another one too, whose position that is
	if got := string(l.appendSince(nil, c)); got != "&since=e.1,0" {
		t.Errorf("%s", got)
	}
}

func publication(n int) []byte {
	return fmt.Appendf(nil, `{"channel":"b","offset":%d,"position":"e.%d","time":1,"data":"%s"}`, n, n, payload(0, n))
}

// TestOrders lets clients see the same messages of two publishers in different orders.
func TestOrders(t *testing.T) {
	orders := map[uint64]uint64{}
	for _, seen := range [][]uint8{{0, 1}, {0, 1}, {1, 0}} {
		l := bare(2, Group{}, 0)
		for _, p := range seen {
			l.text(0, &l.clients[0], payload(p, 1), 1)
		}
		v := Verdict{Orders: orders}
		l.verify(&Sent{Publishers: []uint32{1, 1}}, &v)
		if v.Faults != (report.Faults{}) {
			t.Errorf("faults: %+v", v.Faults)
		}
	}
	if len(orders) != 2 {
		t.Errorf("orders: %v", orders)
	}
}

// TestLinesInChunks splits a stream of chunks at every byte, with lines that go on in the next chunk.
func TestLinesInChunks(t *testing.T) {
	a, b := payload(0, 1), payload(0, 2)
	event := "id: e.0\n\ndata: " + string(a) + "\n\n: heartbeat\n\ndata: " + string(b) + "\n\n"
	var stream []byte
	for _, part := range []string{event[:5], event[5:30], event[30:31], event[31:]} {
		stream = fmt.Appendf(stream, "%x\r\n%s\r\n", len(part), part)
	}
	for cut := range len(stream) + 1 {
		l := bare(1, Group{Transport: "sse"}, chunked)
		n := lines{}.chunks(l, 0, &l.clients[0], stream[:cut], 1)
		n += lines{}.chunks(l, 0, &l.clients[0], stream[n:], 1)
		if n != len(stream) || l.figures.delivered != 2 || l.found(2) != (report.Faults{}) {
			t.Fatalf("cut at %d: %d of %d taken, %d delivered, %+v", cut, n, len(stream), l.figures.delivered, l.found(2))
		}
	}
}

// TestStreams gives the client of stream 0 a message of stream 1, which looks just like its own otherwise.
func TestStreams(t *testing.T) {
	l := bare(1, Group{Streams: true}, 0)
	l.text(0, &l.clients[0], payload(0, 1), 1)
	l.text(0, &l.clients[0], wire.AppendPayload(nil, wire.Mark{Sequence: 2, Time: 1, Stream: 1}, 64), 1)
	if got := l.found(2); got != (report.Faults{Corrupted: 1, Lost: 1}) {
		t.Errorf("%+v", got)
	}
}
