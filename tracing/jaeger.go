package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNotFound is matched by the error of [Jaeger.Trace] for a trace that
// Jaeger does not have.
var ErrNotFound = errors.New("not found")

// JaegerProtocol is one of the APIs that a Jaeger query service offers.
//
//	                    APIv3 gRPC   APIv3 HTTP   legacy HTTP
//	default port        16685        16686        16686
//	path or service     jaeger.api_v3.QueryService
//	                                 /api/v3/…    /api/…
//	time of spans       ns           ns           µs
//	search by tags      yes          (1)          yes
//	traces as stored    yes          yes          Jaeger ≥ 1.65
//	answer arrives      per trace    at once      at once
//	stability promised  yes          yes          no, made for Jaeger's UI
//
// (1) Jaeger 1.76 ignores them there, so that [Jaeger.Search] asks the legacy
// API when the query has tags.
//
// Jaeger adjusts traces for its UI: it moves clocks, and gives server spans
// that share their client's id (Zipkin tracers do that) a new one, which
// depends on what else the trace has at that moment. That would count such
// spans twice. The client therefore asks for the traces as they are stored.
// A Jaeger too old to do so on the legacy API ignores the parameter.
//
// Jaeger itself converts where its storage has the other model. Two traces of
// that remain: from a storage of Jaeger 1 both v3 APIs report a client span
// with HTTP status 4xx as an error, even if the tracer did not, and a storage
// of Jaeger 2 answers the legacy API without the attributes of links.
type JaegerProtocol uint8

// The protocols, in the order in which JaegerAuto tries them.
const (
	// JaegerAuto detects the protocol at the first call.
	JaegerAuto JaegerProtocol = iota
	// JaegerAPIv3GRPC is api_v3 over gRPC.
	JaegerAPIv3GRPC
	// JaegerAPIv3HTTP is api_v3 as JSON.
	JaegerAPIv3HTTP
	// JaegerLegacy is the JSON API of Jaeger's UI.
	JaegerLegacy
)

var jaegerProtocolNames = [...]string{"auto", "api_v3 gRPC", "api_v3 HTTP", "legacy HTTP"}

// String returns the protocol's name, such as "api_v3 gRPC".
func (p JaegerProtocol) String() string {
	if int(p) < len(jaegerProtocolNames) {
		return jaegerProtocolNames[p]
	}
	return fmt.Sprintf("protocol(%d)", uint8(p))
}

// JaegerOptions say where Jaeger is and how to talk to it. Only URL or
// GRPCAddr is needed.
type JaegerOptions struct {
	// URL of the query service: "http://HOST:16686" with Jaeger's base path
	// if it has one, or "grpc://HOST:16685"; https and grpcs for TLS. Without
	// a scheme it is http.
	URL string
	// GRPCAddr is the HOST:PORT of the query service's gRPC port, when URL
	// is that of its HTTP port. With TLS if URL is https.
	GRPCAddr string
	// Protocol to use. JaegerAuto takes gRPC if an address for it is given
	// and answers, then api_v3 over HTTP, then the legacy API.
	Protocol JaegerProtocol

	// TLS adjusts https and grpcs.
	TLS JaegerTLS
	// BearerToken is sent as "Authorization: Bearer TOKEN".
	BearerToken string
	// BearerTokenFile is read for each request, so that it may be renewed.
	BearerTokenFile string
	// Headers are sent with every request (as metadata over gRPC), for
	// example {"x-tenant": "acme"}.
	Headers map[string]string

	// Timeout of one request with its answer. 0: 30 s.
	Timeout time.Duration
	// PageLimit is the number of traces asked for at once. 0: 500.
	PageLimit int
	// MaxTraces is the number of traces asked for at once where a page
	// cannot be made smaller, since everything in it starts in the same
	// microsecond. 0: 16 times PageLimit.
	MaxTraces int
	// MaxResponseBytes bounds one answer, decompressed. A search that gets
	// more asks for less. 0: 128 MiB.
	MaxResponseBytes int64

	// Logger is told which protocol was detected. nil: nothing is logged.
	Logger *slog.Logger
}

// Operation is an operation that Jaeger has spans of.
type Operation struct {
	Name string
	Kind Kind // KindUnspecified where Jaeger does not tell
}

