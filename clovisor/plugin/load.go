package plugin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
)

// Load makes the module in a file the plug-in of a protocol, in the place of
// the one before, which goes on until this one is ready and if it cannot be
// loaded. path is that of a file in the folder of Options. The error is an
// [*Error]: it matches [ErrNative], [ErrModule], or the system's errors.
func (h *Host) Load(protocol, path string) error {
	return h.load(Spec{Protocol: protocol, Path: path})
}

func (h *Host) load(s Spec) error {
	if s.Limits.MemoryBytes <= 0 {
		s.Limits.MemoryBytes = h.o.MemoryBytes
	}
	if s.Limits.Timeout <= 0 {
		s.Limits.Timeout = h.o.Timeout
	}
	if err := h.loadFile(h.slot(s.Protocol), s.Path, s.Limits); err != nil {
		return &Error{Op: "load", Protocol: s.Protocol, Path: s.Path, Err: err}
	}
	h.o.Logger.Info("plugin: it is loaded", "protocol", s.Protocol, "path", s.Path)
	return nil
}

// loadFile puts the module in a file into a slot.
func (h *Host) loadFile(s *slot, path string, l Limits) error {
	name := path
	if filepath.IsAbs(path) {
		var err error
		if name, err = filepath.Rel(h.o.Dir, path); err != nil {
			return fmt.Errorf("only files in %s are loaded", h.o.Dir)
		}
	}
	if !filepath.IsLocal(name) {
		return fmt.Errorf("only files in %s are loaded", h.o.Dir)
	}
	file, err := readModule(h.o.Dir, name)
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".so") || strings.HasPrefix(string(file), "\x7fELF") {
		return ErrNative
	}
	s.mu.Lock()
	c := s.code
	s.mu.Unlock()
	if sum := sha256.Sum256(file); c == nil || c.sum != sum {
		c = &code{sum: sum, cache: wazero.NewCompilationCache()}
	}
	m, err := h.compile(file, c.cache, l)
	if err != nil {
		return err
	}
	h.replace(s, path, m, c)
	return nil
}

// compile makes a module that runs, within a bounded time. The compiler knows
// no way to end it: it is left alone then, and what it makes is closed.
func (h *Host) compile(file []byte, cache wazero.CompilationCache, l Limits) (*module, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.o.CompileTimeout)
	defer cancel()
	select {
	case h.compiling <- struct{}{}:
	default:
		select {
		case h.compiling <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: another module is still being compiled after %s; load this one again later", ErrTooSlow, h.o.CompileTimeout)
		}
	}
	type result struct {
		*module
		error
	}
	done := make(chan result)
	go func() {
		defer func() { <-h.compiling }()
		m, err := h.start(file, cache, l)
		select {
		case done <- result{m, err}:
		case <-ctx.Done():
			if err == nil {
				m.close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.module, r.error
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: compiling it takes longer than %s; make the module smaller", ErrTooSlow, h.o.CompileTimeout)
	}
}

// code is the machine code of a file, kept so that loading it again takes no
// time. It must be there for as long as a module runs that is made of it;
// then it is left to the collector.
type code struct {
	sum   [sha256.Size]byte // of the file
	cache wazero.CompilationCache
}

// readModule reads a file that is in dir also if there are links on the way.
func readModule(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, maxModuleBytes+1))
	if err == nil && len(file) > maxModuleBytes {
		err = fmt.Errorf("larger than %d bytes", maxModuleBytes)
	}
	return file, err
}
