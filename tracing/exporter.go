package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

// The reasons for which an [Exporter] drops spans; see [ExporterStats].
const (
	DropQueueFull = "queue full"         // exported faster than sent
	DropRefused   = "refused"            // the receiver said that repeating is of no use
	DropRetries   = "retries exhausted"  // the receiver did not take them within RetryFor
	DropRejected  = "rejected"           // invalid, by the receiver's partial success
	DropShutdown  = "shutdown"           // not sent within DrainTimeout
	DropStopped   = "exported after end" // Export was called after Run had returned
)

// ExporterOptions configures an [Exporter]. The zero value works.
type ExporterOptions struct {
	// Headers are sent with each request (as metadata over gRPC).
	Headers map[string]string
	// TLS is used for https:// and grpcs:// endpoints. nil: the system's
	// certificate authorities.
	TLS *tls.Config
	// NoCompression turns gzip off.
	NoCompression bool
	// QueueSpans limits the spans waiting. 0: 8192.
	QueueSpans int
	// BatchSpans limits the spans of one request. 0: 512.
	BatchSpans int
	// FlushInterval is the longest that a span waits for its batch to fill.
	// 0: 200 ms.
	FlushInterval time.Duration
	// Timeout limits one try. 0: 10 s.
	Timeout time.Duration
	// RetryFor limits the time that one batch is tried for. 0: 1 min.
	RetryFor time.Duration
	// MinBackoff and MaxBackoff limit the pause between tries, which doubles
	// each time and is spread at random; a receiver's own wish goes before.
	// 0: 200 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration
	// DrainTimeout limits how long Run goes on sending after its context
	// ended. 0: 5 s.
	DrainTimeout time.Duration
	// Logger hears when sending fails and when it works again. nil: silence.
	Logger *slog.Logger
}

func (o ExporterOptions) withDefaults() ExporterOptions {
	setDefault(&o.QueueSpans, 8192)
	setDefault(&o.BatchSpans, 512)
	setDefault(&o.FlushInterval, 200*time.Millisecond)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.RetryFor, time.Minute)
	setDefault(&o.MinBackoff, 200*time.Millisecond)
	setDefault(&o.MaxBackoff, 10*time.Second)
	setDefault(&o.DrainTimeout, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// ExporterStats is an exporter's ledger: Seen is always the sum of Exported,
// Waiting and all of Dropped.
type ExporterStats struct {
	Seen     uint64            // spans given to Export
	Exported uint64            // spans the receiver acknowledged
	Waiting  uint64            // spans in the queue or on their way
	Dropped  map[string]uint64 // spans lost, by reason
	Retries  uint64            // requests repeated
}

// transport sends one request, an encoded ExportTraceServiceRequest, once. It
// does not keep the bytes. Its errors are an [*Error] whose kind says whether
// to repeat. One goroutine uses it.
type transport interface {
	send(ctx context.Context, req []byte) (*coltracepb.ExportTraceServiceResponse, error)
	close() error
}

// Exporter sends spans by OTLP. Export puts them into a bounded queue and
// never blocks; Run sends them in batches and repeats what failed for a
// while. What is lost is counted by reason. Methods may be called
// concurrently.
type Exporter struct {
	o      ExporterOptions
	target string
	dial   func() (transport, error)
	wake   chan struct{} // the queue has its first span, or a batch

	mu      sync.Mutex
	queue   []Span // waiting; its capacity is reused
	sending int    // spans taken from the queue, fate unknown
	ran     bool
	stopped bool
	stats   ExporterStats

	// Owned by Run.
	failing bool // the last try failed
	encoder OTLPEncoder
	batch   []Span // being sent; its capacity is reused
}

// NewExporter makes an Exporter for an endpoint: "host:port" or
// "grpc://host:port" for gRPC without TLS, "grpcs://…" with, and
// "http://host:port" or "https://…" for HTTP with protobuf, to which
// /v1/traces is added unless there is a path. Nothing is connected before
// Run. The error is of [ErrInvalid].
func NewExporter(endpoint string, o ExporterOptions) (*Exporter, error) {
	const op = "new OTLP exporter"
	for name, v := range map[string]int64{
		"QueueSpans": int64(o.QueueSpans), "BatchSpans": int64(o.BatchSpans),
		"FlushInterval": int64(o.FlushInterval), "Timeout": int64(o.Timeout), "RetryFor": int64(o.RetryFor),
		"MinBackoff": int64(o.MinBackoff), "MaxBackoff": int64(o.MaxBackoff), "DrainTimeout": int64(o.DrainTimeout),
	} {
		if v < 0 {
			return nil, &Error{Op: op, Target: "ExporterOptions." + name, Kind: ErrorInvalid,
				Err: fmt.Errorf("%d is negative", v)}
		}
	}
	o = o.withDefaults()
	e := &Exporter{o: o, target: endpoint, wake: make(chan struct{}, 1)}
	e.stats.Dropped = make(map[string]uint64)
	scheme, address, ok := strings.Cut(endpoint, "://")
	if !ok {
		scheme, address = "grpc", endpoint
	}
	switch scheme {
	case "http", "https":
		url, err := tracesURL(endpoint)
		if err != nil {
			return nil, &Error{Op: op, Target: endpoint, Kind: ErrorInvalid, Err: err}
		}
		e.dial = func() (transport, error) { return dialHTTP(url, o), nil }
	case "grpc", "grpcs":
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, &Error{Op: op, Target: endpoint, Kind: ErrorInvalid, Err: err}
		}
		e.dial = func() (transport, error) { return dialGRPC(address, scheme == "grpcs", o) }
	default:
		return nil, &Error{Op: op, Target: endpoint, Kind: ErrorInvalid,
			Err: fmt.Errorf("scheme %q: want grpc, grpcs, http or https", scheme)}
	}
	return e, nil
}

