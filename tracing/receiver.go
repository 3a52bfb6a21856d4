package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// The sources that a [Receiver] names to its [Sink].
const (
	SourceOTLPGRPC = "otlp/grpc"
	SourceOTLPHTTP = "otlp/http"
)

// Sink takes the spans that a [Receiver] got.
//
// ConsumeSpans returns nil when the spans are durable: the sender gets its
// acknowledgement and forgets them. spans are normalised and valid; rejected
// counts those of the same request that were not valid, for the ledger.
// Either may be empty, not both. The slice and all in it belong to the sink
// from the call on. Calls come concurrently, up to
// [ReceiverOptions.MaxConcurrent]; senders repeat what was not acknowledged,
// so the same spans may come again.
//
// An error means that none of the spans was taken. [Classify] tells the
// answer: permanent, invalid or unsupported errors are not retried by the
// sender; temporary ones, and those of unknown kind, are. An [Error]'s
// RetryAfter is passed on. ctx ends when the sender goes away.
type Sink interface {
	ConsumeSpans(ctx context.Context, source string, spans []Span, rejected []Rejection) error
}

// SinkFunc is a function as a [Sink].
type SinkFunc func(ctx context.Context, source string, spans []Span, rejected []Rejection) error

// ConsumeSpans calls f.
func (f SinkFunc) ConsumeSpans(ctx context.Context, source string, spans []Span, rejected []Rejection) error {
	return f(ctx, source, spans, rejected)
}

// ReceiverOptions configures a [Receiver]. The zero value works.
type ReceiverOptions struct {
	// GRPCAddr and HTTPAddr are where to listen, as "host:port"; port 0 is
	// any free one. "" is 127.0.0.1:4317 and 127.0.0.1:4318, "-" is off.
	GRPCAddr, HTTPAddr string
	// TLS turns TLS on for both. nil: none.
	TLS *tls.Config
	// MaxBodyBytes limits one request after decompression. 0: 16 MiB.
	MaxBodyBytes int
	// MaxConcurrent limits the sink's concurrent calls. 0: four for each
	// CPU, at least 16.
	MaxConcurrent int
	// MaxInFlightBytes limits the requests in memory, counted uncompressed
	// on the wire. 0: 64 MiB; at least MaxBodyBytes.
	MaxInFlightBytes int
	// MaxWait is how long a request waits for its turn under these limits
	// before the sender is asked to come again. 0: 2 s.
	MaxWait time.Duration
	// RetryAfter is when a sender is asked to come again, unless the sink's
	// error says. 0: 1 s.
	RetryAfter time.Duration
	// DrainTimeout limits how long Run waits for requests under way after
	// its context ended. 0: 10 s.
	DrainTimeout time.Duration
	// Logger hears of the life cycle and of sink errors. nil: silence.
	Logger *slog.Logger
}

