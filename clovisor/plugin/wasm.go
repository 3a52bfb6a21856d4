package plugin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

const (
	pageBytes = 64 << 10
	// startTimeout bounds how long a module may take to set itself up.
	startTimeout = 30 * time.Second
	abiVersion   = 1
)

// module is a WebAssembly module that runs.
type module struct {
	runtime wazero.Runtime
	mod     api.Module
	stderr  *said
	timeout time.Duration

	buffer, parser, ender api.Function
	stack                 [3]uint64
	room, address         uint32 // of the module's buffer
	args                  []byte
}

// newModule starts a module that is in file. The cache outlives it.
func newModule(file []byte, cache wazero.CompilationCache, l Limits) (*module, error) {
	ctx := context.Background()
	m := &module{stderr: &said{}, timeout: l.Timeout}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(cache).
		WithCloseOnContextDone(true). // makes loops look whether the module is closed
		WithMemoryLimitPages(uint32(max(l.MemoryBytes/pageBytes, 1))))
	if err := m.start(ctx, file); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *module) start(ctx context.Context, file []byte) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, m.runtime); err != nil {
		return fmt.Errorf("WASI: %w", err)
	}
	compiled, err := m.runtime.CompileModule(ctx, file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrModule, err)
	}
	if err := checkExports(compiled); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// Without a sleep of its own a module that waits is a loop, which ends
	// when its time is over.
	m.mod, err = m.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions("_initialize").
		WithStderr(m.stderr).WithStdout(m.stderr).WithSysWalltime().WithSysNanotime().WithRandSource(rand.Reader))
	if err != nil {
		return fmt.Errorf("it does not start: %w", m.explain(err, startTimeout))
	}
	m.buffer, m.parser = m.mod.ExportedFunction("clovisor_buffer"), m.mod.ExportedFunction("clovisor_parse")
	m.ender = m.mod.ExportedFunction("clovisor_end")
	if err := m.call(m.mod.ExportedFunction("clovisor_abi")); err != nil {
		return err
	}
	if v := uint32(m.stack[0]); v != abiVersion {
		return fmt.Errorf("%w: it has version %d of the interface, this Clovisor has %d", ErrModule, v, abiVersion)
	}
	return nil
}

// checkExports looks for the functions of the interface.
func checkExports(c wazero.CompiledModule) error {
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	for _, want := range []struct {
		name            string
		params, results []api.ValueType
		optional        bool
	}{
		{"clovisor_abi", nil, []api.ValueType{i32}, false},
		{"clovisor_buffer", []api.ValueType{i32}, []api.ValueType{i32}, false},
		{"clovisor_parse", []api.ValueType{i32, i32, i32}, []api.ValueType{i64}, false},
		{"clovisor_end", []api.ValueType{i32}, nil, true},
	} {
		f, ok := c.ExportedFunctions()[want.name]
		switch {
		case !ok && want.optional:
		case !ok:
			return fmt.Errorf("%w: it has no function %s; was it built with package clovisor/plugin/guest?", ErrModule, want.name)
		case !bytes.Equal(f.ParamTypes(), want.params) || !bytes.Equal(f.ResultTypes(), want.results):
			return fmt.Errorf("%w: its function %s has other parameters or results", ErrModule, want.name)
		}
	}
	if len(c.ExportedMemories()) != 1 {
		return fmt.Errorf("%w: it exports no memory", ErrModule)
	}
	return nil
}

// call calls a function with what is in m.stack, where its result is then. It
// ends the module if it takes too long. That is left to the context: closing
// the module from here would take away what a call it makes just then uses.
func (m *module) call(f api.Function) error {
	m.stderr.buf = m.stderr.buf[:0]
	ctx, cancel := context.WithTimeout(context.Background(), m.timeout)
	defer cancel()
	if err := f.CallWithStack(ctx, m.stack[:]); err != nil {
		return m.explain(err, m.timeout)
	}
	return nil
}

