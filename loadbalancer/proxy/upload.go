package proxy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strconv"
)

// uploadFolder of a site is where uploads are kept, maxUploads how many.
const (
	uploadFolder = "upload"
	maxUploads   = 1000
)

// uploads keeps what is uploaded, each under the next number that is free;
// after the last one the first is next.
type uploads struct {
	root *os.Root
	// last holds the last number that was used; whoever has it may create.
	last chan int
}

func openUploads(root *os.Root) (*uploads, error) {
	if err := root.MkdirAll(uploadFolder, 0o755); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(root.FS(), uploadFolder)
	if err != nil {
		return nil, err
	}
	last := 0
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			last = max(last, n)
		}
	}
	u := &uploads{root: root, last: make(chan int, 1)}
	u.last <- last
	return u, nil
}

// create makes the next file. A number that is there, also because another
// configuration's uploads have used it meanwhile, is passed over.
func (u *uploads) create() (*os.File, string, error) {
	n := <-u.last
	defer func() { u.last <- n }()
	for range maxUploads {
		n = n%maxUploads + 1
		name := fmt.Sprintf("%s/%010d", uploadFolder, n)
		f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, name, err
		}
	}
	return nil, "", errTooManyUploads
}

var errTooManyUploads = fmt.Errorf("there are %d uploads; remove some", maxUploads)

// take keeps the body of a request, or the first part of a form.
func (u *uploads) take(w http.ResponseWriter, r *http.Request, limit int64, logger *slog.Logger) {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	f, name, err := u.create()
	if err == nil {
		err = errors.Join(write(f, r), f.Close())
		if err != nil {
			err = errors.Join(err, u.root.Remove(name))
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		w.Header().Set("Location", "/"+name)
		answer(w, http.StatusCreated)
		return
	case errors.As(err, &large):
		answer(w, http.StatusRequestEntityTooLarge)
	case errors.Is(err, errTooManyUploads):
		answer(w, http.StatusInsufficientStorage)
	default:
		answer(w, http.StatusInternalServerError)
	}
	logger.Warn("proxy: upload", "error", err)
}

func write(f *os.File, r *http.Request) error {
	var from io.Reader = r.Body
	if form, err := r.MultipartReader(); err == nil {
		if from, err = form.NextPart(); err != nil {
			return err
		}
	}
	_, err := io.Copy(f, from)
	return err
}