func (o ReceiverOptions) withDefaults() ReceiverOptions {
	setDefault(&o.GRPCAddr, "127.0.0.1:4317")
	setDefault(&o.HTTPAddr, "127.0.0.1:4318")
	setDefault(&o.MaxBodyBytes, 16<<20)
	setDefault(&o.MaxConcurrent, max(16, 4*runtime.GOMAXPROCS(0)))
	setDefault(&o.MaxInFlightBytes, 64<<20)
	o.MaxInFlightBytes = max(o.MaxInFlightBytes, o.MaxBodyBytes)
	setDefault(&o.MaxWait, 2*time.Second)
	setDefault(&o.RetryAfter, time.Second)
	setDefault(&o.DrainTimeout, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// ReceiverStats counts what a [Receiver] did since it was made.
type ReceiverStats struct {
	Requests uint64 // all, whatever came of them
	Spans    uint64 // taken by the sink
	Rejected uint64 // invalid spans, reported in partial successes
	Refused  uint64 // requests answered "come again" for lack of room
	Failed   uint64 // requests that the sink failed
	Invalid  uint64 // requests that could not be read
}

// Receiver receives traces by OTLP (specification 1.x) over gRPC, HTTP with
// protobuf and HTTP with JSON, compressed or not, normalises them and hands
// them to a [Sink]. A sender gets its acknowledgement when the sink has
// returned; under load it waits, then is asked to come again, so nothing is
// lost that a sender repeats.
//
// Run serves on ports of its own. Instead, or as well, RegisterGRPC and
// ServeHTTP serve on a server that exists.
type Receiver struct {
	coltracepb.UnimplementedTraceServiceServer

	sink  Sink
	o     ReceiverOptions
	gate  *gate
	ready chan struct{}

	mu       sync.Mutex
	ran      bool
	grpcAddr net.Addr
	httpAddr net.Addr

	requests, spans, rejected, refused, failed, invalid atomic.Uint64
}

// NewReceiver makes a Receiver for a sink. The error is of [ErrInvalid].
func NewReceiver(sink Sink, o ReceiverOptions) (*Receiver, error) {
	const op = "new OTLP receiver"
	if sink == nil {
		return nil, &Error{Op: op, Kind: ErrorInvalid, Err: errors.New("no sink")}
	}
	for name, v := range map[string]int64{
		"MaxBodyBytes": int64(o.MaxBodyBytes), "MaxConcurrent": int64(o.MaxConcurrent),
		"MaxInFlightBytes": int64(o.MaxInFlightBytes), "MaxWait": int64(o.MaxWait),
		"RetryAfter": int64(o.RetryAfter), "DrainTimeout": int64(o.DrainTimeout),
	} {
		if v < 0 {
			return nil, &Error{Op: op, Target: "ReceiverOptions." + name, Kind: ErrorInvalid,
				Err: fmt.Errorf("%d is negative", v)}
		}
	}
	o = o.withDefaults()
	return &Receiver{
		sink:  sink,
		o:     o,
		gate:  newGate(o.MaxConcurrent, int64(o.MaxInFlightBytes), o.MaxWait),
		ready: make(chan struct{}),
	}, nil
}

// Ready is closed when Run listens on all its ports.
func (r *Receiver) Ready() <-chan struct{} { return r.ready }

// Addrs returns where Run listens: nil for what is off, and before Ready.
func (r *Receiver) Addrs() (grpcAddr, httpAddr net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grpcAddr, r.httpAddr
}

// Stats returns the counters.
func (r *Receiver) Stats() ReceiverStats {
	return ReceiverStats{
		Requests: r.requests.Load(), Spans: r.spans.Load(), Rejected: r.rejected.Load(),
		Refused: r.refused.Load(), Failed: r.failed.Load(), Invalid: r.invalid.Load(),
	}
}

// RegisterGRPC registers the trace service on a server.
func (r *Receiver) RegisterGRPC(srv grpc.ServiceRegistrar) {
	coltracepb.RegisterTraceServiceServer(srv, r)
}

// Run listens and serves until ctx ends; it then takes no new requests, waits
// for those under way and returns nil. It can be called once. A port that
// cannot be had is an error that names the option.
func (r *Receiver) Run(ctx context.Context) error {
	grpcLis, httpLis, err := r.listen(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	var servers []func(context.Context)
	var wg sync.WaitGroup
	if grpcLis != nil {
		srv := r.grpcServer()
		servers = append(servers, func(ctx context.Context) { drainGRPC(ctx, srv) })
		wg.Go(func() { failed <- srv.Serve(grpcLis) })
	}
	if httpLis != nil {
		srv := r.httpServer()
		servers = append(servers, func(ctx context.Context) { drainHTTP(ctx, srv) })
		wg.Go(func() { failed <- serveHTTP(srv, httpLis) })
	}
	close(r.ready)
	r.o.Logger.Info("OTLP receiver listens", "grpc", addrText(grpcLis), "http", addrText(httpLis), "tls", r.o.TLS != nil)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.DrainTimeout)
	defer cancel()
	for _, drain := range servers {
		wg.Go(func() { drain(limit) })
	}
	wg.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
		return &Error{Op: "serve OTLP", Kind: ErrorPermanent, Err: err}
	}
	return nil
}

func (r *Receiver) listen(ctx context.Context) (grpcLis, httpLis net.Listener, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ran {
		return nil, nil, &Error{Op: "run OTLP receiver", Kind: ErrorInvalid, Err: errors.New("it was run before")}
	}
	if grpcLis, err = listen(ctx, "OTLP/gRPC", "GRPCAddr", r.o.GRPCAddr); err != nil {
		return nil, nil, err
	}
	if httpLis, err = listen(ctx, "OTLP/HTTP", "HTTPAddr", r.o.HTTPAddr); err != nil {
		if grpcLis != nil {
			err = errors.Join(err, grpcLis.Close())
		}
		return nil, nil, err
	}
	r.ran = true
	if grpcLis != nil {
		r.grpcAddr = grpcLis.Addr()
	}
	if httpLis != nil {
		r.httpAddr = httpLis.Addr()
	}
	return grpcLis, httpLis, nil
}

// listen returns nil for "-".
func listen(ctx context.Context, what, option, addr string) (net.Listener, error) {
	if addr == "-" {
		return nil, nil
	}
	var config net.ListenConfig
	lis, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &Error{Op: "listen for " + what, Target: addr, Kind: ErrorPermanent, Err: fmt.Errorf(
			"%w (set ReceiverOptions.%s to another address, or to \"-\" to do without)", err, option)}
	}
	return lis, nil
}

func addrText(lis net.Listener) string {
	if lis == nil {
		return "off"
	}
	return lis.Addr().String()
}

func (r *Receiver) grpcServer() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(r.o.MaxBodyBytes),
		grpc.MaxConcurrentStreams(uint32(min(r.o.MaxConcurrent, 1<<20)) * 4),
		grpc.ConnectionTimeout(20 * time.Second),
	}
	if r.o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(r.o.TLS)))
	}
	srv := grpc.NewServer(options...)
	r.RegisterGRPC(srv)
	return srv
}

func (r *Receiver) httpServer() *http.Server {
	srv := &http.Server{
		Handler:           r,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(r.o.Logger.Handler(), slog.LevelDebug),
	}
	if r.o.TLS != nil {
		srv.TLSConfig = r.o.TLS.Clone()
	}
	return srv
}

func serveHTTP(srv *http.Server, lis net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(lis, "", "")
	}
	return srv.Serve(lis)
}

func drainGRPC(ctx context.Context, srv *grpc.Server) {
	stop := context.AfterFunc(ctx, srv.Stop)
	defer stop()
	srv.GracefulStop()
}

func drainHTTP(ctx context.Context, srv *http.Server) {
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close() // the limit is over: requests under way are cut
	}
}