// Jaeger reads traces from a Jaeger query service (Jaeger 1.65 and later,
// Jaeger 2.2 and later). Methods may be called concurrently. They do not retry.
//
// Errors are of type [*Error]: temporary if Jaeger cannot be reached or
// cannot read its storage, permanent if it refuses the credentials or what
// answers is not Jaeger, unsupported if it does not have the protocol.
type Jaeger struct {
	opt    JaegerOptions
	target string
	logger *slog.Logger

	http *jaegerHTTP // nil: no HTTP address
	grpc *jaegerGRPC // nil: no gRPC address

	mu       sync.Mutex
	detected JaegerProtocol
	depth    int // most traces that Jaeger agrees to search for; 0: not known
}

// jaegerAPI is one of Jaeger's protocols. Answers are added to into as they
// arrive, so that it has a part of the answer after an error.
type jaegerAPI interface {
	services(ctx context.Context) ([]string, error)
	operations(ctx context.Context, service string) ([]Operation, error)
	trace(ctx context.Context, id TraceID, into *jaegerAnswer) error
	search(ctx context.Context, q jaegerQuery, into *jaegerAnswer) error
}

// NewJaeger returns a client. It reads the files of o.TLS but does not use
// the network. Close it after use.
func NewJaeger(o JaegerOptions) (*Jaeger, error) {
	o = o.withDefaults()
	target, err := parseJaegerTarget(o)
	if err != nil {
		return nil, err
	}
	j := &Jaeger{opt: o, target: target.name, logger: o.Logger}
	if j.logger == nil {
		j.logger = slog.New(slog.DiscardHandler)
	}
	tlsConfig, err := o.TLS.config()
	if err != nil {
		return nil, &Error{Op: errOpConfigure, Target: "TLS", Kind: ErrorInvalid, Err: err}
	}
	auth := jaegerAuth{token: o.BearerToken, tokenFile: o.BearerTokenFile, headers: o.Headers}
	if target.base != nil {
		j.http = newJaegerHTTP(target.base, tlsConfig, auth, o)
	}
	if target.grpcAddr != "" {
		if !target.grpcTLS {
			tlsConfig = nil
		}
		if j.grpc, err = newJaegerGRPC(target.grpcAddr, tlsConfig, auth, o); err != nil {
			return nil, &Error{Op: errOpConfigure, Target: target.grpcAddr, Kind: ErrorInvalid, Err: err}
		}
	}
	if o.Protocol != JaegerAuto && j.api(o.Protocol) == nil {
		return nil, &Error{Op: errOpConfigure, Target: "Protocol", Kind: ErrorInvalid,
			Err: errors.Join(fmt.Errorf("no address for %s is given", o.Protocol), j.Close())}
	}
	return j, nil
}

func (o JaegerOptions) withDefaults() JaegerOptions {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.PageLimit <= 0 {
		o.PageLimit = 500
	}
	if o.MaxTraces <= 0 {
		o.MaxTraces = 16 * o.PageLimit
	}
	o.MaxTraces = max(o.MaxTraces, o.PageLimit)
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = 128 << 20
	}
	return o
}

// Close gives the connections back. Calls that are under way may fail.
func (j *Jaeger) Close() error {
	if j.http != nil {
		j.http.client.CloseIdleConnections()
	}
	if j.grpc != nil {
		return j.grpc.conn.Close()
	}
	return nil
}

// api returns the implementation of p, nil if there is no address for it.
func (j *Jaeger) api(p JaegerProtocol) jaegerAPI {
	switch {
	case p == JaegerAPIv3GRPC && j.grpc != nil:
		return j.grpc
	case p == JaegerAPIv3HTTP && j.http != nil:
		return jaegerV3HTTP{j.http}
	case p == JaegerLegacy && j.http != nil:
		return jaegerLegacy{j.http}
	}
	return nil
}

