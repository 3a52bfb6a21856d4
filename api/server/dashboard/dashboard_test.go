package dashboard_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/opnfv/clover/api/server/dashboard"
)

var script = []byte(strings.Repeat("console.log('clover');\n", 100))

func files() fstest.MapFS {
	return fstest.MapFS{
		"index.html":           {Data: []byte("<!doctype html><title>Clover</title>")},
		"icon.svg":             {Data: []byte("<svg/>")},
		"assets/index-1a2b.js": {Data: script},
	}
}

// ask asks a new handler; headers are "Name: value".
func ask(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	h, err := dashboard.New(files())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, path, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestFiles(t *testing.T) {
	const forEver, ask4Change = "public, max-age=31536000, immutable", "no-cache"
	for _, c := range []struct {
		method, path string
		code         int
		kind, cache  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", ask4Change},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ask4Change},
		{"GET", "/traces/4bf92f3577b34da6", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/icon.svg", 200, "image/svg+xml", ask4Change},
		{"GET", "/assets/index-1a2b.js", 200, "text/javascript; charset=utf-8", forEver},
		{"GET", "/assets/index-0000.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/../../etc/passwd", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", ""},
	} {
		res := ask(t, c.method, c.path)
		if res.StatusCode != c.code || res.Header.Get("Content-Type") != c.kind || res.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s %s: %d %v, want %d %s %q", c.method, c.path, res.StatusCode, res.Header, c.code, c.kind, c.cache)
		}
		if policy := res.Header.Get("Content-Security-Policy"); c.code == 200 && policy != dashboard.Policy {
			t.Errorf("%s %s: policy %q", c.method, c.path, policy)
		}
	}
	for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} {
		if !strings.Contains(dashboard.Policy, want) {
			t.Errorf("the policy %q has no %q", dashboard.Policy, want)
		}
	}
	if strings.Contains(dashboard.Policy, "unsafe") {
		t.Errorf("the policy is %q", dashboard.Policy)
	}
}

func TestCompression(t *testing.T) {
	for accepted, want := range map[string]string{
		"": "", "gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "deflate": "",
	} {
		res := ask(t, "GET", "/assets/index-1a2b.js", "Accept-Encoding: "+accepted)
		if got := res.Header.Get("Content-Encoding"); got != want || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v, want %q", accepted, res.Header, want)
		}
		body := io.Reader(res.Body)
		if want == "gzip" {
			var err error
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, script) {
			t.Errorf("%q: %d bytes, %v", accepted, len(got), err)
		}
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		first := ask(t, "GET", "/assets/index-1a2b.js", "Accept-Encoding: "+encoding)
		again := ask(t, "GET", "/assets/index-1a2b.js", "Accept-Encoding: "+encoding, "If-None-Match: "+first.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%q: %s", encoding, again.Status)
		}
	}
}

func TestAFolderWithoutAPageIsRefused(t *testing.T) {
	if _, err := dashboard.New(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "make web") {
		t.Errorf("%v", err)
	}
}
