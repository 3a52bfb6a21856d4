// Package site is the sample's clover-server: a small site with content that
// needs no files, and with files and uploads where it has a folder.
package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Options of a Server. The zero value works.
type Options struct {
	// Root is the folder of the site. "": there are no files and no uploads.
	Root string
	// Port is the one that the server listens on, to refuse configuration
	// that is meant for another. "": any.
	Port string
	// Logger hears of changes and failures. nil: silence.
	Logger *slog.Logger
}

// Server is an http.Handler and a [control.Server]. Its own content answers
// as the path says: /slow is slow, /broken fails, /missing is not there,
// /status/NNN has that status, everything else has content.
type Server struct {
	opts    Options
	root    *os.Root // nil: no folder
	uploads uploads

	mu     sync.RWMutex
	config config
}

// config is what can be changed while the server runs.
type config struct {
	index      string
	uploadPath string
	uploadTest string
	locations  []control.Location
}

var _ control.Server = (*Server)(nil)

// New returns a Server. Close gives its folder back.
func New(opts Options) (*Server, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, config: config{index: "index.html", uploadPath: "/upload", uploadTest: "/upload_test"}}
	if opts.Root == "" {
		return s, nil
	}
	var err error
	if s.root, err = os.OpenRoot(opts.Root); err != nil {
		return nil, fmt.Errorf("site: the root must be an existing folder: %w", err)
	}
	return s, s.uploads.open(s.root)
}

// Close closes the site's folder.
func (s *Server) Close() error {
	if s.root == nil {
		return nil
	}
	return s.root.Close()
}

// Configure implements control.Server.
func (s *Server) Configure(_ context.Context, c control.SiteConfig) (int, error) {
	if c.Port != "" && s.opts.Port != "" && c.Port != s.opts.Port {
		return 0, fmt.Errorf("%w: server_port: this server listens on %s, not %s", control.ErrInvalid, s.opts.Port, c.Port)
	}
	if c.Root != "" && s.root != nil && strings.TrimSuffix(c.Root, "/") != strings.TrimSuffix(s.opts.Root, "/") {
		return 0, fmt.Errorf("%w: site_root: this server's site is in %s, not in %s", control.ErrInvalid, s.opts.Root, c.Root)
	}
	if s.root == nil && len(c.Files) > 0 {
		return 0, errors.New("files: this server has no folder; start it with --site-root")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range c.Files {
		if err := s.copyFile(s.relative(f.Source), s.relative(f.Destination)); err != nil {
			return i, fmt.Errorf("files[%d]: %w", i, err)
		}
	}
	set := func(v *string, to string) {
		if to != "" {
			*v = to
		}
	}
	set(&s.config.index, c.Index)
	set(&s.config.uploadPath, c.UploadPath)
	set(&s.config.uploadTest, c.UploadTest)
	if len(c.Locations) > 0 {
		s.config.locations = c.Locations
	}
	s.opts.Logger.Info("site: new configuration", "locations", len(s.config.locations), "files", len(c.Files))
	return len(c.Files), nil
}

// relative takes the site's root off a name that begins with it.
func (s *Server) relative(name string) string {
	name = strings.TrimPrefix(name, "/")
	return strings.TrimPrefix(name, strings.Trim(s.opts.Root, "/")+"/")
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	c := s.config
	s.mu.RUnlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == c.uploadPath:
		s.upload(w, r)
	case r.URL.Path == c.uploadTest:
		uploadForm(w, c.uploadPath)
	default:
		if !s.serveFile(w, r, c) {
			content(w, r)
		}
	}
}

// content answers without files.
func content(w http.ResponseWriter, r *http.Request) {
	path, id := r.URL.Path, r.Header.Get("X-Request-Id")
	switch {
	case strings.HasPrefix(path, "/slow"):
		pause(r.Context(), 40*time.Millisecond+jitter(path+id, 60*time.Millisecond))
	case strings.HasPrefix(path, "/broken"):
		answer(w, http.StatusServiceUnavailable)
		return
	case strings.HasPrefix(path, "/missing"):
		answer(w, http.StatusNotFound)
		return
	case strings.HasPrefix(path, "/status/"):
		code, err := strconv.Atoi(strings.TrimPrefix(path, "/status/"))
		if err != nil || code < 200 || code > 599 {
			code = http.StatusBadRequest
		}
		answer(w, code)
		return
	default:
		pause(r.Context(), jitter(id, 5*time.Millisecond))
	}
	if r.Method == http.MethodPost {
		answer(w, http.StatusCreated)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	// A client that went away is no news.
	_, _ = w.Write(bytes.Repeat([]byte("clover\n"), 16+min(len(path), 100)*8))
}

func answer(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		_, _ = fmt.Fprintf(w, "%d %s\n", status, http.StatusText(status))
	}
}

// jitter spreads durations over [0, limit) by the hash of a name.
func jitter(name string, limit time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return time.Duration(h.Sum64() % uint64(limit))
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
