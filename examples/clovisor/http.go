package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/clovisor"
	"github.com/opnfv/clover/examples/internal/cli"
)

// endpoints are where the program says what it does, and to whom. What it has
// seen names pods and their traffic: beyond loopback only clients with a
// certificate are told, unless the operator wants it otherwise.
type endpoints struct {
	addr, metricsAddr string // "" for none
	files             certfile.Files
	clients           []string // common names
	allowRemote       bool
}

func (e *endpoints) add(f *pflag.FlagSet) {
	f.StringVar(&e.addr, "http-addr", "", "`address` of /healthz, /readyz, /metrics and /ledger, - for none (default: none, with --kubernetes 127.0.0.1:9466)")
	f.StringVar(&e.metricsAddr, "metrics-addr", "", "`address` of /healthz, /readyz and /metrics besides, without TLS and open to all")
	f.StringVar(&e.files.Cert, "tls-cert-file", "", "PEM `file` with the certificate of --http-addr and its chain")
	f.StringVar(&e.files.Key, "tls-key-file", "", "PEM `file` with the certificate's key")
	f.StringVar(&e.files.CA, "tls-client-ca-file", "", "PEM `file` with the authorities of client certificates: each client needs one")
	f.StringSliceVar(&e.clients, "tls-client-name", nil, "common `name` that a client certificate must have (may be given again; default: any)")
	f.BoolVar(&e.allowRemote, "allow-remote", false, "allow a --http-addr other than loopback also without client certificates: insecure")
}

// settle finds what contradicts itself.
func (e *endpoints) settle() error {
	if (e.files.Cert == "") != (e.files.Key == "") || e.files.CA != "" && e.files.Cert == "" {
		return cli.Usagef("--tls-cert-file and --tls-key-file are needed together, also for --tls-client-ca-file")
	}
	if len(e.clients) > 0 && e.files.CA == "" {
		return cli.Usagef("--tls-client-name needs --tls-client-ca-file")
	}
	if e.addr != "" && !isLoopback(e.addr) && e.files.CA == "" && !e.allowRemote {
		return cli.Usagef("--http-addr %s is not a loopback address: give --tls-client-ca-file, without which everybody may read whose traffic is seen; --metrics-addr shows the metrics only", e.addr)
	}
	return nil
}

// isLoopback reports whether an address is reached from this machine only.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// serve answers until ctx ends.
func (e *endpoints) serve(ctx context.Context, t *clovisor.Tracer, logger *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	if e.addr != "" {
		handler, err := routes(t, true)
		if err != nil {
			return err
		}
		var config *tls.Config
		if e.files.Cert != "" {
			if config, err = certfile.Server(e.files, e.files.CA != "", logger); err != nil {
				return cli.Usagef("--tls-cert-file, --tls-key-file, --tls-client-ca-file: %w", err)
			}
		}
		group.Go(func() error { return listen(ctx, e.addr, newServer(e.authenticated(handler), config, logger)) })
	}
	if e.metricsAddr != "" {
		handler, err := routes(t, false)
		if err != nil {
			return err
		}
		group.Go(func() error { return listen(ctx, e.metricsAddr, newServer(handler, nil, logger)) })
	}
	return group.Wait()
}

// authenticated lets clients in whose certificate has one of the names. That
// there is one, TLS has seen to.
func (e *endpoints) authenticated(next http.Handler) http.Handler {
	if e.files.CA == "" {
		return next
	}
	certificates := auth.Certificates{Names: e.clients}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := certificates.Authenticate(r.Context(), auth.Credentials{Certificate: r.TLS.PeerCertificates[0]}); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readLimit is how long a client may take to ask; only tests change it.
var readLimit = 10 * time.Second

// Limits of an answer and of a request's header.
const (
	writeLimit     = 30 * time.Second
	maxHeaderBytes = 16 << 10
)

func newServer(h http.Handler, config *tls.Config, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: config, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: readLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit,
		IdleTimeout: time.Minute, MaxHeaderBytes: maxHeaderBytes,
	}
}

// listen answers on an address until ctx ends.
func listen(ctx context.Context, addr string, s *http.Server) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w\nChoose another address with --http-addr or --metrics-addr", err)
	}
	if s.TLSConfig != nil {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.Shutdown(end) // whoever is still reading is cut off
		_ = s.Close()
	}()
	err = s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		<-done
		return nil
	}
	return err
}

// routes are what is answered. All of it may only be read.
func routes(t *clovisor.Tracer, ledger bool) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	err := errors.Join(registry.Register(t), registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := t.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if ledger {
		mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(t.Ledger()) // whoever asked has gone
		})
	}
	return mux, nil
}
