package proxy

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// site serves a folder. The folder is closed when nothing uses it any more,
// by the garbage collector.
type site struct {
	conf    loadbalancer.Site
	root    *os.Root
	uploads *uploads // nil: off
	// fallback answers for files that are not there.
	fallback http.Handler
	logger   *slog.Logger
}

func openSites(confs []loadbalancer.Site, o Options) (map[string]*site, error) {
	sites := map[string]*site{}
	for _, c := range confs {
		root, err := os.OpenRoot(c.Root)
		if err != nil {
			return nil, fmt.Errorf("site %s: the root must be an existing folder: %w", c.Name, err)
		}
		// The longest location comes first. The configuration stays as it is.
		c.Locations = slices.Clone(c.Locations)
		slices.SortStableFunc(c.Locations, func(a, b loadbalancer.Location) int { return len(b.Match) - len(a.Match) })
		s := &site{conf: c, root: root, fallback: o.Fallback, logger: o.Logger}
		if c.UploadPath != "" {
			if s.uploads, err = openUploads(root); err != nil {
				return nil, fmt.Errorf("site %s: %w", c.Name, err)
			}
		}
		sites[c.Name] = s
	}
	return sites, nil
}

// ServeHTTP answers a request.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := cleanPath(r.URL.Path)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case s.uploads != nil && p == s.conf.UploadPath && r.Method == http.MethodPost:
		s.uploads.take(w, r, s.conf.MaxUploadBytes, s.logger)
	case !read:
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed)
	case s.conf.UploadForm != "" && p == s.conf.UploadForm:
		uploadForm(w, s.conf.UploadPath)
	default:
		s.files(w, r, p)
	}
}

// files answers with a file or by the rule of a location.
func (s *site) files(w http.ResponseWriter, r *http.Request, p string) {
	i := slices.IndexFunc(s.conf.Locations, func(l loadbalancer.Location) bool { return below(p, l.Match) })
	if i < 0 {
		if !s.file(w, r, p) && !s.index(w, r, p) {
			s.fallback.ServeHTTP(w, r)
		}
		return
	}
	l := s.conf.Locations[i]
	name := strings.TrimSuffix(l.Folder, "/") + strings.TrimPrefix(p, strings.TrimSuffix(l.Match, "/"))
	for _, try := range l.Try.Files {
		switch try {
		case "$uri":
			if s.file(w, r, name) {
				return
			}
		case "$uri/":
			if s.index(w, r, name) {
				return
			}
		default:
			if s.file(w, r, try) {
				return
			}
		}
	}
	if l.Try.Named != "" && s.index(w, r, "/") {
		return
	}
	if l.Try.Status != 0 {
		answer(w, l.Try.Status)
		return
	}
	s.fallback.ServeHTTP(w, r)
}

// below reports whether a path is prefix or lies below it.
func below(p, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

func (s *site) index(w http.ResponseWriter, r *http.Request, folder string) bool {
	return s.file(w, r, path.Join(folder, s.conf.Index))
}

// file answers with a file of the site, or reports that there is none.
func (s *site) file(w http.ResponseWriter, r *http.Request, name string) bool {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return false
	}
	f, err := s.root.Open(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.logger.Debug("proxy: site", "error", err)
		}
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(name, uploadFolder+"/") {
		// What people have uploaded must not run in a browser as a page of ours.
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
	return true
}

func answer(w http.ResponseWriter, status int) {
	http.Error(w, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
}

// uploadForm is a page to upload a file by hand.
func uploadForm(w http.ResponseWriter, uploadPath string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<!doctype html><title>Upload</title><form method=post enctype=multipart/form-data action=\"%s\">"+
		"<input type=file name=file><input type=submit value=Upload></form>\n", html.EscapeString(uploadPath))
}