// Export queues spans and returns how many found room; the others are dropped
// and counted. The spans must not be changed any more.
func (e *Exporter) Export(spans ...Span) int {
	e.mu.Lock()
	e.stats.Seen += uint64(len(spans))
	room := e.o.QueueSpans - len(e.queue)
	reason := DropQueueFull
	if e.stopped {
		room, reason = 0, DropStopped
	}
	n := min(room, len(spans))
	before := len(e.queue)
	e.queue = append(e.queue, spans[:n]...)
	// Waking Run for each span would cost more than encoding it.
	news := before == 0 && n > 0 || before < e.o.BatchSpans && len(e.queue) >= e.o.BatchSpans
	if lost := len(spans) - n; lost > 0 {
		e.stats.Dropped[reason] += uint64(lost)
	}
	e.mu.Unlock()
	if news {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
	return n
}

// Stats returns the ledger at this moment.
func (e *Exporter) Stats() ExporterStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := e.stats
	stats.Dropped = maps.Clone(e.stats.Dropped)
	stats.Waiting = uint64(len(e.queue) + e.sending)
	return stats
}

// Run sends until ctx ends, then goes on with what is queued for at most
// DrainTimeout, and returns nil. It can be called once. What the receiver
// does not take is no error of Run; see Stats.
func (e *Exporter) Run(ctx context.Context) error {
	e.mu.Lock()
	again := e.ran
	e.ran = true
	e.mu.Unlock()
	if again {
		return &Error{Op: "run OTLP exporter", Target: e.target, Kind: ErrorInvalid, Err: errors.New("it was run before")}
	}
	conn, err := e.dial()
	if err != nil {
		return &Error{Op: "run OTLP exporter", Target: e.target, Kind: ErrorInvalid, Err: err}
	}
	// Sending outlives ctx by DrainTimeout.
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		limit := time.NewTimer(e.o.DrainTimeout)
		defer limit.Stop()
		select {
		case <-limit.C:
			cancel()
		case <-sendCtx.Done():
		}
	})
	defer stop()
	for e.wait(ctx) {
		e.flush(sendCtx, conn)
	}
	e.flush(sendCtx, conn)
	e.finish()
	return conn.close()
}

// wait returns true when a batch is full or old enough, false when ctx ended.
func (e *Exporter) wait(ctx context.Context) bool {
	var flush <-chan time.Time
	for {
		e.mu.Lock()
		waiting := len(e.queue)
		e.mu.Unlock()
		if waiting >= e.o.BatchSpans {
			return ctx.Err() == nil
		}
		if waiting > 0 && flush == nil {
			timer := time.NewTimer(e.o.FlushInterval)
			defer timer.Stop()
			flush = timer.C
		}
		select {
		case <-ctx.Done():
			return false
		case <-flush:
			return true
		case <-e.wake:
		}
	}
}

// flush sends all that is queued.
func (e *Exporter) flush(sendCtx context.Context, conn transport) {
	for sendCtx.Err() == nil {
		batch := e.take()
		if len(batch) == 0 {
			return
		}
		exported, reason, lost := e.deliver(sendCtx, conn, batch)
		clear(batch)
		e.mu.Lock()
		e.sending = 0
		e.stats.Exported += uint64(exported)
		if lost > 0 {
			e.stats.Dropped[reason] += uint64(lost)
		}
		e.mu.Unlock()
	}
}

func (e *Exporter) take() []Span {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.queue), e.o.BatchSpans)
	e.batch = append(e.batch[:0], e.queue[:n]...)
	rest := copy(e.queue, e.queue[n:])
	clear(e.queue[rest:])
	e.queue = e.queue[:rest]
	e.sending = n
	return e.batch
}

// finish drops what is left.
func (e *Exporter) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	if n := len(e.queue); n > 0 {
		e.stats.Dropped[DropShutdown] += uint64(n)
	}
	e.queue = nil
}

// deliver tries to send a batch until it is taken, refused or given up.
func (e *Exporter) deliver(sendCtx context.Context, conn transport, batch []Span) (exported int, reason string, lost int) {
	req := e.encoder.Encode(batch)
	begin, backoff := time.Now(), e.o.MinBackoff
	for {
		try, cancel := context.WithTimeout(sendCtx, e.o.Timeout)
		resp, err := conn.send(try, req)
		cancel()
		e.report(err)
		if err == nil {
			lost = int(min(max(resp.GetPartialSuccess().GetRejectedSpans(), 0), int64(len(batch))))
			return len(batch) - lost, DropRejected, lost
		}
		pause := backoff/2 + rand.N(backoff/2+1)
		backoff = min(2*backoff, e.o.MaxBackoff)
		var own *Error
		if errors.As(err, &own) && own.RetryAfter > 0 {
			pause = own.RetryAfter
		}
		switch {
		case sendCtx.Err() != nil:
			return 0, DropShutdown, len(batch)
		case Classify(err) != ErrorTemporary:
			return 0, DropRefused, len(batch)
		case time.Since(begin)+pause > e.o.RetryFor:
			return 0, DropRetries, len(batch)
		}
		if !sleep(sendCtx, pause) {
			return 0, DropShutdown, len(batch)
		}
		e.mu.Lock()
		e.stats.Retries++
		e.mu.Unlock()
	}
}

// report logs changes between working and failing.
func (e *Exporter) report(err error) {
	switch {
	case err != nil && !e.failing:
		e.o.Logger.Warn("spans are not taken", "endpoint", e.target, "error", err)
	case err == nil && e.failing:
		e.o.Logger.Info("spans are taken again", "endpoint", e.target)
	}
	e.failing = err != nil
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
