// Package site is the content of the sample's clover-servers that needs no
// files.
package site

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Content answers as the path says: /slow is slow, /broken fails, /missing is
// not there, /status/NNN has that status, everything else has content. Bodies
// are read and forgotten.
type Content struct{}

// maxBody bounds a body.
const maxBody = 10 << 20

// ServeHTTP answers a request.
func (Content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, id := r.URL.Path, r.Header.Get("X-Request-Id")
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		answer(w, http.StatusRequestEntityTooLarge)
		return
	}
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
