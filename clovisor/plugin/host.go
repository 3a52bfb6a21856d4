package plugin

import (
	"cmp"
	"context"
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
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Defaults of [Options].
const (
	defaultDir         = "/proto"
	defaultMemoryBytes = 32 << 20
	defaultTimeout     = time.Second
	defaultCompile     = 2 * time.Minute
	defaultShare       = 0.5
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
	// CompileTimeout is how long a file may take to become a module that runs.
	// 0: 2 minutes. One that takes longer is refused; its compiler cannot be
	// ended, so until it has ended by itself no other module is loaded.
	CompileTimeout time.Duration
	// Share is the part of the time that the calls of all modules may take
	// together, in equal parts: whoever reads the packets waits for them. A
	// module that takes more rests until it has had no more than its part; what
	// comes meanwhile is not parsed. 0: 0.5; 1 or more: no module rests.
	Share float64
	// Logger hears of plug-ins that come, go and are stopped. nil: silence.
	Logger *slog.Logger
}

// Status is how a plug-in does.
type Status struct {
	Protocol string
	Path     string // empty: it is part of the binary
	Loaded   time.Time
	Calls    uint64 // calls since then
	Passed   uint64 // calls that were not made, for the module had to rest
	Memory   int64  // bytes that a module has
	Err      error  // why it is stopped, an [*Error]; nil: it runs
}

// Host runs the plug-ins of a Clovisor, one a protocol. Its methods may be
// called concurrently; the calls of one plug-in come one after another.
type Host struct {
	o Options

	applied   map[string]Spec // by Apply
	compiling chan struct{}   // has room while nothing is compiled
	modules   atomic.Int32    // that run
	now       func() time.Time
	start     func([]byte, wazero.CompilationCache, Limits) (*module, error)

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
	passed   uint64
	budget   budget
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
	if o.CompileTimeout <= 0 {
		o.CompileTimeout = defaultCompile
	}
	if o.Share <= 0 {
		o.Share = defaultShare
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Host{o: o, slots: map[string]*slot{}, compiling: make(chan struct{}, 1), now: time.Now, start: newModule}
}

// Register makes a parser that is part of the binary the plug-in of a
// protocol, in the place of the one before. It is not limited in memory and
// time, but stopped if it panics.
func (h *Host) Register(protocol string, p Parser) {
	h.replace(h.slot(protocol), "", native{p}, nil)
}

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

// Remove takes the plug-in of a protocol away.
func (h *Host) Remove(protocol string) {
	// The slot stays: connections may ask it, and another plug-in may come.
	if s := h.known(protocol); s != nil {
		h.replace(s, "", nil, nil)
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
	st = Status{Protocol: s.protocol, Path: s.path, Loaded: s.loaded, Calls: s.calls, Passed: s.passed, Err: s.err}
	if s.run != nil {
		st.Memory = s.run.memory()
	}
	return st, s.run != nil || s.err != nil
}

// replace puts a plug-in into a slot, or none.
func (h *Host) replace(s *slot, path string, r runner, c *code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.count(s.run, -1)
	if s.run != nil {
		s.run.close()
	}
	s.run, s.path, s.loaded, s.err, s.code = r, path, h.now(), nil, c
	s.calls, s.passed, s.budget = 0, 0, budget{}
	h.count(r, 1)
}

// count counts modules; what is part of the binary has no share.
func (h *Host) count(r runner, n int32) {
	if _, ok := r.(*module); ok {
		h.modules.Add(n)
	}
}

// parse calls the plug-in, and stops it if that fails.
func (h *Host) parse(s *slot, key string, isReq bool, data []byte) (result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return result{}, s.missing()
	}
	if !h.mayRun(s) {
		s.passed++
		return result{}, errResting
	}
	s.calls++
	r, err := s.run.parse(key, isReq, data)
	s.budget.spend(h.now)
	if err == nil {
		err = r.check(data)
	}
	if err != nil {
		return result{}, h.stop(s, err)
	}
	return r, nil
}

// end tells the plug-in that a connection has ended, if it may run: a module
// that has to rest would have nothing but ends to see to.
func (h *Host) end(s *slot, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil || !h.mayRun(s) {
		return
	}
	err := s.run.end(key)
	s.budget.spend(h.now)
	if err != nil {
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
	h.count(s.run, -1)
	s.run.close()
	s.run = nil
	s.err = &Error{Op: "run", Protocol: s.protocol, Path: s.path, Err: errors.Join(ErrStopped, cause)}
	h.o.Logger.Error("plugin: it is stopped, load it again when it is mended", "protocol", s.protocol, "path", s.path, "error", cause)
	return s.err
}
