package protocol

// Shared is what the parsers of one engine have in common. The zero value
// works once Emit is set. It is not safe for concurrent use.
type Shared struct {
	free    []*Exchange
	strings map[string]string
}

const (
	maxFree     = 1024 // exchanges kept for reuse
	maxInterned = 8192 // strings kept
	maxIntern   = 128  // bytes of a string that is kept
)

// Context is what a parser has to work with, one a connection.
type Context struct {
	Shared *Shared
	// Emit hands a session on. The exchange is the caller's again afterwards;
	// its strings and attributes may be kept.
	Emit func(*Exchange)
	// Datagrams says that the transport is UDP: a chunk is a datagram.
	Datagrams bool
	// Undecoded counts bytes that no parser could make anything of.
	Undecoded int64

	used        int64
	begun, over int64
}

// exchangeBytes is about what an exchange takes with its short strings.
const exchangeBytes = 640

// Use tells that the parser keeps n more bytes, or less where n is negative.
func (c *Context) Use(n int) { c.used += int64(n) }

// Used is how much the parser keeps.
func (c *Context) Used() int64 { return c.used }

// Weigh accounts for the long texts of an exchange, which may wait for its
// other half with them. It may be called again when there are more.
func (c *Context) Weigh(x *Exchange) {
	n := 0
	for _, s := range [...]string{x.Target, x.Host, x.UserAgent, x.ContentType, x.RequestID, x.Trace.State} {
		if len(s) > maxIntern { // what is shorter is shared
			n += len(s)
		}
	}
	for _, a := range x.Attributes {
		n += len(a.Key) + len(a.Value)
	}
	c.used += int64(n - x.weight)
	x.weight = n
}

// New returns an exchange to fill in.
func (c *Context) New() *Exchange {
	c.used += exchangeBytes
	c.begun++
	s := c.Shared
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		x.reset()
		return x
	}
	x := &Exchange{}
	x.reset()
	return x
}

// Done emits an exchange and takes it back.
func (c *Context) Done(x *Exchange, o Outcome) {
	x.Outcome = o
	c.Emit(x)
	c.used -= exchangeBytes + int64(x.weight)
	c.over++
	if len(c.Shared.free) < maxFree {
		c.Shared.free = append(c.Shared.free, x)
	}
}

// Counted returns how many exchanges were begun and were emitted since it was
// called last.
func (c *Context) Counted() (begun, over int64) {
	begun, over = c.begun, c.over
	c.begun, c.over = 0, 0
	return begun, over
}

// String returns b as a string. What requests repeat (hosts, paths, user
// agents) is allocated once.
func (c *Context) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxIntern {
		return string(b)
	}
	s := c.Shared
	if v, ok := s.strings[string(b)]; ok {
		return v
	}
	if s.strings == nil || len(s.strings) >= maxInterned {
		s.strings = make(map[string]string, 64)
	}
	v := string(b)
	s.strings[v] = v
	return v
}

// Bounded returns the first n bytes of b as a string.
func (c *Context) Bounded(b []byte, n int) string { return c.String(b[:min(len(b), n)]) }
