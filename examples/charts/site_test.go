package charts

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"encke/examples/site"
)

// files writes files into a new directory.
func files(t *testing.T, all map[string]string) string {
	dir := t.TempDir()
	for name, text := range all {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMachine(t *testing.T) {
	proc := files(t, map[string]string{
		"stat":      "cpu  100 10 40 800 50 1 2 3 7 0\ncpu0 50 5 20 400 25 1 1 1 0 0\ncpu1 50 5 20 400 25 0 1 2 0 0\nintr 5 6\ncpu2 1 1 1 1 1 1 1 1\n",
		"loadavg":   "0.42 0.30 0.20 1/167 23226\n",
		"meminfo":   "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n",
		"net/dev":   "Inter-|   Receive\n face |bytes\n    lo: 9 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n  eth0:100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  br0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n",
		"diskstats": " 254 0 vda 1 2 3 4 5 6 7 8 9 10\n 254 1 vda1 1 2 3 4 5 6 7 8 9 10\n 7 0 loop0 1 2 3 4 5 6 7 8 9 10\n 253 0 dm-0 1 2 3 4 5 6 7 8 9 10\nnonsense\n",
		"17/stat":   "17 (encke) S 16 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 1 1",
		"18/stat":   "18 (encke) S 1 1 1 0 -1 0 0 0 0 0 9 9 0 0 20 0 1 0 1 1",
		"19/stat":   "19 (a) b (c) S 16 1 1 0 -1 0 0 0 0 0 9 9 0 0 20 0 1 0 1 1",
	})
	sys := files(t, map[string]string{"class/net/eth0/device/vendor": "", "block/vda/size": "", "block/loop0/size": "", "block/dm-0/size": ""})
	m := newMachine(proc, sys, 16)
	for range 2 { // the second time Encke's process is known
		got := m.read()
		want := counters{at: got.at, cpu: []busy{{156, 1006}, {78, 503}, {78, 503}}, load: .42, used: 400 * 1024, memory: 1000 * 1024,
			in: 100, out: 20, within: 5, read: 3 * 512, written: 7 * 512, process: 2}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nnot %+v", got, want)
		}
	}
	if m.encke != 17 {
		t.Error("Encke is not", m.encke)
	}
	if err := os.Remove(filepath.Join(proc, "17/stat")); err != nil {
		t.Fatal(err)
	}
	if got := m.read().process; !math.IsNaN(got) {
		t.Error("an Encke that has gone has used", got)
	}
}

func TestNothingThere(t *testing.T) {
	c := newMachine(t.TempDir(), t.TempDir(), 1).read()
	text, err := json.Marshal(figuresOf(c, c, c))
	want := `"cpu":null,"load":null,"memory":[null,null],"net":[null,null,null],"disk":[null,null],"encke":[null,null,null,null]}`
	if err != nil || !strings.HasSuffix(string(text), want) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestFigures(t *testing.T) {
	at := time.UnixMilli(1_795_224_000_000)
	then := counters{at: at, cpu: []busy{{100, 1000}, {100, 500}}, in: 1000, out: 500, read: 10, written: 10, process: 1, encke: enckeCounters{known: true, delivered: 10}}
	c := counters{at: at.Add(200 * time.Millisecond), cpu: []busy{{110, 1040}, {100, 500}}, load: 1.239, used: 5, memory: 9, in: 1300, out: 400, within: 2, read: 10, written: 31,
		process: 1.05, encke: enckeCounters{true, 77, 3, 12}}
	text, err := json.Marshal(figuresOf(c, then, then))
	// a core that has not ticked, and bytes that became fewer, are not known
	want := `{"at":1795224000200,"cpu":[25,null],"load":1.24,"memory":[5,9],"net":[1500,null,10],"disk":[0,105],"encke":[25,77,3,10]}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v\nnot %s", text, err, want)
	}
	then.cpu = then.cpu[:1]
	if f := figuresOf(c, then, then); !math.IsNaN(float64(f.CPU[0])) || len(f.CPU) != 2 {
		t.Error("a core more is measured against nothing:", f.CPU)
	}
}

// Ten a second only while somebody looks.
func TestPushes(t *testing.T) {
	pushed, subscribers := map[string]int{}, 0
	encke := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/stats":
			site.Answer(w, map[string]any{"connections": map[string]int{"ws": 2, "sse": 1, "http": 7, "total": 10}, "messages": map[string]int{"delivered": 5}, "memory": map[string]int{"rss": 99}})
		case r.URL.Path == "/publish":
			var m struct {
				Channel string
				Data    struct{ Encke []float64 }
			}
			if !site.Read(w, r, &m) {
				return
			}
			if e := m.Data.Encke; e[1] != 99 || e[2] != 3 {
				t.Error("Encke says of itself", e)
			}
			pushed[m.Channel]++
			site.Answer(w, map[string]any{"subscribers": subscribers})
		case r.URL.Path == "/channels/"+now && subscribers > 0:
			site.Answer(w, map[string]any{"subscribers": subscribers})
		default:
			http.NotFound(w, r)
		}
	}))
	defer encke.Close()
	p := &pusher{site: &site.Site{Backend: encke.URL}, machine: newMachine("/proc", "/sys", os.Getpid())}
	second := func(here int) (fast, slow int) {
		subscribers = here
		clear(pushed)
		for n := range 10 {
			p.tick(t.Context(), n)
		}
		return pushed[now], pushed[hour]
	}
	for i, c := range []struct{ here, fast, slow int }{
		{0, 0, 0}, // there is nothing to measure against
		{0, 0, 1},
		{1, 9, 1}, // somebody has come
		{1, 10, 1},
		{0, 1, 1}, // and gone, as the first push finds
		{0, 0, 1},
		{2, 9, 1},
	} {
		if fast, slow := second(c.here); fast != c.fast || slow != c.slow {
			t.Errorf("second %d, %d here: %d and %d pushed", i, c.here, fast, slow)
		}
	}
}

func TestHalfASecond(t *testing.T) {
	p, at := &pusher{}, time.Now()
	for i := range 30 {
		c := counters{at: at.Add(time.Duration(i) * step)}
		b := p.remember(c)
		if last := c.at.Sub(b.last.at); i > 0 && last != step {
			t.Fatal(i, "the last was", last, "ago")
		}
		if ago := c.at.Sub(b.half.at); ago != min(half, time.Duration(i)*step) {
			t.Fatal(i, "half a second was", ago, "ago")
		}
	}
	c := counters{at: at.Add(time.Hour)}
	p.remember(c)
	if b := p.remember(counters{at: c.at.Add(step)}); b.half.at != c.at {
		t.Error("what lies an hour back counts")
	}
}
