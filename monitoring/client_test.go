package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// fakeAPI answers each path with a body; a path that is not there is a 404.
func fakeAPI(t *testing.T, opts Options, paths map[string]string) *Client {
	t.Helper()
	return handlerAPI(t, opts, func(w http.ResponseWriter, r *http.Request) {
		body, ok := paths[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	})
}

func handlerAPI(t *testing.T, opts Options, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	if opts.URL == "" {
		opts.URL = server.URL
	}
	return mustNew(t, opts)
}

func mustNew(t *testing.T, opts Options) *Client {
	t.Helper()
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// vector renders an instant query's answer from "name{a=b,…} value" pairs.
func vector(samples ...string) string {
	var b strings.Builder
	b.WriteString(`{"status":"success","warnings":["a warning"],"data":{"resultType":"vector","result":[`)
	for i, s := range samples {
		if i > 0 {
			b.WriteByte(',')
		}
		series, value, _ := cutLast(s, ' ')
		name, rest, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		metric := map[string]string{}
		if name != "" {
			metric["__name__"] = name
		}
		for _, pair := range strings.Split(rest, ",") {
			if k, v, ok := strings.Cut(pair, "="); ok {
				metric[k] = v
			}
		}
		text, _ := json.Marshal(metric)
		fmt.Fprintf(&b, `{"metric":%s,"value":[1700000100,%q]}`, text, value)
	}
	b.WriteString(`]}}`)
	return b.String()
}

func TestErrorKinds(t *testing.T) {
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	tests := []struct {
		name  string
		h     http.HandlerFunc
		kind  Kind
		text  string
		match error
	}{
		{"bad query", answer(400, `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`), KindInvalid, "parse error", ErrInvalid},
		{"too heavy", answer(422, `{"status":"error","errorType":"execution","error":"too many samples"}`), KindInvalid, "too many samples", ErrInvalid},
		{"timeout", answer(503, `{"status":"error","errorType":"timeout","error":"query timed out"}`), KindTemporary, "query timed out", ErrTemporary},
		{"bad gateway", answer(502, "<html>bad gateway</html>"), KindTemporary, "status 502", ErrTemporary},
		{"rate limit", answer(429, "slow down"), KindTemporary, "slow down", ErrTemporary},
		{"unauthorized", answer(401, ""), KindPermanent, "bearer token", ErrPermanent},
		{"wrong path", answer(404, ""), KindUnsupported, "path prefix", ErrUnsupported},
		{"web page", answer(200, "<html>hello</html>"), KindUnsupported, "no Prometheus API", ErrUnsupported},
		{"long text", answer(500, strings.Repeat("é", 1000)), KindTemporary, "…", ErrTemporary},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := handlerAPI(t, Options{}, tt.h)
			_, _, err := c.Instant(t.Context(), "up", time.Time{})
			assertError(t, err, "query", tt.kind, tt.text, tt.match)
			if len(err.Error()) > 1000 {
				t.Errorf("message of %d bytes", len(err.Error()))
			}
		})
	}
}

func assertError(t *testing.T, err error, op string, kind Kind, text string, match error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want *Error", err, err)
	}
	if e.Op != op || e.Kind != kind || !errors.Is(err, match) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %q: op %q kind %q, want op %q kind %q and %q in the text", err, e.Op, e.Kind, op, kind, text)
	}
}

func TestConnectionRefused(t *testing.T) {
	url := "http://" + testutil.FreeAddr(t)
	err := mustNew(t, Options{URL: url}).Check(t.Context())
	assertError(t, err, "check", KindTemporary, "prometheus check "+url+": connection refused (is Prometheus running there?", ErrTemporary)
}

func TestTimeoutAndCancel(t *testing.T) {
	block := func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // a server notices a closed connection once the body is read
		<-r.Context().Done()
	}
	c := handlerAPI(t, Options{Timeout: 20 * time.Millisecond}, block)
	_, _, err := c.Instant(t.Context(), "up", time.Time{})
	assertError(t, err, "query", KindTemporary, "no answer in time", context.DeadlineExceeded)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = c.Instant(ctx, "up", time.Time{})
	assertError(t, err, "query", KindPermanent, "canceled", context.Canceled)
}

