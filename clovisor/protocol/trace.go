package protocol

// RequestHeader notes what a header of an HTTP request says that spans need;
// HTTP/1 and HTTP/2 share it. The case of the name does not matter.
func (c *Context) RequestHeader(x *Exchange, name, value []byte) {
	switch len(name) {
	case 2:
		if Fold(name, "b3") {
			c.b3(x, value)
		}
	case 4:
		if Fold(name, "host") && x.Host == "" {
			x.Host = c.Bounded(value, 256)
		}
	case 10:
		switch {
		case Fold(name, "user-agent"):
			x.UserAgent = c.Bounded(value, 512)
		case Fold(name, "tracestate"):
			x.Trace.State = c.Bounded(value, 512)
		case Fold(name, "x-b3-flags"):
			x.Trace.Sampled = x.Trace.Sampled || string(value) == "1"
		}
	case 11:
		if Fold(name, "traceparent") {
			traceparent(x, value)
		} else if Fold(name, "x-b3-spanid") && x.Trace.SpanID == "" && isHex(value, 16) {
			x.Trace.SpanID = string(value)
		}
	case 12:
		if Fold(name, "x-request-id") {
			x.RequestID = c.Bounded(value, 256)
		} else if Fold(name, "x-b3-traceid") && x.Trace.TraceID == "" && (isHex(value, 32) || isHex(value, 16)) {
			x.Trace.TraceID = string(value)
		} else if Fold(name, "x-b3-sampled") {
			x.Trace.Sampled = x.Trace.Sampled || string(value) == "1" || Fold(value, "true")
		}
	}
}

// traceparent reads the header of W3C Trace Context; it wins over B3.
func traceparent(x *Exchange, v []byte) {
	if len(v) < 55 || !isHex(v[:2], 2) || Fold(v[:2], "ff") || (v[0] == '0' && v[1] == '0' && len(v) != 55) ||
		(len(v) > 55 && v[55] != '-') || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return
	}
	trace, span, flags := v[3:35], v[36:52], v[53:55]
	if !isHex(trace, 32) || !isHex(span, 16) || !isHex(flags, 2) || zeros(trace) || zeros(span) {
		return
	}
	x.Trace.TraceID, x.Trace.SpanID = string(trace), string(span)
	x.Trace.Sampled = digit(flags[1])&1 == 1
}

// b3 reads the single header of B3: TRACE-SPAN[-SAMPLED[-PARENT]], or a
// sampling decision alone.
func (c *Context) b3(x *Exchange, v []byte) {
	size := 32
	if len(v) > 16 && v[16] == '-' {
		size = 16
	}
	if len(v) < size+17 || v[size] != '-' || !isHex(v[:size], size) || !isHex(v[size+1:size+17], 16) {
		return
	}
	rest := v[size+17:]
	if len(rest) > 0 && rest[0] != '-' || x.Trace.TraceID != "" && x.Trace.SpanID != "" {
		return
	}
	x.Trace.TraceID, x.Trace.SpanID = string(v[:size]), string(v[size+1:size+17])
	x.Trace.Sampled = len(rest) > 1 && (rest[1] == '1' || rest[1] == 'd')
}

// Fold reports whether b is lower, which is in lower case, in any case.
func Fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func isHex(b []byte, n int) bool {
	if len(b) != n {
		return false
	}
	for _, c := range b {
		if digit(c) < 0 {
			return false
		}
	}
	return true
}

// digit is the value of a hexadecimal digit, -1 where it is none.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Hex reads a hexadecimal number of at most 15 digits from the start of b and
// returns how many it read; 0: none, or too many.
func Hex(b []byte) (v int64, n int) {
	for n < len(b) {
		d := digit(b[n])
		if d < 0 {
			return v, n
		}
		if n++; n > 15 {
			return 0, 0
		}
		v = v<<4 | int64(d)
	}
	return v, n
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}
