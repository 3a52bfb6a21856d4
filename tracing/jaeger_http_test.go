package tracing

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// answering serves one answer whatever the request.
func answering(t *testing.T, status int, contentType, body string) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})).URL
}

func TestJaegerOptionsAreChecked(t *testing.T) {
	dir := t.TempDir()
	notPEM := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]JaegerOptions{
		"no address":         {},
		"scheme":             {URL: "ftp://jaeger"},
		"query":              {URL: "http://jaeger/?x=1"},
		"no host":            {URL: "http://"},
		"grpc with path":     {URL: "grpc://jaeger/x"},
		"grpc address":       {GRPCAddr: "jaeger"},
		"no gRPC address":    {URL: "http://jaeger", Protocol: JaegerAPIv3GRPC},
		"no HTTP address":    {GRPCAddr: "jaeger:1", Protocol: JaegerLegacy},
		"TLS without https":  {URL: "http://jaeger", TLS: JaegerTLS{InsecureSkipVerify: true}},
		"missing CA":         {URL: "https://jaeger", TLS: JaegerTLS{CAFile: filepath.Join(dir, "none")}},
		"CA is no PEM":       {URL: "https://jaeger", TLS: JaegerTLS{CAFile: notPEM}},
		"key without a cert": {URL: "https://jaeger", TLS: JaegerTLS{KeyFile: notPEM}},
	} {
		if j, err := NewJaeger(o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v", name, j, err)
		}
	}
	secret := "http://user:hush@ja eger"
	if _, err := NewJaeger(JaegerOptions{URL: secret}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("password shown: %v", err)
	}
}

func TestJaegerTellsWhatIsWrong(t *testing.T) {
	closed := testutil.FreeAddr(t)
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "" {
			t.Error("a header went to another host")
		}
	})).URL
	redirecting := serve(t, http.RedirectHandler(elsewhere+"/login", http.StatusFound)).URL
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0) // the client hangs up
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	for _, test := range []struct {
		name, url string
		kind      ErrorKind
		says      string
	}{
		{"nobody", "http://" + closed, ErrorTemporary, "refused"},
		{"HTML", answering(t, 200, "text/html; charset=utf-8", "<!doctype html>"), ErrorPermanent, "HTML"},
		{"HTML unnamed", answering(t, 200, "", "\n <html>"), ErrorPermanent, "HTML"},
		{"redirect", redirecting, ErrorPermanent, "login page"},
		{"401", answering(t, 401, "text/plain", "no"), ErrorPermanent, "credentials refused: 401"},
		{"403", answering(t, 403, "text/plain", "no"), ErrorPermanent, "credentials refused: 403"},
		{"404", answering(t, 404, "text/html", "<html>"), ErrorUnsupported, "404"},
		{"500", answering(t, 500, "application/json", `{"errors":[{"code":500,"msg":"disk is on fire"}]}`), ErrorTemporary, "disk is on fire"},
		{"503", answering(t, 503, "text/plain", "later"), ErrorTemporary, "503"},
		{"other JSON", answering(t, 200, "application/json", `["no"]`), ErrorPermanent, "not as Jaeger writes it"},
		{"no JSON", answering(t, 200, "text/plain", `hello`), ErrorPermanent, "invalid character"},
		{"broken off", answering(t, 200, "application/json", `{"services":["a",`), ErrorTemporary, "unexpected EOF"},
		{"unknown CA", tlsServer.URL, ErrorPermanent, "certificate"},
		{"no TLS", strings.Replace(answering(t, 200, "", ""), "http:", "https:", 1), ErrorPermanent, "want http://"},
	} {
		j := newTestJaeger(t, JaegerOptions{URL: test.url, Headers: map[string]string{"X-Key": "k"}})
		_, err := j.Services(t.Context())
		if err == nil || Classify(err) != test.kind || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: kind %s: %v", test.name, Classify(err), err)
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%s: a %T", test.name, err)
		}
	}
}

func TestJaegerRetryAfter(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})).URL
	j := newTestJaeger(t, JaegerOptions{URL: url, Protocol: JaegerAPIv3HTTP})
	_, err := j.Services(t.Context())
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != ErrorTemporary || e.RetryAfter != 7*time.Second {
		t.Errorf("%v", err)
	}
}