func TestLimits(t *testing.T) {
	body := vector("a{} 1", "b{} 2", "c{} 3")
	paths := map[string]string{
		"/api/v1/query":          body,
		"/api/v1/label/x/values": `{"status":"success","data":["a","b","c"]}`,
	}
	c := fakeAPI(t, Options{MaxSamples: 2}, paths)
	_, _, err := c.Instant(t.Context(), "x", time.Time{})
	assertError(t, err, "query", KindInvalid, "more than 2 samples", ErrTooLarge)
	_, err = c.LabelValues(t.Context(), "x", nil, time.Time{}, time.Time{})
	assertError(t, err, "label values", KindInvalid, "more than 2", ErrTooLarge)

	exact := fakeAPI(t, Options{MaxSamples: 3, MaxResponseBytes: int64(len(body))}, paths)
	if s, w, err := exact.Instant(t.Context(), "x", time.Time{}); err != nil || len(s) != 3 || !slices.Equal(w, []string{"a warning"}) {
		t.Errorf("at the limits: %v, %v, %v", s, w, err)
	}
	small := fakeAPI(t, Options{MaxResponseBytes: int64(len(body)) - 1}, paths)
	_, _, err = small.Instant(t.Context(), "x", time.Time{})
	assertError(t, err, "query", KindInvalid, "bytes", ErrTooLarge)
}

func TestRangeInput(t *testing.T) {
	c := mustNew(t, Options{})
	now := time.Now()
	for field, f := range map[string]func() error{
		"step": func() error { _, _, err := c.Range(t.Context(), "up", now.Add(-time.Hour), now, 0); return err },
		"to": func() error {
			_, _, err := c.Range(t.Context(), "up", now, now.Add(-time.Hour), time.Second)
			return err
		},
		"a step of at least 8s": func() error {
			_, _, err := c.Range(t.Context(), "up", now.Add(-24*time.Hour), now, time.Second)
			return err
		},
	} {
		assertError(t, f(), "range query", KindInvalid, field, ErrInvalid)
	}
	_, _, err := c.Raw(t.Context(), "up", now, now)
	assertError(t, err, "raw query", KindInvalid, "not after", ErrInvalid)
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	write := func(s string) {
		if err := os.WriteFile(token, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got http.Header
	var host string
	h := func(w http.ResponseWriter, r *http.Request) {
		got, host = r.Header.Clone(), r.Host
		fmt.Fprint(w, `{"status":"success","data":{"version":"9.9"}}`)
	}
	c := handlerAPI(t, Options{BearerTokenFile: token, Headers: http.Header{"x-scope-orgid": {"a"}, "Host": {"prom.example"}}}, h)
	for _, want := range []string{"one", "two"} { // rotated between requests
		write(want + "\n")
		version, err := c.Version(t.Context())
		if err != nil || version != "9.9" {
			t.Fatalf("Version() = %q, %v", version, err)
		}
		if got.Get("Authorization") != "Bearer "+want || got.Get("X-Scope-Orgid") != "a" || host != "prom.example" {
			t.Errorf("sent %v to host %q", got, host)
		}
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	assertError(t, c.Check(t.Context()), "check", KindPermanent, "credentials", os.ErrNotExist)

	server := httptest.NewServer(http.HandlerFunc(h))
	defer server.Close()
	basic := mustNew(t, Options{URL: strings.Replace(server.URL, "http://", "http://joe:s3cret@", 1)})
	if err := basic.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Basic am9lOnMzY3JldA==" || strings.Contains(basic.URL(), "s3cret") {
		t.Errorf("basic auth: sent %q, URL %q", got.Get("Authorization"), basic.URL())
	}
}

// TestCredentialsStayHome checks that a redirect to another host is not
// followed: neither credentials nor headers get there, and who answers cannot
// make Clover ask others.
func TestCredentialsStayHome(t *testing.T) {
	var asked atomic.Bool
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Store(true)
		fmt.Fprint(w, vector())
	}))
	defer other.Close()
	// Another loopback address is another host, and needs no name service.
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil { // only Linux has more than one in IPv4
		l, err = net.Listen("tcp", "[::1]:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	other.Listener.Close()
	other.Listener = l
	other.Start()
	away := other.URL
	c := handlerAPI(t, Options{BearerToken: "t"}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, away+r.URL.Path, http.StatusTemporaryRedirect)
	})
	if _, _, err := c.Instant(t.Context(), "up", time.Time{}); !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("a redirect to another host: %v", err)
	}
	if asked.Load() {
		t.Error("another host was asked")
	}
}

