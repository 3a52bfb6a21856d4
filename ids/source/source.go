// Package source gets rule files from folders and by HTTPS and checks them
// before anything uses them: either all files of all places are whole, read
// and free of errors, or none is returned.
package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/ids"
)

// Defaults of [Source].
const (
	DefaultTimeout  = time.Minute
	DefaultMaxBytes = 64 << 20
	DefaultMaxFiles = 1000
)

// Remote is a rule file, or a .tar.gz of rule files, at a URL.
type Remote struct {
	// URL is of https. Redirects stay on https too.
	URL string
	// SHA256 is what the body must hash to, in hexadecimal; empty: anything.
	SHA256 string
}

// Source is where rules come from. The zero value has none.
type Source struct {
	// Folders whose files *.rules are read, by name, without subfolders.
	Folders []string
	// Remotes are read after the folders, in order.
	Remotes []Remote
	// Dialect of all files.
	Dialect ids.Dialect
	// Lint says what is known beside the rules. Findings of severity
	// [ids.Error] refuse the rules; others are returned with them.
	Lint ids.LintOptions
	// Client for the remotes; nil: one that follows at most 5 redirects.
	// Its own redirect policy is used as it is.
	Client *http.Client
	// Timeout of each remote; 0: DefaultTimeout.
	Timeout time.Duration
	// MaxBytes is the size of all files together, unpacked; 0:
	// DefaultMaxBytes.
	MaxBytes int64
	// MaxFiles is how many files there may be; 0: DefaultMaxFiles.
	MaxFiles int
}

// Rules are rule files that have been checked.
type Rules struct {
	Files []*ids.Ruleset
	// Findings that did not refuse the rules.
	Findings []ids.Finding
}

// Len returns how many rules there are, disabled ones too.
func (r *Rules) Len() int {
	n := 0
	for _, f := range r.Files {
		n += f.Len()
	}
	return n
}

// Errors to match.
var (
	// ErrRefused: the files were got, but rules in them are wrong. The error
	// is a [RefusedError].
	ErrRefused = errors.New("rules refused")
	// ErrTooLarge: a limit of the source was passed.
	ErrTooLarge = errors.New("rules too large")
	// ErrChecksum: a remote is not what was expected.
	ErrChecksum = errors.New("checksum differs")
	// ErrNotFile: something in a folder has the name of a rule file, but is a
	// pipe, a device, a socket or a link to a folder.
	ErrNotFile = errors.New("not a file")
	// ErrInsecure: a URL is not of https.
	ErrInsecure = errors.New("not https")
)

// RefusedError says what is wrong with rules, with each place. It matches
// [ErrRefused].
type RefusedError struct {
	Syntax   ids.SyntaxErrors
	Findings []ids.Finding // of severity error
}

func (e *RefusedError) Error() string {
	first := ""
	if len(e.Syntax) > 0 {
		first = e.Syntax[0].Error()
	} else if len(e.Findings) > 0 {
		first = e.Findings[0].String()
	}
	return fmt.Sprintf("%s: %d faults, the first: %s", ErrRefused, len(e.Syntax)+len(e.Findings), first)
}

// Unwrap returns [ErrRefused].
func (e *RefusedError) Unwrap() error { return ErrRefused }

// file is one rule file as it came.
type file struct {
	name string
	text []byte
}

// Load gets and checks all files. On an error nothing is returned.
func (s Source) Load(ctx context.Context) (*Rules, error) {
	l := loader{Source: s, left: s.MaxBytes, files: s.MaxFiles}
	if l.left <= 0 {
		l.left = DefaultMaxBytes
	}
	if l.files <= 0 {
		l.files = DefaultMaxFiles
	}
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	if l.Client == nil {
		l.Client = &http.Client{CheckRedirect: stayOnHTTPS}
	}
	for _, folder := range s.Folders {
		if err := l.folder(folder); err != nil {
			return nil, fmt.Errorf("rules from %s: %w", folder, err)
		}
	}
	for _, remote := range s.Remotes {
		if err := l.remote(ctx, remote); err != nil {
			return nil, fmt.Errorf("rules from %s: %w", remote.shown(), err)
		}
	}
	return s.check(l.got)
}

// check reads and lints what was got.
func (s Source) check(files []file) (*Rules, error) {
	rules := &Rules{}
	var refused RefusedError
	for _, f := range files {
		set, err := ids.Parse(string(f.text), ids.ParseOptions{Name: f.name, Dialect: s.Dialect})
		var faults ids.SyntaxErrors
		if errors.As(err, &faults) {
			refused.Syntax = append(refused.Syntax, faults...)
		}
		rules.Files = append(rules.Files, set)
	}
	for _, f := range ids.LintAll(rules.Files, s.Lint) {
		if f.Severity == ids.Error {
			refused.Findings = append(refused.Findings, f)
		} else {
			rules.Findings = append(rules.Findings, f)
		}
	}
	if len(refused.Syntax)+len(refused.Findings) > 0 {
		return nil, &refused
	}
	return rules, nil
}

// loader gathers files within the limits.
type loader struct {
	Source
	left  int64 // bytes
	files int
	got   []file
}

// add keeps a file if the limits allow it.
func (l *loader) add(name string, text []byte) error {
	if l.left -= int64(len(text)); l.left < 0 {
		return fmt.Errorf("%w: raise MaxBytes if this is right", ErrTooLarge)
	}
	if l.files--; l.files < 0 {
		return fmt.Errorf("%w: raise MaxFiles if this is right", ErrTooLarge)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return fmt.Errorf("%s: %w: it is no text", name, ids.ErrSyntax)
	}
	l.got = append(l.got, file{name, text})
	return nil
}

// folder reads the rule files of a folder.
func (l *loader) folder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".rules" {
			continue
		}
		name := filepath.Join(path, e.Name())
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %w: it is %s; rules are read from ordinary files, and links to them", name, ErrNotFile, kind(info.Mode()))
		}
		if info.Size() > l.left {
			return fmt.Errorf("%s: %w: raise MaxBytes if this is right", name, ErrTooLarge)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := l.add(name, text); err != nil {
			return err
		}
	}
	return nil
}

// kind names what is no ordinary file.
func kind(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&os.ModeNamedPipe != 0:
		return "a named pipe"
	case m&os.ModeSocket != 0:
		return "a socket"
	case m&os.ModeDevice != 0:
		return "a device"
	}
	return "of another kind"
}