func TestJaegerTimeoutAndCancel(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"services":[`))
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	defer close(release)
	j := newTestJaeger(t, JaegerOptions{URL: server.URL, Timeout: 50 * time.Millisecond})
	if _, err := j.Services(t.Context()); !errors.Is(err, ErrTemporary) {
		t.Errorf("timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Services(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrPermanent) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestJaegerHTTPCredentials goes through TLS with a certificate authority of
// its own, with a token that is renewed.
func TestJaegerHTTPCredentials(t *testing.T) {
	dir := t.TempDir()
	token := "first"
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("X-Tenant") != "acme" || r.Host != "jaeger.test" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"services":["b","a","b"]}`))
	}))
	t.Cleanup(server.Close)
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caFile := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	tokenFile := write("token", []byte("first\n"))
	j := newTestJaeger(t, JaegerOptions{URL: server.URL, TLS: JaegerTLS{CAFile: caFile}, BearerTokenFile: tokenFile,
		Headers: map[string]string{"x-tenant": "acme", "host": "jaeger.test"}})
	for range 2 {
		services, err := j.Services(t.Context())
		if err != nil || len(services) != 2 || services[0] != "a" {
			t.Errorf("%v, %v", services, err)
		}
		token = "second"
		write("token", []byte("second"))
	}
	token = "third"
	if _, err := j.Services(t.Context()); !errors.Is(err, ErrPermanent) || !errors.Is(err, errRefused) {
		t.Errorf("old token: %v", err)
	}
	if err := os.Remove(tokenFile); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Services(t.Context()); !errors.Is(err, ErrInvalid) {
		t.Errorf("no token: %v", err)
	}
}

// TestJaegerDetectsAgain replaces a Jaeger with api_v3 by one without.
func TestJaegerDetectsAgain(t *testing.T) {
	old := false
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !old && strings.HasPrefix(r.URL.Path, "/api/v3/"):
			_, _ = w.Write([]byte(`{"services":["new"]}`))
		case old && r.URL.Path == "/api/services":
			_, _ = w.Write([]byte(`{"data":["old"],"total":1}`))
		default:
			http.NotFound(w, r)
		}
	})).URL
	j := newTestJaeger(t, JaegerOptions{URL: url})
	for _, want := range []string{"new", "", "old"} {
		services, err := j.Services(t.Context())
		if got := strings.Join(services, ","); got != want || (err == nil) != (want != "") {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		old = true
	}
}

// TestJaegerHugeAnswer is over the limit unless few traces are asked for.
func TestJaegerHugeAnswer(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	const span = `{"traceId":"%032x","spanId":"%016x","name":"x","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"filler","value":{"stringValue":"%s"}}]}`
	filler := strings.Repeat("x", 10000)
	requests := 0
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		var limit int
		_, _ = fmt.Sscan(r.FormValue("query.num_traces"), &limit)
		from, _ := time.Parse(time.RFC3339Nano, r.FormValue("query.start_time_min"))
		to, _ := time.Parse(time.RFC3339Nano, r.FormValue("query.start_time_max"))
		var list []string
		for i := 99; i >= 0 && len(list) < limit; i-- {
			at := now.Add(time.Duration(i) * time.Millisecond)
			if !at.Before(from) && !at.After(to) {
				list = append(list, `{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[`+
					fmt.Sprintf(span, i+1, i+1, at.UnixNano(), at.UnixNano(), filler)+`]}]}`)
			}
		}
		_, _ = w.Write([]byte(`{"result":{"resourceSpans":[` + strings.Join(list, ",") + `]}}`))
	})).URL
	j := newTestJaeger(t, JaegerOptions{URL: url, Protocol: JaegerAPIv3HTTP, MaxResponseBytes: 200000})
	spans, pages, err := searchAll(t, j, SearchQuery{Service: "shop", From: now, To: now.Add(time.Second)})
	if err != nil || len(spans) != 100 {
		t.Fatalf("%d spans in %d pages: %v", len(spans), len(pages), err)
	}
	for _, page := range pages {
		if page.Truncated {
			t.Errorf("truncated: %+v", page)
		}
	}
	if requests > 100 {
		t.Errorf("%d requests", requests)
	}
}