// TestRedirectsOfAPrefixAreFollowed checks one on the same host.
func TestRedirectsOfAPrefixAreFollowed(t *testing.T) {
	c := handlerAPI(t, Options{BearerToken: "t"}, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/prometheus/") {
			http.Redirect(w, r, "/prometheus"+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		if r.Header.Get("Authorization") != "Bearer t" {
			t.Error("the token is missing")
		}
		fmt.Fprint(w, vector())
	})
	if _, _, err := c.Instant(t.Context(), "up", time.Time{}); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"version":"1"}}`)
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mustNew(t, Options{URL: server.URL, TLS: TLSOptions{CAFile: ca}}).Check(t.Context()); err != nil {
		t.Errorf("trusted CA: %v", err)
	}
	if err := mustNew(t, Options{URL: server.URL, TLS: TLSOptions{InsecureSkipVerify: true}}).Check(t.Context()); err != nil {
		t.Errorf("skip verify: %v", err)
	}
	assertError(t, mustNew(t, Options{URL: server.URL}).Check(t.Context()), "check", KindPermanent, "CA file", ErrPermanent)
	assertError(t, mustNew(t, Options{URL: server.URL, TLS: TLSOptions{CAFile: ca, ServerName: "other.test"}}).Check(t.Context()),
		"check", KindPermanent, "server name", ErrPermanent)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	assertError(t, mustNew(t, Options{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Check(t.Context()),
		"check", KindPermanent, "does not speak TLS", ErrPermanent)
}

func TestOptionsInvalid(t *testing.T) {
	for field, o := range map[string]Options{
		"URL":            {URL: "prometheus:9090"},
		"BearerToken":    {BearerToken: "a", BearerTokenFile: "b"},
		"BasicAuth":      {BearerToken: "a", BasicAuth: BasicAuth{User: "u"}},
		"TLS":            {TLS: TLSOptions{CertFile: "c"}},
		"TLS.CAFile":     {TLS: TLSOptions{CAFile: samplePath}},
		"TLS.CertFile":   {TLS: TLSOptions{CertFile: samplePath, KeyFile: samplePath}},
		"Transport":      {Transport: http.DefaultTransport, TLS: TLSOptions{ServerName: "x"}},
		"MaxSamples":     {MaxSamples: -1},
		"options BasicA": {BasicAuth: BasicAuth{Password: "p"}},
	} {
		_, err := New(o)
		assertError(t, err, "options", KindInvalid, field, ErrInvalid)
	}
	c := mustNew(t, Options{})
	if c.URL() != DefaultURL || c.opts.Timeout != DefaultTimeout {
		t.Errorf("zero options give %s, %v", c.URL(), c.opts.Timeout)
	}
}

func TestCheckWithoutBuildInfo(t *testing.T) {
	c := fakeAPI(t, Options{}, map[string]string{"/api/v1/query": vector("{} 1")})
	if version, err := c.Version(t.Context()); err != nil || version != "" {
		t.Errorf("Version() = %q, %v", version, err)
	}
	_, err := c.Targets(t.Context())
	assertError(t, err, "targets", KindUnsupported, "404", ErrUnsupported)
}

func TestGetWherePostIsRefused(t *testing.T) {
	c := handlerAPI(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Query().Get("query") != "up" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		fmt.Fprint(w, vector("up{} 1"))
	})
	samples, _, err := c.Instant(t.Context(), "up", time.Time{})
	if err != nil || len(samples) != 1 {
		t.Errorf("Instant() = %v, %v", samples, err)
	}
}

func TestInstantForms(t *testing.T) {
	at := time.UnixMilli(1700000100_500).UTC()
	for body, want := range map[string][]Sample{
		`{"resultType":"scalar","result":[1700000100.5,"NaN"]}`: {{Labels: map[string]string{}, Value: math.NaN(), Time: at}},
		`{"resultType":"vector","result":[{"metric":{"__name__":"a","x":"y"},"value":[1700000100.5,"+Inf"]}]}`: {
			{"a", map[string]string{"x": "y"}, math.Inf(1), at}},
		`{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":[[1700000100.5,"1"],[1700000101.5,"2"]]}]}`: {
			{"a", map[string]string{}, 1, at}, {"a", map[string]string{}, 2, at.Add(time.Second)}},
		`{"resultType":"vector","result":[]}`: {},
	} {
		c := fakeAPI(t, Options{}, map[string]string{"/api/v1/query": `{"status":"success","data":` + body + `}`})
		got, _, err := c.Instant(t.Context(), "x", at)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		equal := slices.EqualFunc(got, want, func(a, b Sample) bool {
			sameValue := a.Value == b.Value || math.IsNaN(a.Value) && math.IsNaN(b.Value)
			return a.Metric == b.Metric && maps.Equal(a.Labels, b.Labels) && sameValue && a.Time.Equal(b.Time)
		})
		if !equal {
			t.Errorf("%s: got %v, want %v", body, got, want)
		}
	}
	c := fakeAPI(t, Options{}, map[string]string{"/api/v1/query": `{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`})
	_, _, err := c.Instant(t.Context(), `"x"`, at)
	assertError(t, err, "query", KindInvalid, "string", ErrInvalid)
}
