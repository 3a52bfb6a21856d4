package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/internal/testutil"
)

// TestTLSAndClientCertificates opens connections as they should not be, and
// calls with a certificate in place of a token.
func TestTLSAndClientCertificates(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{})
	foreign := testutil.NewAuthority(t)
	oldTLS := s.ca.ClientConfig(t)
	oldTLS.MaxVersion = tls.VersionTLS12
	foreignCert, foreignKey := foreign.Client(t, "mallory")
	serverCert, serverKey := s.ca.Server(t)
	for name, config := range map[string]*tls.Config{
		"another authority's server": foreign.ClientConfig(t),
		"TLS 1.2":                    oldTLS,
		"another authority's client": s.ca.ClientConfig(t, foreignCert, foreignKey),
		"a server's certificate":     s.ca.ClientConfig(t, serverCert, serverKey),
	} {
		if got := call(t, s.conn(t, config), v1.VisibilityService_Clear_FullMethodName, false); got != codes.Unavailable {
			t.Errorf("gRPC with %s: %s, want Unavailable", name, got)
		}
		transport := &http.Transport{TLSClientConfig: config}
		res, err := (&http.Client{Transport: transport}).Get(s.rest + "/healthz")
		if err == nil {
			res.Body.Close()
			t.Errorf("REST with %s: %s, want an error", name, res.Status)
		}
		transport.CloseIdleConnections()
	}
	res, err := http.Get(strings.Replace(s.rest, "https:", "http:", 1) + "/healthz")
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %s", res.Status)
	}
	http.DefaultClient.CloseIdleConnections()

	cert, key := s.ca.Client(t, "clover-controller")
	if got := call(t, s.conn(t, s.ca.ClientConfig(t, cert, key)), v1.VisibilityService_Clear_FullMethodName, false); got != codes.Unimplemented {
		t.Errorf("gRPC by certificate: %s, want that it reaches its service", got)
	}
	s.http = s.client(t, cert, key)
	if res, _ := s.ask(t, http.MethodPost, "/api/v1/visibility/clear", ""); res.StatusCode != http.StatusNotImplemented || res.ProtoMajor != 2 {
		t.Errorf("REST by certificate: %s by %s, want 501 by HTTP/2", res.Status, res.Proto)
	}
	if res, _ := s.ask(t, http.MethodPost, "/api/v1/visibility/clear", readerToken); res.StatusCode != http.StatusForbidden {
		t.Errorf("a reader's token beside a certificate: %s, want 403", res.Status)
	}
}

// TestOtherAddressesNeedProtection tries addresses that are not loopback.
func TestOtherAddressesNeedProtection(t *testing.T) {
	service := v1.UnimplementedVisibilityServiceServer{}
	for name, c := range map[string]struct {
		o    server.Options
		want []string
	}{
		"nothing":                {server.Options{}, []string{"--tls-cert-file", "--auth", "--allow-remote", "--grpc-addr 0.0.0.0:0"}},
		"only TLS":               {server.Options{TLS: &tls.Config{}}, []string{"needs authentication"}},
		"only authentication":    {server.Options{Authenticator: auth.Certificates{}}, []string{"needs TLS"}},
		"both":                   {server.Options{TLS: &tls.Config{}, Authenticator: auth.Certificates{}}, nil},
		"neither, and they know": {server.Options{AllowRemote: true}, nil},
	} {
		c.o.GRPCAddr, c.o.RESTAddr = "0.0.0.0:0", "-"
		srv, err := server.New(t.Context(), service, c.o)
		if err == nil {
			check(t, srv.Close())
		}
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// TestTooManyRequests goes over the rate of one caller.
func TestTooManyRequests(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{RateLimit: 0.01})
	waits := func(res *http.Response) bool {
		after, err := strconv.Atoi(res.Header.Get("Retry-After"))
		return res.StatusCode == http.StatusTooManyRequests && err == nil && after > 0
	}
	if res, _ := s.ask(t, http.MethodGet, "/api/v1/visibility/status", readerToken); res.StatusCode != http.StatusNotImplemented {
		t.Errorf("the first: %s", res.Status)
	}
	for _, path := range []string{"/api/v1/visibility/status", "/api/v1/visibility/spans", "/metrics"} {
		if res, body := s.ask(t, http.MethodGet, path, readerToken); !waits(res) || !strings.Contains(body, "come again") {
			t.Errorf("%s: %s %v %s, want 429 with Retry-After", path, res.Status, res.Header, body)
		}
	}
	conn := s.conn(t, s.ca.ClientConfig(t))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+readerToken)
	_, err := v1.NewVisibilityServiceClient(conn).GetStatus(ctx, &v1.GetStatusRequest{})
	details := status.Convert(err).Details()
	if len(details) != 1 || status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("gRPC: %v with %v", err, details)
	}
	if retry, ok := details[0].(*errdetails.RetryInfo); !ok || retry.GetRetryDelay().AsDuration() <= time.Second {
		t.Errorf("gRPC: %v", details)
	}
	if res, _ := s.ask(t, http.MethodGet, "/api/v1/visibility/status", operatorToken); res.StatusCode != http.StatusNotImplemented {
		t.Errorf("another caller: %s", res.Status)
	}
	if res, _ := s.ask(t, http.MethodGet, "/api/v1/visibility/status", "a-guess-of-a-token"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: %s", res.Status)
	}
	if res, body := s.ask(t, http.MethodGet, "/api/v1/visibility/status", "another-guess-of-it"); !waits(res) {
		t.Errorf("wrong tokens again and again: %s %s", res.Status, body)
	}
}

