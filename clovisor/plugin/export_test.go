package plugin

import (
	"time"

	"github.com/tetratelabs/wazero"
)

// Code is machine code, which tests keep since compiling takes long.
type Code = code

// CodeOf returns that of a protocol's module.
func CodeOf(h *Host, protocol string) *Code { return h.slot(protocol).code }

// SetCode is for a host that has not loaded the module yet.
func SetCode(h *Host, protocol string, c *Code) { h.slot(protocol).code = c }

// SlowCompiler has compiling take until done is closed, and no longer than d
// be waited for it.
func SlowCompiler(h *Host, d time.Duration, done <-chan struct{}) {
	h.o.CompileTimeout = d
	h.start = func([]byte, wazero.CompilationCache, Limits) (*module, error) {
		<-done
		return nil, ErrModule
	}
}

// SetClock has calls timed by another clock.
func SetClock(h *Host, now func() time.Time) { h.now = now }

// Compiled waits until nothing is compiled.
func Compiled(h *Host) {
	h.compiling <- struct{}{}
	<-h.compiling
}
