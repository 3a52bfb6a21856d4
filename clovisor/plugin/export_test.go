package plugin

// Code is machine code, which tests keep since compiling takes long.
type Code = code

// CodeOf returns that of a protocol's module.
func CodeOf(h *Host, protocol string) *Code { return h.slot(protocol).code }

// SetCode is for a host that has not loaded the module yet.
func SetCode(h *Host, protocol string, c *Code) { h.slot(protocol).code = c }
