package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// BenchmarkMirror sends requests one after another through a proxy whose
// mirror is healthy, dead, slow, or takes connections and never answers. The
// main path must not tell the difference.
func BenchmarkMirror(b *testing.B) {
	healthy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer healthy.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct{ name, address string }{
		{"healthy", strings.TrimPrefix(healthy.URL, "http://")},
		{"dead", testutil.FreeAddr(b)},
		{"slow", strings.TrimPrefix(slow.URL, "http://")},
		{"silent", silent.Addr().String()},
	} {
		b.Run(c.name, func(b *testing.B) { mirrored(b, c.address) })
	}
}

// mirrored measures requests with a mirror, and fails if one fails.
func mirrored(b *testing.B, mirror string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer server.Close()
	p := proxy.New(proxy.Options{ShutdownTimeout: time.Millisecond})
	config := benchConfig([]string{"127.0.0.1:0", strings.TrimPrefix(server.URL, "http://")})
	config.Listeners, config.Mirror = nil, loadbalancer.Mirror{Address: mirror}
	if _, err := p.Apply(b.Context(), config); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	defer func() {
		cancel()
		<-ran
	}()
	front := httptest.NewServer(p)
	defer front.Close()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		res, err := front.Client().Get(front.URL)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res.Status, err)
		}
		res.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
}
