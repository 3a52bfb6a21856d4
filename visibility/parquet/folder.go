package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Folder is where files are: a local one, see [Dir], or one in an object
// store, see package parquet/s3. The names of its files have slashes and no
// folder of their own. Methods may be called concurrently.
type Folder interface {
	// Read returns a small file as a whole. The error matches
	// fs.ErrNotExist if there is none; so do those of Open.
	Read(ctx context.Context, name string) ([]byte, error)
	// Open opens a file that is then read as it was, also if it is replaced.
	Open(ctx context.Context, name string) (Reader, error)
	// Replace puts what write writes in the place of a file: readers find
	// the old one or the new one, also after a crash. If write fails,
	// nothing changes. Where a folder can tell that somebody else has
	// replaced the file since this one has read or replaced it, it refuses,
	// with an error that matches visibility.ErrLocked.
	Replace(ctx context.Context, name string, write func(io.Writer) error) error
	// Remove removes a file, if it is there.
	Remove(ctx context.Context, name string) error
	// List returns the files, by name.
	List(ctx context.Context) ([]Entry, error)
	// String is the folder's name.
	String() string
}

// Reader is an open file.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes
}

// Entry is a file of a folder.
type Entry struct {
	Name string
	// Stamp changes when the file is replaced.
	Stamp string
}

// Dir returns the local folder of that name, which need not exist yet.
func Dir(name string) Folder { return localFolder(name) }

type localFolder string

func (d localFolder) String() string { return string(d) }

func (d localFolder) path(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(name))
}

// Read implements [Folder].
func (d localFolder) Read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(d.path(name))
}

// localFile is an open local file.
type localFile struct {
	*os.File
	size int64
}

// Size implements [Reader].
func (f localFile) Size() int64 { return f.size }

// Open implements [Folder].
func (d localFolder) Open(_ context.Context, name string) (Reader, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return localFile{f, info.Size()}, nil
}

// Replace implements [Folder]: it writes beside the place and renames what is
// whole and on disk. What a kill leaves is written over the next time, so it
// does not pile up.
func (d localFolder) Replace(_ context.Context, name string, write func(io.Writer) error) error {
	place := d.path(name)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(place), "."+filepath.Base(place)+".tmp")
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644) //nolint:gosec // engines of other users read it
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(part, place)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// Remove implements [Folder]. A folder below that is empty then goes too.
func (d localFolder) Remove(_ context.Context, name string) error {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if below := path.Dir(name); below != "." {
		_ = os.Remove(d.path(below)) // fails if there is more in it
	}
	return nil
}

// List implements [Folder].
func (d localFolder) List(ctx context.Context) ([]Entry, error) {
	var list []Entry
	err := fs.WalkDir(os.DirFS(string(d)), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case name != "." && errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
			return nil
		case err != nil:
			return err
		case e.IsDir():
			return ctx.Err()
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		list = append(list, Entry{Name: name, Stamp: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())})
		return nil
	})
	return list, err
}
