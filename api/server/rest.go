package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/opnfv/clover/api"
	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// runREST serves REST until ctx ends. Streams end with running.
func (s *Server) runREST(ctx, running context.Context) error {
	conn, err := s.dialInside()
	if err != nil {
		return fmt.Errorf("REST: %w", err)
	}
	defer conn.Close()
	handler, err := s.handler(running, conn)
	if err != nil {
		return fmt.Errorf("REST: %w", err)
	}
	srv := s.httpServer(handler)
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(running) }
	serve := func() error { return srv.Serve(s.rest) }
	if s.opts.TLS != nil {
		srv.TLSConfig = httpTLS(s.opts.TLS)
		serve = func() error { return srv.ServeTLS(s.rest, "", "") }
	}
	return s.runHTTP(ctx, srv, serve)
}

// httpTLS offers the protocols of HTTP, also where the configuration is made
// anew for each connection.
func httpTLS(config *tls.Config) *tls.Config {
	offer := func(c *tls.Config) *tls.Config {
		c = c.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
		return c
	}
	out := offer(config)
	if renew := config.GetConfigForClient; renew != nil {
		out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := renew(hello)
			if c == nil || err != nil {
				return nil, err
			}
			return offer(c), nil
		}
	}
	return out
}

// Paths of REST that are open to all.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// handler is all of REST.
func (s *Server) handler(ctx context.Context, conn *grpc.ClientConn) (http.Handler, error) {
	useStrictQuery()
	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, jsonMarshaler()),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithErrorHandler(requestError),
		runtime.WithMarshalerOption(eventStream, &sseMarshaler{jsonMarshaler()}),
		// No header is metadata, and a method is what it says.
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(refusalHeader),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	err := errors.Join(
		v1.RegisterVisibilityServiceHandler(ctx, gateway, conn),
		lbv1.RegisterLoadBalancerServiceHandler(ctx, gateway, conn),
		idsv1.RegisterIdsServiceHandler(ctx, gateway, conn),
		deliveryv1.RegisterDeliveryServiceHandler(ctx, gateway, conn),
		loadtestv1.RegisterLoadTestServiceHandler(ctx, gateway, conn),
	)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", gateway) // gRPC asks for the permission
	mux.Handle("GET /openapi.json", s.needs(readAccess, http.HandlerFunc(serveOpenAPI)))
	mux.Handle("GET /metrics", s.needs(metricsAccess, s.metricsHandler()))
	mux.Handle("GET "+healthPath, s.needs(openAccess, http.HandlerFunc(alive)))
	mux.Handle("GET "+readyPath, s.needs(openAccess, s.readiness(s.opts.Authenticator == nil)))
	mux.Handle("GET "+sessionPath, s.needs(readAccess, http.HandlerFunc(s.serveSession)))
	if s.hasLogin() {
		s.handleLogin(mux)
	}
	if s.opts.Root != nil {
		mux.Handle("/", s.needs(readAccess, s.opts.Root))
	}
	// A foreign page that a browser says it is from changes nothing.
	return s.guard(http.NewCrossOriginProtection().Handler(mux)), nil
}

// refusalHeader passes on what gRPC says with a refusal, and nothing else.
func refusalHeader(key string) (string, bool) {
	switch key {
	case "retry-after", "www-authenticate":
		return key, true
	}
	return "", false
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(api.OpenAPI) // the client went away
}

// needs lets through callers that have a permission.
func (s *Server) needs(a access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(callerContext{}).(caller)
		if err := s.permit(r.Context(), c, a); err != nil {
			s.audit(r.Context(), audited{caller: c, access: a, what: r.Method + " " + r.URL.Path, began: time.Now()}, err)
			refuseStatus(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// jsonMarshaler writes the names of the definitions, and zeros too, so that
// scripts need not guess.
func jsonMarshaler() *runtime.JSONPb {
	return &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		UnmarshalOptions: protojson.UnmarshalOptions{},
	}
}

// eventStream is the media type of server-sent events (HTML, §9.2).
const eventStream = "text/event-stream"

// sseMarshaler frames each message of a stream as an event.
type sseMarshaler struct{ *runtime.JSONPb }

// ContentType implements runtime.Marshaler.
func (*sseMarshaler) ContentType(any) string { return eventStream }

// Marshal implements runtime.Marshaler.
func (m *sseMarshaler) Marshal(v any) ([]byte, error) {
	b, err := m.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte("data: "), b...), nil
}

// Delimiter implements runtime.Delimited: an empty line ends an event.
func (*sseMarshaler) Delimiter() []byte { return []byte("\n\n") }

// guard keeps out what a foreign page could make a browser send and callers
// that nobody knows, and bounds requests.
func (s *Server) guard(next http.Handler) http.Handler {
	local := isLoopback(hostOf(s.rest.Addr().String()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if local && !isLoopback(hostOf(r.Host)) {
			refuse(w, http.StatusForbidden, codes.PermissionDenied, fmt.Sprintf("host %q is not this machine; use %s", r.Host, s.rest.Addr()))
			return
		}
		login := s.isLogin(r)
		c, err := s.httpCaller(r, login || r.URL.Path == healthPath || r.URL.Path == readyPath)
		h.Set("X-Request-Id", c.RequestID)
		if s.mayLogin(r, err) {
			http.Redirect(w, r, loginURL(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		if err != nil {
			s.audit(r.Context(), audited{caller: c, what: r.Method + " " + r.URL.Path, began: time.Now()}, err)
			refuseStatus(w, err)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			want := "application/json"
			if login {
				want = "application/x-www-form-urlencoded"
			}
			if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != want {
				refuse(w, http.StatusUnsupportedMediaType, codes.InvalidArgument, "requests that change something need Content-Type: "+want)
				return
			}
		}
		if !s.readBody(w, r) {
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerContext{}, c)))
	})
}

// readBody reads a body before it is parsed, so that too large a one is told
// from a wrong one. It answers if the request ends here.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.opts.MaxRequestBytes)))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(w, http.StatusRequestEntityTooLarge, codes.ResourceExhausted, fmt.Sprintf("the body is larger than %d bytes", large.Limit))
		return false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, codes.InvalidArgument, "the body cannot be read: "+err.Error())
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// refuseStatus answers with a gRPC status.
func refuseStatus(w http.ResponseWriter, err error) {
	for name, value := range refusalHeaders(err) {
		w.Header().Set(name, value)
	}
	st := status.Convert(err)
	refuse(w, runtime.HTTPStatusFromCode(st.Code()), st.Code(), st.Message())
}

// refuse answers as the gateway does.
func refuse(w http.ResponseWriter, httpStatus int, code codes.Code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus)
	body := map[string]any{"code": code, "message": message, "details": []any{}}
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
