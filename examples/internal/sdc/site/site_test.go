package site_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/examples/internal/sdc/site"
	"github.com/opnfv/clover/internal/testutil"
)

func newSite(t *testing.T, root string) *site.Server {
	t.Helper()
	s, err := site.New(site.Options{Root: root, Port: "9180", Logger: testutil.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ask(s http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestContentWithoutFiles(t *testing.T) {
	s := newSite(t, "")
	for path, want := range map[string]int{
		"/": 200, "/clover/testurl": 200, "/slow": 200, "/broken": 503, "/missing/x": 404, "/status/418": 418, "/status/99": 400,
		"/status/x": 400, "/upload_test": 200, "/../../etc/passwd": 200,
	} {
		if w := ask(s, http.MethodGet, path, ""); w.Code != want || strings.Contains(w.Body.String(), "root:") {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if w := ask(s, http.MethodPost, "/upload", "data"); w.Code != http.StatusCreated {
		t.Errorf("upload: %d", w.Code)
	}
	if _, err := s.Configure(t.Context(), control.SiteConfig{Files: []control.File{{Source: "a", Destination: "b"}}}); err == nil {
		t.Error("files are accepted without a folder")
	}
}

// TestTheGuide uploads a file, moves it to where the guide's server.yaml says
// and reads it there.
func TestTheGuide(t *testing.T) {
	root := t.TempDir()
	s := newSite(t, root)
	w := ask(s, http.MethodPost, "/upload", "picture")
	if w.Code != http.StatusCreated || w.Header().Get("Location") != "/upload/0000000001" {
		t.Fatalf("upload: %d %v", w.Code, w.Header())
	}
	n, err := s.Configure(t.Context(), control.SiteConfig{
		Port: "9180", Root: root, Index: "index.html",
		Locations: []control.Location{{Match: "/clover/testurl", Path: "/clover/testurl", Try: control.Try{URI: true}}},
		Files: []control.File{{
			Source: root + "/upload/0000000001", Destination: strings.TrimPrefix(root, "/") + "/clover/testurl/file1.png",
		}},
	})
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	w = ask(s, http.MethodGet, "/clover/testurl/file1.png", "")
	if w.Code != 200 || w.Body.String() != "picture" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w = ask(s, http.MethodGet, "/clover/testurl/other", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "clover") {
		t.Errorf("@default2: %d %q", w.Code, w.Body)
	}
	// A second start goes on counting.
	if w = ask(newSite(t, root), http.MethodPost, "/upload", "2"); w.Header().Get("Location") != "/upload/0000000002" {
		t.Errorf("after a restart: %v", w.Header())
	}
}

func TestUploadByForm(t *testing.T) {
	root := t.TempDir()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "x.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte("picture")); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/upload", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	w := httptest.NewRecorder()
	newSite(t, root).ServeHTTP(w, r)
	if data, err := os.ReadFile(filepath.Join(root, "upload", "0000000001")); err != nil || string(data) != "picture" || w.Code != http.StatusCreated {
		t.Errorf("%d, %q, %v", w.Code, data, err)
	}
}

func TestLocations(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"index.html": "front", "a/b.txt": "ab", "fallback.txt": "fallback"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, root)
	_, err := s.Configure(t.Context(), control.SiteConfig{Locations: []control.Location{
		{Match: "/app", Path: "/a", Try: control.Try{URI: true, Status: 410}},
		{Match: "/other", Path: "/", Try: control.Try{Paths: []string{"/none", "/fallback.txt"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "200 front", "/app/b.txt": "200 ab", "/app/c.txt": "410 410 Gone", "/other/x": "200 fallback", "/link": "200 clover",
	} {
		w := ask(s, http.MethodGet, path, "")
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for _, c := range []control.SiteConfig{{Port: "80"}, {Root: "/elsewhere"}} {
		if _, err := s.Configure(t.Context(), c); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := s.Configure(t.Context(), control.SiteConfig{Files: []control.File{{Source: "link", Destination: "stolen"}}}); err == nil {
		t.Error("a file outside of the root is copied")
	}
	if _, err := site.New(site.Options{Root: filepath.Join(root, "none")}); err == nil {
		t.Error("a root that is not there is accepted")
	}
}
