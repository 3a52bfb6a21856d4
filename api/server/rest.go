package server

import (
	"bytes"
	"context"
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
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/opnfv/clover/api"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// runREST serves REST until ctx ends. Streams end with running.
func (s *Server) runREST(ctx, running context.Context) error {
	conn, err := s.dial()
	if err != nil {
		return fmt.Errorf("REST: %w", err)
	}
	defer conn.Close()
	handler, err := s.handler(running, v1.NewVisibilityServiceClient(conn))
	if err != nil {
		return fmt.Errorf("REST: %w", err)
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: maxHeaderBytes,
		BaseContext:    func(net.Listener) context.Context { return context.WithoutCancel(running) },
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Grace)
		defer cancel()
		stopped <- errors.Join(srv.Shutdown(grace), srv.Close())
	}()
	if err := srv.Serve(s.rest); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("REST: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("REST: %w", err)
	}
	return nil
}

// handler is all of REST.
func (s *Server) handler(ctx context.Context, client v1.VisibilityServiceClient) (http.Handler, error) {
	useStrictQuery()
	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, jsonMarshaler()),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithErrorHandler(requestError),
		runtime.WithMarshalerOption(eventStream, &sseMarshaler{jsonMarshaler()}),
	)
	if err := v1.RegisterVisibilityServiceHandlerClient(ctx, gateway, client); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", gateway)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(api.OpenAPI) // the client went away
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.opts.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", readiness(client))
	if s.opts.Root != nil {
		mux.Handle("/", s.opts.Root)
	}
	// A foreign page that a browser says it is from changes nothing.
	return s.guard(http.NewCrossOriginProtection().Handler(mux)), nil
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

// guard keeps out what a foreign page could make a browser send, and bounds
// requests.
func (s *Server) guard(next http.Handler) http.Handler {
	local := isLoopback(hostOf(s.rest.Addr().String()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if local && !isLoopback(hostOf(r.Host)) {
			refuse(w, http.StatusForbidden, codes.PermissionDenied, fmt.Sprintf("host %q is not this machine; use http://%s", r.Host, s.rest.Addr()))
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
				refuse(w, http.StatusUnsupportedMediaType, codes.InvalidArgument, "requests that change something need Content-Type: application/json")
				return
			}
		}
		// Read here, so that too large a body is told from a wrong one.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.opts.MaxRequestBytes)))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			refuse(w, http.StatusRequestEntityTooLarge, codes.ResourceExhausted, fmt.Sprintf("the body is larger than %d bytes", large.Limit))
			return
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, codes.InvalidArgument, "the body cannot be read: "+err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// refuse answers as the gateway does.
func refuse(w http.ResponseWriter, httpStatus int, code codes.Code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus)
	body := map[string]any{"code": code, "message": message, "details": []any{}}
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

// readiness answers 200 when the service answers, with the state of its
// sources: one that is down does not make the answers wrong, only late.
func readiness(client v1.VisibilityServiceClient) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		st, err := client.GetStatus(ctx, &v1.GetStatusRequest{})
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "not ready: %s\n", status.Convert(err).Message())
			return
		}
		fmt.Fprintf(w, "ready\nstore %s: %d spans\n", st.GetStore().GetName(), st.GetStore().GetSpans())
		for _, src := range st.GetSources() {
			fmt.Fprintf(w, "%s %s: %s %s\n", src.GetKind(), src.GetName(), src.GetState(), src.GetError())
		}
	})
}
