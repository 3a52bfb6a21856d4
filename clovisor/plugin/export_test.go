package plugin

import "time"

// Code is machine code, which tests keep since compiling takes long.
type Code = code

// CodeOf returns that of a protocol's module.
func CodeOf(h *Host, protocol string) *Code { return h.slot(protocol).code }

// SetCode is for a host that has not loaded the module yet.
func SetCode(h *Host, protocol string, c *Code) { h.slot(protocol).code = c }

// SetCompileTimeout is for a host that has loaded its modules.
func SetCompileTimeout(h *Host, d time.Duration) { h.o.CompileTimeout = d }

// SetClock has calls timed by another clock.
func SetClock(h *Host, now func() time.Time) { h.now = now }

// Compiled waits until nothing is compiled.
func Compiled(h *Host) {
	h.compiling <- struct{}{}
	<-h.compiling
}
