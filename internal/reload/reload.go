// Package reload keeps a value up to date with the files that it is read
// from, such as certificates and token files that are renewed under a running
// program.
package reload

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Every is how long a value may be older than its files.
const Every = time.Second

// maxFileBytes bounds a file.
const maxFileBytes = 4 << 20

// Value is what some files hold. Its methods may be called concurrently.
type Value[T any] struct {
	paths   []string
	parse   func(contents [][]byte) (T, error)
	onError func(error)

	mu       sync.Mutex
	value    T
	contents [][]byte // that value, or the last error, was made of
	checked  time.Time
	unread   bool // the last look could not read the files
}

// New reads the files and parses their contents, given in the order of
// paths. Later faults go to onError, once each, and leave the value as it is.
func New[T any](parse func(contents [][]byte) (T, error), onError func(error), paths ...string) (*Value[T], error) {
	v := &Value[T]{paths: paths, parse: parse, onError: onError, checked: time.Now()}
	var err error
	if v.contents, err = v.read(); err != nil {
		return nil, err
	}
	if v.value, err = parse(v.contents); err != nil {
		return nil, err
	}
	return v, nil
}

// Get returns the value. It looks at the files if that was not done within
// the last second.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := time.Now(); now.Sub(v.checked) >= Every {
		v.checked = now
		if err := v.refresh(); err != nil {
			v.onError(fmt.Errorf("%w; what was read before stays in force", err))
		}
	}
	return v.value
}

// refresh returns an error only when it is news.
func (v *Value[T]) refresh() error {
	contents, err := v.read()
	if err != nil {
		news := !v.unread
		v.unread = true
		if news {
			return err
		}
		return nil
	}
	v.unread = false
	if equal(contents, v.contents) {
		return nil
	}
	v.contents = contents
	value, err := v.parse(contents)
	if err != nil {
		return err
	}
	v.value = value
	return nil
}

func (v *Value[T]) read() ([][]byte, error) {
	contents := make([][]byte, len(v.paths))
	for i, path := range v.paths {
		var err error
		if contents[i], err = readFile(path); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	return b, err
}

func equal(a, b [][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