// explain says in words what ended a module, which had the time limit, with
// the last it said itself.
func (m *module) explain(err error, limit time.Duration) error {
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeDeadlineExceeded:
		err = fmt.Errorf("a call took longer than %s", limit)
	case errors.As(err, &exit):
		err = fmt.Errorf("it ended itself with code %d", exit.ExitCode())
	default:
		text, _, _ := strings.Cut(err.Error(), "\n") // without a stack
		err = errors.New(text)
	}
	if words := m.stderr.String(); words != "" {
		err = fmt.Errorf("%w; it said: %s", err, words)
	}
	return err
}

// write puts the arguments of a call into the module's buffer.
func (m *module) write(key string, data []byte) error {
	n := uint32(len(key) + len(data))
	if n > m.room {
		room := uint32(1) << bits.Len32(max(n, firstView)-1) // it grows a few times only
		m.stack[0] = uint64(room)
		if err := m.call(m.buffer); err != nil {
			return err
		}
		m.room, m.address = room, uint32(m.stack[0])
	}
	m.args = append(append(m.args[:0], key...), data...)
	if !m.mod.Memory().Write(m.address, m.args) {
		return fmt.Errorf("its buffer of %d bytes is not in its memory", n)
	}
	return nil
}

func (m *module) parse(key string, isReq bool, data []byte) (result, error) {
	if err := m.write(key, data); err != nil {
		return result{}, err
	}
	m.stack = [3]uint64{uint64(len(key)), uint64(len(data)), 0}
	if isReq {
		m.stack[2] = 1
	}
	if err := m.call(m.parser); err != nil {
		return result{}, err
	}
	address, size := uint32(m.stack[0]>>32), uint32(m.stack[0])
	if size > maxResultBytes {
		return result{}, fmt.Errorf("a result of %d bytes; at most %d", size, maxResultBytes)
	}
	out, ok := m.mod.Memory().Read(address, size)
	if !ok {
		return result{}, errors.New("its result is not in its memory")
	}
	return decode(out, len(data))
}

// decode reads a result.
func decode(out []byte, dataBytes int) (result, error) {
	next := func() (uint32, bool) {
		if len(out) < 4 {
			return 0, false
		}
		v := binary.LittleEndian.Uint32(out)
		out = out[4:]
		return v, true
	}
	text := func() (string, bool) {
		n, ok := next()
		if !ok || uint64(n) > uint64(len(out)) {
			return "", false
		}
		s := string(out[:n])
		out = out[n:]
		return s, true
	}
	rest, ok1 := next()
	count, ok2 := next()
	if !ok1 || !ok2 {
		return result{}, errors.New("its result is cut off")
	}
	r := result{used: dataBytes - int(rest)}
	if count == ^uint32(0) {
		return r, nil
	}
	if count > maxTags {
		return r, fmt.Errorf("%d tags; at most %d", count, maxTags)
	}
	r.complete, r.tags = true, make(map[string]string, count)
	for range count {
		k, ok1 := text()
		v, ok2 := text()
		if !ok1 || !ok2 {
			return r, errors.New("its result is cut off")
		}
		r.tags[k] = v
	}
	return r, nil
}

func (m *module) end(key string) error {
	if m.ender == nil {
		return nil
	}
	if err := m.write(key, nil); err != nil {
		return err
	}
	m.stack[0] = uint64(len(key))
	return m.call(m.ender)
}

func (m *module) memory() int64 { return int64(m.mod.Memory().Size()) }

func (m *module) close() { _ = m.runtime.Close(context.Background()) }

// said keeps the beginning of what a module writes during a call. It is used
// by the goroutine of the call only.
type said struct{ buf []byte }

const saidBytes = 2048

// Write implements io.Writer; what is beyond saidBytes is dropped.
func (s *said) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p[:min(len(p), saidBytes-len(s.buf))]...)
	return len(p), nil
}

// String returns the line in which a Go program says why it ends, else the
// first line.
func (s *said) String() string {
	first := ""
	for line := range strings.Lines(strings.ToValidUTF8(string(s.buf), "?")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return line
		}
		first = cmp.Or(first, line)
	}
	return first
}
