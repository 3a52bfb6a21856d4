package plugin

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Defaults of [Options].
const (
	defaultDir         = "/proto"
	defaultMemoryBytes = 32 << 20
	defaultTimeout     = time.Second
)

// Options bounds what plug-ins may do. The zero value works.
type Options struct {
	// Dir is the folder that modules are loaded from, and no others: whoever
	// may write the configuration may not name any file of the machine.
	// Empty: /proto.
	Dir string
	// MemoryBytes is how much memory a module may have. 0: 32 MiB.
	MemoryBytes int64
	// Timeout is how long a call of a module may take, by the clock: on a busy
	// machine that is more than the work. 0: 1 s.
	Timeout time.Duration
	// Logger hears of plug-ins that come, go and are stopped. nil: silence.
	Logger *slog.Logger
}

// Status is how a plug-in does.
type Status struct {
	Protocol string
	Path     string // empty: it is part of the binary
	Loaded   time.Time
	Calls    uint64 // calls since then
	Memory   int64  // bytes that a module has
	Err      error  // why it is stopped, an [*Error]; nil: it runs
}

// Host runs the plug-ins of a Clovisor, one a protocol. Its methods may be
// called concurrently; the calls of one plug-in come one after another.
type Host struct {
	o Options

	applied map[string]Spec // by Apply

	mu    sync.Mutex
	slots map[string]*slot
}

// slot is the place of one protocol's plug-in.
type slot struct {
	mu       sync.Mutex
	protocol string
	path     string
	run      runner // nil: there is none, or it is stopped
	loaded   time.Time
	calls    uint64
	err      error

	code *code // of run, or of what ran last
}

// NewHost returns a Host without plug-ins.
func NewHost(o Options) *Host {
	o.Dir = cmp.Or(o.Dir, defaultDir)
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Host{o: o, slots: map[string]*slot{}}
}

// Register makes a parser that is part of the binary the plug-in of a
// protocol, in the place of the one before. It is not limited in memory and
// time, but stopped if it panics.
func (h *Host) Register(protocol string, p Parser) {
	h.slot(protocol).put("", native{p}, nil)
}

// Load makes the module in a file the plug-in of a protocol, in the place of
// the one before, which goes on until this one is ready and if it cannot be
// loaded. path is that of a file in the folder of Options. The error is an
// [*Error]: it matches [ErrNative], [ErrModule], or the system's errors.
func (h *Host) Load(protocol, path string) error {
	s := h.slot(protocol)
	if err := h.load(s, path); err != nil {
		return &Error{Op: "load", Protocol: protocol, Path: path, Err: err}
	}
	h.o.Logger.Info("plugin: it is loaded", "protocol", protocol, "path", path)
	return nil
}

func (h *Host) load(s *slot, path string) error {
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
	m, err := newModule(file, c.cache, h.o.MemoryBytes, h.o.Timeout)
	if err != nil {
		return err
	}
	s.put(path, m, c)
	return nil
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

// Remove takes the plug-in of a protocol away.
func (h *Host) Remove(protocol string) {
	// The slot stays: connections may ask it, and another plug-in may come.
	if s := h.known(protocol); s != nil {
		s.put("", nil, nil)
	}
}

// Close takes all plug-ins away.
func (h *Host) Close() {
	for _, s := range h.Status() {
		h.Remove(s.Protocol)
	}
}

// Status lists the plug-ins by protocol.
func (h *Host) Status() []Status {
	h.mu.Lock()
	list := make([]*slot, 0, len(h.slots))
	for _, s := range h.slots {
		list = append(list, s)
	}
	h.mu.Unlock()
	out := make([]Status, 0, len(list))
	for _, s := range list {
		if st, there := s.status(); there {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Protocol, b.Protocol) })
	return out
}

// known returns the slot of a plug-in that is there, also a stopped one.
func (h *Host) known(protocol string) *slot {
	h.mu.Lock()
	s := h.slots[protocol]
	h.mu.Unlock()
	if s == nil {
		return nil
	}
	if _, there := s.status(); !there {
		return nil
	}
	return s
}

func (h *Host) slot(protocol string) *slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.slots[protocol]
	if s == nil {
		s = &slot{protocol: protocol}
		h.slots[protocol] = s
	}
	return s
}

// status reports how a plug-in does, also a stopped one.
func (s *slot) status() (st Status, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st = Status{Protocol: s.protocol, Path: s.path, Loaded: s.loaded, Calls: s.calls, Err: s.err}
	if s.run != nil {
		st.Memory = s.run.memory()
	}
	return st, s.run != nil || s.err != nil
}

// put puts a plug-in into the slot, or none.
func (s *slot) put(path string, r runner, c *code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		s.run.close()
	}
	s.run, s.path, s.loaded, s.calls, s.err, s.code = r, path, time.Now(), 0, nil, c
}

// parse calls the plug-in, and stops it if that fails.
func (h *Host) parse(s *slot, key string, isReq bool, data []byte) (result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return result{}, s.missing()
	}
	s.calls++
	r, err := s.run.parse(key, isReq, data)
	if err == nil {
		err = r.check(data)
	}
	if err != nil {
		return result{}, h.stop(s, err)
	}
	return r, nil
}

// end tells the plug-in that a connection has ended.
func (h *Host) end(s *slot, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return
	}
	if err := s.run.end(key); err != nil {
		_ = h.stop(s, err)
	}
}

// missing is why a slot has no plug-in that runs.
func (s *slot) missing() error {
	if s.err != nil {
		return s.err
	}
	return &Error{Op: "run", Protocol: s.protocol, Err: ErrUnknown}
}

// stop ends a plug-in that does not work.
func (h *Host) stop(s *slot, cause error) error {
	s.run.close()
	s.run = nil
	s.err = &Error{Op: "run", Protocol: s.protocol, Path: s.path, Err: errors.Join(ErrStopped, cause)}
	h.o.Logger.Error("plugin: it is stopped, load it again when it is mended", "protocol", s.protocol, "path", s.path, "error", cause)
	return s.err
}
