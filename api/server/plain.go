package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// plainDoor serves what is open to all, without TLS, for probes and scrapers
// that have no token.
type plainDoor struct {
	listener net.Listener
	mux      *http.ServeMux
	metrics  bool
}

// openPlain opens the listeners of HealthAddr and MetricsAddr.
func (s *Server) openPlain(ctx context.Context) error {
	if addr := s.opts.HealthAddr; addr != "" && addr != s.opts.MetricsAddr {
		l, err := bind(ctx, "health", addr, "--health-addr")
		if err != nil {
			return err
		}
		s.plain = append(s.plain, s.newPlainDoor(l, false))
	}
	if addr := s.opts.MetricsAddr; addr != "" {
		l, err := bind(ctx, "metrics", addr, "--metrics-addr")
		if err != nil {
			return err
		}
		s.plain = append(s.plain, s.newPlainDoor(l, true))
	}
	return nil
}

func (s *Server) newPlainDoor(l net.Listener, metrics bool) plainDoor {
	d := plainDoor{listener: l, mux: http.NewServeMux(), metrics: metrics}
	d.mux.HandleFunc("GET "+healthPath, alive)
	d.mux.Handle("GET "+readyPath, s.readiness(false))
	if metrics {
		d.mux.Handle("GET /metrics", s.metricsHandler())
	}
	return d
}

// PlainAddrs returns where health and metrics are served besides REST; ""
// where they are not.
func (s *Server) PlainAddrs() (health, metrics string) {
	for _, d := range s.plain {
		addr := d.listener.Addr().String()
		if health == "" {
			health = addr
		}
		if d.metrics {
			metrics = addr
		}
	}
	return health, metrics
}

func (s *Server) runPlain(ctx context.Context, d plainDoor) error {
	srv := s.httpServer(d.mux)
	srv.WriteTimeout = s.opts.Timeout
	srv.MaxHeaderBytes = 8 << 10
	return s.runHTTP(ctx, srv, func() error { return srv.Serve(d.listener) })
}

// httpServer returns a server with bounds for what clients may take.
func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: maxHeaderBytes,
		// Handshakes that fail and the like.
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
}

// runHTTP serves until ctx ends, and then what is under way.
func (s *Server) runHTTP(ctx context.Context, srv *http.Server, serve func() error) error {
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Grace)
		defer cancel()
		stopped <- errors.Join(srv.Shutdown(grace), srv.Close())
	}()
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("HTTP: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("HTTP: %w", err)
	}
	return nil
}

func (s *Server) metricsHandler() http.Handler {
	return promhttp.HandlerFor(s.opts.Metrics, promhttp.HandlerOpts{})
}

func alive(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("ok\n")) // the client went away
}

// statusAge is for how long one status answers those who ask for readiness,
// which everybody may: it costs the service more than it costs them.
// statusTimeout is how long a service that is ready may take for it.
const (
	statusAge     = time.Second
	statusTimeout = 2 * time.Second
)

// recentStatus asks a service for its status, once for all who ask within
// statusAge.
type recentStatus struct {
	mu    sync.Mutex
	asked time.Time
	res   *v1.GetStatusResponse
	err   error
}

func (r *recentStatus) get(ctx context.Context, service v1.VisibilityServiceServer) (*v1.GetStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < statusAge {
		return r.res, r.err
	}
	// The answer is for others too when this one goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
	defer cancel()
	r.res, r.err = service.GetStatus(ctx, &v1.GetStatusRequest{})
	r.asked = time.Now()
	return r.res, r.err
}

// readiness answers 200 when the service answers, with the state of its
// sources if that is for everybody: one that is down does not make the
// answers wrong, only late.
func (s *Server) readiness(details bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st, err := s.status.get(r.Context(), s.service)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready")
		} else {
			fmt.Fprintln(w, "ready")
		}
		switch {
		case !details:
		case err != nil:
			fmt.Fprintln(w, status.Convert(err).Message())
		default:
			fmt.Fprintf(w, "store %s: %d spans\n", st.GetStore().GetName(), st.GetStore().GetSpans())
			for _, src := range st.GetSources() {
				fmt.Fprintf(w, "%s %s: %s %s\n", src.GetKind(), src.GetName(), src.GetState(), src.GetError())
			}
		}
	})
}
