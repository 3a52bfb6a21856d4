package site

import (
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Bounds of what people may leave in the site's folder.
const (
	maxUploadBytes = 10 << 20
	maxUploads     = 100
	uploadFolder   = "upload"
)

// serveFile answers with a file or a location's rule, or reports that there
// is none and the server's own content answers.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, c config) bool {
	for _, l := range c.locations {
		if !below(r.URL.Path, l.Match) {
			continue
		}
		if s.tryFiles(w, r, c, l) {
			return true
		}
		if l.Try.Status != 0 {
			answer(w, l.Try.Status)
			return true
		}
		return false
	}
	return s.file(w, r, r.URL.Path, c.index)
}

func (s *Server) tryFiles(w http.ResponseWriter, r *http.Request, c config, l control.Location) bool {
	if l.Try.URI && s.file(w, r, l.Path+strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(l.Match, "/")), c.index) {
		return true
	}
	for _, p := range l.Try.Paths {
		if s.file(w, r, p, c.index) {
			return true
		}
	}
	return false
}

// below reports whether a path is prefix or lies below it.
func below(p, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

// file answers with a file of the site, or reports that it is not there.
func (s *Server) file(w http.ResponseWriter, r *http.Request, name, index string) bool {
	if s.root == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" || strings.HasSuffix(r.URL.Path, "/") {
		name = path.Join(name, index)
	}
	f, err := s.root.Open(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.opts.Logger.Debug("site: file", "error", err)
		}
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	// What people have uploaded must not run in a browser as a page of ours.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
	return true
}

// copyFile copies a file within the site, as a whole or not at all.
func (s *Server) copyFile(from, to string) (err error) {
	src, err := s.root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := s.root.MkdirAll(path.Dir(to), 0o750); err != nil {
		return err
	}
	part := to + ".part"
	if err := s.write(part, src); err != nil {
		return errors.Join(err, s.root.Remove(part))
	}
	return s.root.Rename(part, to)
}

func (s *Server) write(name string, from io.Reader) error {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// uploads numbers the files that were uploaded.
type uploads struct {
	mu   sync.Mutex
	last int
}

// open finds the last number used before.
func (u *uploads) open(root *os.Root) error {
	if err := root.MkdirAll(uploadFolder, 0o750); err != nil {
		return fmt.Errorf("site: %w", err)
	}
	entries, err := fs.ReadDir(root.FS(), uploadFolder)
	if err != nil {
		return fmt.Errorf("site: %w", err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			u.last = max(u.last, n)
		}
	}
	return nil
}

// next returns a new name, or false when there are too many.
func (u *uploads) next() (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last >= maxUploads {
		return "", false
	}
	u.last++
	return fmt.Sprintf("%s/%010d", uploadFolder, u.last), true
}

// upload keeps the body of a request. Without a folder it is read and
// forgotten.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	body := http.MaxBytesReader(w, r.Body, maxUploadBytes)
	if s.root == nil {
		if _, err := io.Copy(io.Discard, body); err != nil {
			answer(w, http.StatusRequestEntityTooLarge)
			return
		}
		answer(w, http.StatusCreated)
		return
	}
	name, ok := s.uploads.next()
	if !ok {
		answer(w, http.StatusInsufficientStorage)
		return
	}
	if err := s.write(name, uploaded(r, body)); err != nil {
		s.opts.Logger.Warn("site: upload", "error", errors.Join(err, s.root.Remove(name)))
		status := http.StatusInternalServerError
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		answer(w, status)
		return
	}
	w.Header().Set("Location", "/"+name)
	answer(w, http.StatusCreated)
}

// uploaded is the first part of a form, or else the body as it is.
func uploaded(r *http.Request, body io.ReadCloser) io.Reader {
	r.Body = body
	form, err := r.MultipartReader()
	if err != nil {
		return body
	}
	part, err := form.NextPart()
	if err != nil {
		return failing{err}
	}
	return part
}

// failing is a reader that only fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// uploadForm is a page to upload a file by hand.
func uploadForm(w http.ResponseWriter, uploadPath string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<!doctype html><title>Upload</title><form method=post enctype=multipart/form-data action=\"%s\">"+
		"<input type=file name=file><input type=submit value=Upload></form>\n", html.EscapeString(uploadPath))
}