// accepting accepts changes.
type accepting struct {
	v1.UnimplementedVisibilityServiceServer
}

func (accepting) UpdateConfig(context.Context, *v1.UpdateConfigRequest) (*v1.UpdateConfigResponse, error) {
	return &v1.UpdateConfigResponse{}, nil
}

func (accepting) GetStatus(context.Context, *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	return &v1.GetStatusResponse{}, nil
}

// TestAudit reads what the audit log says of changes, refusals and reads.
func TestAudit(t *testing.T) {
	var log testutil.Output
	s := startSecured(t, accepting{}, server.Options{Audit: slog.New(slog.NewTextHandler(&log, nil))})
	lines := func() []string { return strings.Split(strings.TrimSpace(log.String()), "\n") }

	s.ask(t, http.MethodGet, "/api/v1/visibility/status", readerToken)
	if log.String() != "" {
		t.Errorf("reading is logged: %s", log.String())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.rest+"/api/v1/visibility/config",
		strings.NewReader(`{"tracing_urls":{"items":["http://me:secret@jaeger:80"]}}`))
	check(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	req.Header.Set("X-Request-Id", "job-17")
	res, err := s.http.Do(req)
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("X-Request-Id") != "job-17" {
		t.Errorf("the change: %s, id %q", res.Status, res.Header.Get("X-Request-Id"))
	}
	wants := [][]string{{
		"level=INFO", "user=olaf", `permission="update visibility"`, "call=/clover.visibility.v1.VisibilityService/UpdateConfig",
		"from=127.0.0.1:", "outcome=OK", "request_id=job-17", "jaeger:80", "xxxxx",
	}}
	s.ask(t, http.MethodPost, "/api/v1/visibility/clear", readerToken, "X-Request-Id: a b\tc")
	wants = append(wants, []string{"level=WARN", "user=rita", "outcome=PermissionDenied", `permission="delete visibility"`})
	s.ask(t, http.MethodPost, "/api/v1/visibility/clear", "a-guess-of-a-token")
	wants = append(wants, []string{"user=unknown", "outcome=Unauthenticated", `call="POST /api/v1/visibility/clear"`})
	call(t, s.conn(t, s.ca.ClientConfig(t)), v1.VisibilityService_Stop_FullMethodName, false, "authorization", "Bearer "+operatorToken)
	wants = append(wants, []string{"user=olaf", "outcome=Unimplemented", "/Stop"})
	if len(lines()) != len(wants) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines()), len(wants), log.String())
	}
	for i, line := range lines() {
		for _, want := range wants[i] {
			if !strings.Contains(line, want) {
				t.Errorf("line %d does not have %s:\n%s", i, want, line)
			}
		}
	}
	for _, secret := range []string{"secret", operatorToken, readerToken, "a-guess", "a b"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, log.String())
		}
	}
}

// TestStrangersCannotFillTheLog comes without a token again and again.
func TestStrangersCannotFillTheLog(t *testing.T) {
	var log testutil.Output
	s := startSecured(t, accepting{}, server.Options{Audit: slog.New(slog.NewTextHandler(&log, nil))})
	began := time.Now()
	for range 200 {
		s.ask(t, http.MethodPost, "/api/v1/visibility/clear", "")
	}
	most := 21 + int(time.Since(began)/time.Second) // 20 at once, then one a second
	if n := strings.Count(log.String(), "outcome=Unauthenticated"); n < 20 || n > most {
		t.Errorf("%d lines of 200 refusals, want %d at most", n, most)
	}
}

// TestPlainAddresses asks the addresses for probes and scrapers.
func TestPlainAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		health, metrics string
		same            bool
	}{
		"apart": {"127.0.0.1:0", "localhost:0", false},
		"one":   {"127.0.0.1:0", "127.0.0.1:0", true},
	} {
		srv, err := server.New(t.Context(), accepting{}, withAnyPorts(server.Options{
			Authenticator: auth.Certificates{}, HealthAddr: c.health, MetricsAddr: c.metrics,
		}))
		check(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- srv.Run(ctx) }()
		health, metrics := srv.PlainAddrs()
		if (health == metrics) != c.same {
			t.Errorf("%s: %s, %s", name, health, metrics)
		}
		for url, want := range map[string]int{
			"http://" + health + "/healthz": 200, "http://" + health + "/readyz": 200, "http://" + metrics + "/metrics": 200, "http://" + metrics + "/readyz": 200,
			"http://" + health + "/api/v1/visibility/status": 404, "http://" + metrics + "/": 404,
		} {
			res, err := http.Get(url)
			check(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s: %d, want %d", name, url, res.StatusCode, want)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		cancel()
		check(t, <-done)
	}
}
