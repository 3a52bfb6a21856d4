package sidecar

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/opnfv/clover/tracing"
)

// Inbound stands in front of a service's handler. Requests that are sent
// with the context of the one received, through [Sidecar.Outbound], belong
// to its trace.
func (s *Sidecar) Inbound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, parent := receive(r.Header)
		answer := &response{ResponseWriter: w}
		body := &countedBody{ReadCloser: r.Body}
		if s.opts.Report != nil {
			span := s.newSpan(tracing.KindServer)
			span.TraceID, span.ParentID = c.trace, parent
			span.UpstreamCluster = "inbound|" + s.identity.Port + "||"
			span.Peer = r.RemoteAddr
			describe(span, r)
			c.span = span.SpanID
			defer func() {
				span.RequestSize, span.ResponseSize = body.n.Load(), answer.n
				s.finish(span, answer.code(), c.sampled)
			}()
		}
		defer func() { s.served(answer.code()) }()
		r = r.WithContext(context.WithValue(r.Context(), carriedKey{}, c))
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = body
		}
		next.ServeHTTP(answer, r)
	})
}

// describe sets what a request tells of itself.
func describe(span *tracing.Span, r *http.Request) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	span.Method, span.Protocol = r.Method, "HTTP/1.1"
	span.URL = "http://" + host + r.URL.RequestURI()
	span.UserAgent = r.UserAgent()
	span.RequestID = r.Header.Get(requestID)
	span.Operation = host + "/*"
}

// response notes what a handler answers.
type response struct {
	http.ResponseWriter
	status int
	n      int64
}

func (r *response) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// countedBody counts what is read of a request, by whatever goroutine.
type countedBody struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// Outbound stands behind a service's client: next really sends.
func (s *Sidecar) Outbound(next http.RoundTripper) http.RoundTripper {
	return outbound{sidecar: s, next: next}
}

type outbound struct {
	sidecar *Sidecar
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o outbound) RoundTrip(r *http.Request) (*http.Response, error) {
	c := carriedFrom(r.Context())
	if c == nil {
		return o.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if o.sidecar.opts.Report == nil {
		c.copyTo(r.Header)
		return o.next.RoundTrip(r)
	}
	span := o.sidecar.newSpan(tracing.KindClient)
	span.TraceID, span.ParentID = c.trace, c.span
	span.UpstreamCluster = o.sidecar.cluster(r.URL.Host)
	c.within(r.Header, span.SpanID)
	if o.sidecar.opts.IsCopy != nil && o.sidecar.opts.IsCopy(r.Context()) {
		r.Host = shadow(r.URL.Host)
	}
	describe(span, r)
	sent := &countedBody{ReadCloser: r.Body}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = sent
	}
	res, err := o.next.RoundTrip(r)
	if err != nil {
		span.StatusMessage = err.Error()
		o.sidecar.finish(span, http.StatusServiceUnavailable, c.sampled)
		return nil, err
	}
	done := func(size int64) {
		span.RequestSize, span.ResponseSize = sent.n.Load(), size
		o.sidecar.finish(span, res.StatusCode, c.sampled)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		done(0) // its body is the connection
		return res, nil
	}
	res.Body = &answerBody{ReadCloser: res.Body, done: done}
	return res, nil
}

// answerBody tells when an answer has been read, or read enough.
type answerBody struct {
	io.ReadCloser
	n    int64
	once sync.Once
	done func(size int64)
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

func (b *answerBody) end() { b.once.Do(func() { b.done(b.n) }) }
