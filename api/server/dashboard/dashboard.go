// Package dashboard serves the files of the dashboard, a web application of
// one page, with the headers that keep it safe and quick: a strict
// Content-Security-Policy, files that may be kept for ever because their
// names have the hash of their content, and compression.
package dashboard

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

const (
	index = "index.html"
	// hashed is the folder of the files with a hash in their names.
	hashed = "assets/"
)

// Policy is the Content-Security-Policy of the page (CSP Level 3): nothing
// comes from elsewhere, nothing inline runs, nobody frames it.
const Policy = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

// asset is one file in memory.
type asset struct {
	plain []byte
	etag  string
	kind  string        // media type
	zip   func() []byte // compressed by gzip; nil: not worth it
	keep  bool          // never changes under its name
}

type handler map[string]*asset

// New returns a handler for the files of a web application, which it reads
// into memory: index.html for /, and below assets/ those with a hash in their
// names. Places within the application are fragments of its URL, which no
// server sees. The handler may be used concurrently.
func New(files fs.FS) (http.Handler, error) {
	h := handler{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		h[name] = newAsset(name, data)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if h[index] == nil {
		return nil, errors.New("dashboard: there is no index.html; build the dashboard with 'make web'")
	}
	return h, nil
}

// types are those that the system's table may have otherwise or not at all.
var types = map[string]string{
	".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
}

func newAsset(name string, data []byte) *asset {
	sum := sha256.Sum256(data)
	a := &asset{
		plain: data, keep: strings.HasPrefix(name, hashed), kind: types[path.Ext(name)],
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	if a.kind == "" {
		a.kind = mime.TypeByExtension(path.Ext(name))
	}
	if a.kind == "" {
		a.kind = "application/octet-stream"
	}
	if text := strings.HasPrefix(a.kind, "text/") || strings.Contains(a.kind, "json") || strings.Contains(a.kind, "xml"); text && len(data) > 1024 {
		a.zip = sync.OnceValue(func() []byte { return compress(data) })
	}
	return a
}

func compress(data []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return data // not reached: a buffer takes everything
	}
	return out.Bytes()
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	a := h[cmp.Or(strings.TrimPrefix(r.URL.Path, "/"), index)]
	if a == nil {
		http.NotFound(w, r)
		return
	}
	a.serve(w, r)
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.kind)
	header.Set("Content-Security-Policy", Policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
	if a.keep {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := a.plain, a.etag
	if a.zip != nil {
		header.Add("Vary", "Accept-Encoding")
		if takesGzip(r) {
			body, etag = a.zip(), strings.TrimSuffix(etag, `"`)+`-gz"`
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("Etag", etag)
	// It knows about If-None-Match, ranges and HEAD.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether the client takes gzip (RFC 9110, §12.5.3).
func takesGzip(r *http.Request) bool {
	for _, value := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(coding, ";")
			if strings.TrimSpace(name) != "gzip" {
				continue
			}
			q := strings.TrimPrefix(strings.TrimSpace(params), "q=")
			return strings.Trim(q, "0.") != "" || params == ""
		}
	}
	return false
}