// Detect finds out which protocol Jaeger answers, unless the options name
// one. What it found is kept until a call fails permanently. Other methods
// call it by themselves.
func (j *Jaeger) Detect(ctx context.Context) (JaegerProtocol, error) {
	if j.opt.Protocol != JaegerAuto {
		return j.opt.Protocol, nil
	}
	j.mu.Lock()
	p := j.detected
	j.mu.Unlock()
	if p != JaegerAuto {
		return p, nil
	}
	p, err := j.detect(ctx)
	if err != nil {
		return JaegerAuto, err
	}
	j.mu.Lock()
	j.detected = p
	j.mu.Unlock()
	j.logger.InfoContext(ctx, "jaeger detected", "target", j.target, "protocol", p.String())
	return p, nil
}

func (j *Jaeger) detect(ctx context.Context) (JaegerProtocol, error) {
	var failures []string
	kind := ErrorUnknown
	for _, p := range [...]JaegerProtocol{JaegerAPIv3GRPC, JaegerAPIv3HTTP, JaegerLegacy} {
		api := j.api(p)
		if api == nil {
			continue
		}
		_, err := api.services(ctx)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil || errors.Is(err, errRefused) {
			return JaegerAuto, err
		}
		kind = worseKind(kind, Classify(err))
		cause := err
		if e, ok := errors.AsType[*Error](err); ok {
			cause = e.Err
		}
		failures = append(failures, fmt.Sprintf("%s: %v", p, cause))
		if p == JaegerAPIv3HTTP && errors.Is(err, errUnreachable) {
			break // the legacy API has the same address
		}
	}
	return JaegerAuto, &Error{Op: "detect jaeger", Target: j.target, Kind: kind,
		Err: errors.New(strings.Join(failures, "; "))}
}

// worseKind joins the kinds of two failed attempts: if one of them may
// succeed later, so may both together.
func worseKind(a, b ErrorKind) ErrorKind {
	switch {
	case a == ErrorUnknown, b == ErrorTemporary:
		return b
	case a == ErrorTemporary, b == ErrorUnknown, a == b:
		return a
	}
	return ErrorPermanent
}

// call runs f with the protocol to use.
func (j *Jaeger) call(ctx context.Context, f func(jaegerAPI) error) error {
	p, err := j.Detect(ctx)
	if err != nil {
		return err
	}
	err = f(j.api(p))
	j.forget(err)
	return err
}

// forget forgets the detected protocol after an error that says that it may
// have gone, as it does when Jaeger is replaced by another version.
func (j *Jaeger) forget(err error) {
	if kind := Classify(err); kind == ErrorPermanent || kind == ErrorUnsupported {
		j.mu.Lock()
		j.detected = JaegerAuto
		j.mu.Unlock()
	}
}

// Services returns the names of the services that Jaeger has spans of,
// sorted.
func (j *Jaeger) Services(ctx context.Context) (services []string, err error) {
	err = j.call(ctx, func(api jaegerAPI) error {
		services, err = api.services(ctx)
		return err
	})
	slices.Sort(services)
	return slices.Compact(services), err
}

// Operations returns the operations of a service, sorted by name and kind;
// none for a service that Jaeger does not know.
func (j *Jaeger) Operations(ctx context.Context, service string) (operations []Operation, err error) {
	if service == "" {
		return nil, &Error{Op: "list operations", Kind: ErrorInvalid, Err: errNoService}
	}
	err = j.call(ctx, func(api jaegerAPI) error {
		operations, err = api.operations(ctx, service)
		return err
	})
	slices.SortFunc(operations, func(a, b Operation) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
	return slices.Compact(operations), err
}

// Trace returns the spans of a trace, in no order and as they are stored: a
// span that was reported twice may be there twice. The error matches
// [ErrNotFound] if Jaeger has none of them.
func (j *Jaeger) Trace(ctx context.Context, id TraceID) ([]Span, error) {
	var answer jaegerAnswer
	err := j.call(ctx, func(api jaegerAPI) error { return api.trace(ctx, id, &answer) })
	switch {
	case err != nil:
		return nil, err
	case len(answer.spans) > 0:
		return answer.spans, nil
	case len(answer.rejected) > 0:
		return nil, &Error{Op: "read trace", Target: id.String(), Kind: ErrorPermanent,
			Err: fmt.Errorf("no valid span: %s", answer.rejected[0].Reason)}
	}
	return nil, &Error{Op: "read trace", Target: id.String(), Kind: ErrorInvalid, Err: ErrNotFound}
}
