package sdc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
)

// port is the one that the services of the guide listen on.
const port = "9180"

// service is one workload with the part of a sidecar.
type service struct {
	name    string
	version string
	addr    string
	serve   func(call) reply
	sample  *Sample
}

// call is a request that a service has to answer.
type call struct {
	*http.Request
	svc  *service
	span *tracing.Span // the server span
}

// reply is what a service answers.
type reply struct {
	status int
	body   []byte
}

// id tells apart the versions of a service.
func (s *service) id() string {
	if s.version == "latest" {
		return s.name
	}
	return s.name + "-" + s.version
}

// node is the Envoy node id that a sidecar of this service would have.
func (s *service) node() string {
	host, _, _ := strings.Cut(s.addr, ":")
	return "sidecar~" + host + "~" + s.id() + "-0.default~default.svc.cluster.local"
}

// ServeHTTP answers a request and reports it as a sidecar's inbound side
// does.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	span := s.newSpan(tracing.KindServer)
	span.TraceID, span.ParentID = parentOf(r.Header)
	span.UpstreamCluster = "inbound|" + port + "||"
	describe(&span, r)
	span.Peer = r.RemoteAddr

	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	span.RequestSize = n
	answer := reply{status: http.StatusBadRequest}
	if err == nil {
		answer = s.serve(call{Request: r, svc: s, span: &span})
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(answer.status)
	if _, err := w.Write(answer.body); err != nil {
		s.sample.opts.Logger.Debug("sdc sample: client went away", "service", s.name, "err", err)
	}
	s.finish(&span, answer.status, len(answer.body))
	s.sample.tally.served(s.name, answer.status)
}

// forward sends the request on to another service and reports it as a
// sidecar's outbound side does.
func (c call) forward(ctx context.Context, to, target string) reply {
	span := c.svc.newSpan(tracing.KindClient)
	span.TraceID, span.ParentID = c.span.TraceID, c.span.SpanID
	span.UpstreamCluster = "outbound|" + port + "||" + to + ".default.svc.cluster.local"
	shadow := ""
	if target == "snort-ids" {
		shadow = "-shadow"
	}
	out, err := http.NewRequestWithContext(ctx, c.Method, c.svc.sample.urls[target]+c.URL.RequestURI(), nil)
	if err != nil {
		return reply{status: http.StatusBadGateway, body: []byte(err.Error())}
	}
	out.Header = c.Header.Clone()
	out.Header.Set("traceparent", "00-"+span.TraceID.String()+"-"+span.SpanID.String()+"-01")
	out.Host = to + shadow + ":" + port
	describe(&span, out)
	answer := c.svc.sample.do(out)
	c.svc.finish(&span, answer.status, len(answer.body))
	return answer
}

// do sends a request. Failures become the answers that a proxy would give.
func (s *Sample) do(r *http.Request) reply {
	res, err := s.client.Do(r)
	if err != nil {
		return reply{status: http.StatusServiceUnavailable, body: []byte(err.Error())}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return reply{status: http.StatusBadGateway, body: []byte(err.Error())}
	}
	return reply{status: res.StatusCode, body: body}
}

func (s *service) newSpan(kind tracing.Kind) tracing.Span {
	span := tracing.Span{
		Kind: kind, Service: s.name, Version: s.version, Workload: s.id(),
		Namespace: "default", Node: s.node(), Start: time.Now(),
		GRPCStatus: -1, RequestSize: -1, ResponseSize: -1, Scope: "clover-sdc-sample",
	}
	randomBytes(span.SpanID[:])
	return span
}

// describe sets what a request tells of itself.
func describe(span *tracing.Span, r *http.Request) {
	span.Method, span.Protocol = r.Method, "HTTP/1.1"
	span.URL = "http://" + r.Host + r.URL.RequestURI()
	span.UserAgent = r.UserAgent()
	span.RequestID = r.Header.Get("x-request-id")
	span.Operation = r.Host + "/*"
}

// finish completes a span and reports it.
func (s *service) finish(span *tracing.Span, status, size int) {
	span.StatusCode, span.ResponseSize = status, int64(size)
	span.Error = status >= 500
	span.Duration = time.Since(span.Start)
	s.sample.report(*span)
}

// parentOf reads traceparent (W3C Trace Context); without one a trace begins.
func parentOf(h http.Header) (id tracing.TraceID, parent tracing.SpanID) {
	parts := strings.Split(h.Get("traceparent"), "-")
	if len(parts) == 4 {
		var err1, err2 error
		id, err1 = tracing.ParseTraceID(parts[1])
		parent, err2 = tracing.ParseSpanID(parts[2])
		if err1 == nil && err2 == nil {
			return id, parent
		}
	}
	randomBytes(id[:])
	return id, tracing.SpanID{}
}

// randomBytes fills b; crypto/rand.Read never fails.
func randomBytes(b []byte) { _, _ = rand.Read(b) }

func requestID() string {
	var b [16]byte
	randomBytes(b[:])
	h := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

func statusText(code int) []byte {
	return []byte(strconv.Itoa(code) + " " + http.StatusText(code) + "\n")
}
