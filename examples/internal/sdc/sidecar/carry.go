package sidecar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/opnfv/clover/tracing"
)

// The headers of a trace, of W3C Trace Context, Zipkin (B3) and Envoy.
const (
	traceparent  = "Traceparent"
	requestID    = "X-Request-Id"
	b3           = "B3"
	b3TraceID    = "X-B3-Traceid"
	b3SpanID     = "X-B3-Spanid"
	b3Parent     = "X-B3-Parentspanid"
	b3Sampled    = "X-B3-Sampled"
	notSampledID = "0"
)

// carriedHeaders are handed on from a request to those made because of it.
var carriedHeaders = []string{
	traceparent, "Tracestate", "Baggage", requestID, b3, b3TraceID, b3SpanID, b3Parent, b3Sampled, "X-B3-Flags",
}

// carried is what a context knows of the request it belongs to.
type carried struct {
	header  http.Header // only carriedHeaders
	trace   tracing.TraceID
	span    tracing.SpanID // of the span that further requests are made in
	sampled bool
}

type carriedKey struct{}

func carriedFrom(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// InTrace returns a context whose requests belong to the trace that the header
// of a request received before names; without one, to a new trace. They are
// reported also where the request was not: a mesh leaves copies out of its
// traces, but not what comes of them.
func (s *Sidecar) InTrace(ctx context.Context, header http.Header) context.Context {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	c, _ := receive(h)
	if !c.sampled {
		c.sampled = true
		c.within(c.header, c.span)
		c.header.Del(b3Parent)
	}
	return context.WithValue(ctx, carriedKey{}, c)
}

// Traceparent returns the header for what belongs to the request of a context;
// "" if there is none.
func (s *Sidecar) Traceparent(ctx context.Context) string {
	c := carriedFrom(ctx)
	if c == nil {
		return ""
	}
	h := http.Header{}
	if s.opts.Report == nil {
		c.copyTo(h)
	} else {
		c.within(h, c.span)
	}
	return h.Get(traceparent)
}

// receive reads the headers of a request; without a trace one begins. It
// gives the request an id if it has none, as the edge of a mesh does.
func receive(h http.Header) (*carried, tracing.SpanID) {
	if h.Get(requestID) == "" {
		h.Set(requestID, NewRequestID())
	}
	c := &carried{header: http.Header{}, sampled: true}
	for _, name := range carriedHeaders {
		if values := h.Values(name); len(values) > 0 {
			c.header[name] = values
		}
	}
	if c.fromTraceparent() || c.fromB3() {
		return c, c.span
	}
	randomBytes(c.trace[:])
	return c, tracing.SpanID{}
}

func (c *carried) fromTraceparent() bool {
	parts := strings.Split(c.header.Get(traceparent), "-")
	if len(parts) != 4 || len(parts[3]) != 2 || !c.ids(parts[1], parts[2]) {
		return false
	}
	flags, err := hex.DecodeString(parts[3])
	c.sampled = err == nil && flags[0]&1 == 1
	return err == nil
}

func (c *carried) fromB3() bool {
	if parts := strings.Split(c.header.Get(b3), "-"); len(parts) >= 2 {
		c.sampled = len(parts) < 3 || parts[2] != notSampledID
		return c.ids(parts[0], parts[1])
	}
	c.sampled = c.header.Get(b3Sampled) != notSampledID
	return c.ids(c.header.Get(b3TraceID), c.header.Get(b3SpanID))
}

func (c *carried) ids(trace, span string) bool {
	var err1, err2 error
	c.trace, err1 = tracing.ParseTraceID(trace)
	c.span, err2 = tracing.ParseSpanID(span)
	return err1 == nil && err2 == nil && !c.trace.IsZero() && !c.span.IsZero()
}

// copyTo hands the headers on as they came.
func (c *carried) copyTo(h http.Header) {
	for name, values := range c.header {
		h[name] = values
	}
}

// within hands the headers on from within a span of our own, in both forms.
func (c *carried) within(h http.Header, span tracing.SpanID) {
	c.copyTo(h)
	flag, sampled := "00", notSampledID
	if c.sampled {
		flag, sampled = "01", "1"
	}
	h.Set(traceparent, "00-"+c.trace.String()+"-"+span.String()+"-"+flag)
	h.Del(b3)
	h.Set(b3TraceID, c.trace.String())
	h.Set(b3SpanID, span.String())
	h.Set(b3Sampled, sampled)
	h.Del(b3Parent)
	if !c.span.IsZero() {
		h.Set(b3Parent, c.span.String())
	}
}

// randomBytes fills b; crypto/rand.Read never fails.
func randomBytes(b []byte) { _, _ = rand.Read(b) }

func newSpanID() (id tracing.SpanID) {
	randomBytes(id[:])
	return id
}

// NewRequestID returns a random id in the form that Envoy gives requests.
func NewRequestID() string {
	var b [16]byte
	randomBytes(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a UUID, version 4
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
