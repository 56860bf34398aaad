package site

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// come makes a request to the site with a cookie, or without one, and returns who it is for the site, and the cookie then.
func come(t *testing.T, method, cookie, body string) (Visitor, string) {
	t.Helper()
	mux := http.NewServeMux()
	(&Site{}).Visitors(mux)
	r := httptest.NewRequest(method, "/visitor", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var v Visitor
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || v.ID == "" {
		t.Fatalf("%s %q: %v", method, w.Body, err)
	}
	for _, c := range w.Result().Cookies() {
		cookie = c.Value
	}
	return v, cookie
}

func TestVisitorStaysWithANewName(t *testing.T) {
	first, cookie := come(t, "GET", "", "")
	named, cookie := come(t, "PUT", cookie, `{"name":" Ada "}`)
	again, _ := come(t, "GET", cookie, "")
	if want := (Visitor{first.ID, "Ada"}); named != want || again != want {
		t.Errorf("%v, then %v and %v", first, named, again)
	}
}

func TestNobodyComesAsAnother(t *testing.T) {
	v, own := come(t, "GET", "", "")
	text, _ := base64.RawURLEncoding.DecodeString(own)
	if strings.Contains(strings.ToLower(string(text)), v.ID) {
		t.Errorf("the cookie says the id, which everybody knows: %s", text)
	}
	for _, forged := range []string{`{"id":"` + v.ID + `"}`, `{"Key":"` + v.ID + `"}`, `{"Key":""}`, `{`, `null`, ``} {
		if got, _ := come(t, "GET", base64.RawURLEncoding.EncodeToString([]byte(forged)), ""); got.ID == v.ID {
			t.Errorf("%s comes as %s", forged, v.ID)
		}
	}
}
