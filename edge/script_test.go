package edge_test

import (
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"encke/edge"
)

// TestScript: the JavaScript client is served to the pages of anybody, compressed for who takes that, and kept as long as it may be.
func TestScript(t *testing.T) {
	source := "export const answer = 42;\n" + strings.Repeat("// a comment\n", 100)
	r := newRig(t, func(c *edge.Config) { c.Script = []byte(source) })
	path, integrity := r.Script()
	sum := sha512.Sum384([]byte(source))
	if integrity != "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("integrity %s", integrity)
	}
	get := func(target string, headers ...string) (*http.Response, string) {
		q, _ := http.NewRequest("GET", "http://"+r.public+target, nil)
		q.Header.Set("Accept-Encoding", "identity")
		for i := 0; i < len(headers); i += 2 {
			q.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body := io.Reader(res.Body)
		if res.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}
	plain, _ := get("/encke.js")
	tag := plain.Header.Get("ETag")
	for _, c := range []struct {
		name, target string
		headers      []string
		status       int
		body         string
		cache        string
		coding       string
	}{
		{"plain", "/encke.js", nil, 200, source, "public, max-age=300", ""},
		{"compressed", "/encke.js", []string{"Accept-Encoding", "br, gzip"}, 200, source, "public, max-age=300", "gzip"},
		{"this version", path, nil, 200, source, "public, max-age=31536000, immutable", ""},
		{"another version", "/encke.js?v=0", nil, 200, source, "public, max-age=300", ""},
		{"known", "/encke.js", []string{"If-None-Match", `W/"x", ` + tag}, 304, "", "public, max-age=300", ""},
		{"another known", "/encke.js", []string{"If-None-Match", `"x"`}, 200, source, "public, max-age=300", ""},
		{"a page of anybody", "/encke.js", []string{"Origin", "https://elsewhere.example"}, 200, source, "public, max-age=300", ""},
	} {
		res, text := get(c.target, c.headers...)
		h := res.Header
		if res.StatusCode != c.status || text != c.body || h.Get("Cache-Control") != c.cache || h.Get("Content-Encoding") != c.coding ||
			h.Get("ETag") != tag || h.Get("Vary") != "Accept-Encoding" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s %v %.40q", c.name, res.Status, h, text)
		}
	}
	if got, _ := statusOf(t, newRig(t, nil), "/encke.js"); got != 404 {
		t.Errorf("without a script: %d", got)
	}
}
