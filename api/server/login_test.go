package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/internal/testutil"
)

// browser keeps cookies, asks for pages, and goes where it is sent to.
type browser struct {
	t    *testing.T
	s    *secured
	http *http.Client
}

func (s *secured) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &browser{t, s, &http.Client{Transport: s.http.Transport, Jar: jar}}
}

// visit asks for a page; a form is posted. Headers are "Name: value".
func (b *browser) visit(method, path string, form url.Values, headers ...string) (res *http.Response, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.s.rest+path, strings.NewReader(form.Encode()))
	check(b.t, err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.s.rest)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err = b.http.Do(req)
	check(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(b.t, err)
	return res, string(text)
}

// page says who reads it.
var page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "the page of %q", server.SessionUser(r.Context()))
})

// hashOf is the hash of a page's element, for a Content-Security-Policy.
func hashOf(page, element string) string {
	_, text, _ := strings.Cut(page, "<"+element+">")
	text, _, _ = strings.Cut(text, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// TestBrowserSignsInAndOut goes the way of a person with a browser.
func TestBrowserSignsInAndOut(t *testing.T) {
	var audit testutil.Output
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{Root: page, Audit: slog.New(slog.NewTextHandler(&audit, nil))})
	b := s.browser(t)
	res, body := b.visit("GET", "/", nil)
	if res.Request.URL.Path != "/login" || res.StatusCode != http.StatusOK || !strings.Contains(body, `type="password"`) {
		t.Fatalf("%s %s %s, want the form", res.Request.URL, res.Status, body)
	}
	for _, want := range []string{
		"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "style-src " + hashOf(body, "style") + ";", "script-src " + hashOf(body, "script") + ";",
	} {
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q, want %q", policy, want)
		}
	}

	res, body = b.visit("POST", "/login", url.Values{"token": {"nonsense <b>"}})
	if res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "nonsense") || len(res.Cookies()) != 0 || !strings.Contains(body, `role="alert"`) {
		t.Errorf("a wrong token: %s %s %v", res.Status, body, res.Cookies())
	}
	res, body = b.visit("POST", "/login", url.Values{"token": {" " + readerToken + "\n"}})
	if res.Request.URL.Path != "/" || body != `the page of "rita"` {
		t.Fatalf("%s %s %s, want the page", res.Request.URL, res.Status, body)
	}
	given := res.Request.Response.Cookies()
	if len(given) != 1 || !given[0].HttpOnly || !given[0].Secure || given[0].SameSite != http.SameSiteStrictMode || given[0].Domain != "" ||
		given[0].Path != "/" || !strings.HasPrefix(given[0].Name, "__Host-") || len(given[0].Value) < 40 || strings.Contains(given[0].Value, readerToken) {
		t.Errorf("cookies %v", given)
	}
	session := given[0].Name + "=" + given[0].Value

	for _, foreign := range [][]string{{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example.com"}, {"Sec-Fetch-Site: ", "Origin: https://evil.example.com"}} {
		for _, path := range []string{"/logout", "/login"} {
			if res, _ := b.visit("POST", path, url.Values{"token": {operatorToken}}, foreign...); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s from a foreign page: %s, want 403", path, res.Status)
			}
		}
	}
	if res, _ := s.ask(t, http.MethodPost, "/logout", ""); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %s, want 415", res.Status)
	}
	if res, _ := b.visit("GET", "/logout", nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("GET /logout: %s, want 403", res.Status)
	}
	if _, body := b.visit("GET", "/", nil); body != `the page of "rita"` {
		t.Errorf("still signed in: %s", body)
	}

	res, _ = b.visit("POST", "/logout", url.Values{})
	if res.Request.URL.Path != "/login" {
		t.Errorf("signed out: %s %s", res.Request.URL, res.Status)
	}
	// The cookie is of no use to one who has kept it.
	for _, headers := range [][]string{nil, {"Cookie: " + session}} {
		if res, _ := b.visit("GET", "/", nil, headers...); res.Request.URL.Path != "/login" {
			t.Errorf("after signing out: %s", res.Request.URL)
		}
	}
	if log := audit.String(); !strings.Contains(log, `call="POST /login"`) || !strings.Contains(log, "user=rita") || strings.Contains(log, readerToken) {
		t.Errorf("audit log: %s", log)
	}
	// Programs are told as before.
	if res, _ := s.ask(t, http.MethodGet, "/", ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a program: %s, want 401", res.Status)
	}
}

// signIn signs a browser in and returns its cookie.
func (b *browser) signIn(token, next string) (cookie string, res *http.Response) {
	b.t.Helper()
	res, body := b.visit("POST", "/login", url.Values{"token": {token}, "next": {next}})
	if res.Request.URL.Path == "/login" {
		b.t.Fatalf("not signed in: %s %s", res.Status, body)
	}
	return res.Request.Response.Cookies()[0].String(), res
}

// TestTheAPIBelievesACookieFromItsOwnPages asks the API with the cookie of a
// browser, as pages of this server do, and as others would.
func TestTheAPIBelievesACookieFromItsOwnPages(t *testing.T) {
	s := startSecured(t, &endless{}, server.Options{Root: page})
	reader, _ := s.browser(t).signIn(readerToken, "")
	operator, _ := s.browser(t).signIn(operatorToken, "")
	const read, change = "GET /api/v1/visibility/status", "POST /api/v1/visibility/clear"
	own, theirs := "Origin: "+s.rest, "Origin: https://evil.example.com"
	for _, c := range []struct {
		request, cookie string
		want            int
		headers         []string
	}{
		{read, reader, 200, []string{"Sec-Fetch-Site: same-origin"}},
		{read, reader, 200, []string{"Sec-Fetch-Site: none"}},
		{read, reader, 200, nil}, // over plain HTTP
		{read, reader, 401, []string{"Sec-Fetch-Site: same-site"}},
		{read, reader, 401, []string{"Sec-Fetch-Site: cross-site", theirs}},
		{read, reader, 401, []string{theirs}},
		{read, reader, 401, []string{"Origin: null"}},
		{change, operator, 501, []string{"Sec-Fetch-Site: same-origin", own}}, // the service has no such method
		{change, operator, 501, []string{own}},
		{change, operator, 401, nil},
		{change, operator, 401, []string{"Sec-Fetch-Site: none"}},
		{change, operator, 401, []string{"Sec-Fetch-Site: same-site", own}},
		{change, operator, 401, []string{theirs}},
		{change, operator, 415, []string{own, "Content-Type: text/plain"}},
		{change, reader, 403, []string{own}},
		{change, "clover-session=x; __Host-clover-session=y", 401, []string{own}},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		if res, body := s.ask(t, method, path, "", append(c.headers, "Cookie: "+c.cookie)...); res.StatusCode != c.want {
			t.Errorf("%s %q: %s %s, want %d", c.request, c.headers, res.Status, body, c.want)
		}
	}
}

// TestSessionSaysWhatItsUserMayDo holds what pages ask for.
func TestSessionSaysWhatItsUserMayDo(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{Root: page})
	reader, _ := s.browser(t).signIn(readerToken, "")
	operator, _ := s.browser(t).signIn(operatorToken, "")
	for _, c := range []struct{ cookie, token, want string }{
		{reader, "", `{"user":"rita","signed_in":true,"may_update":false,"may_delete":false}`},
		{operator, "", `{"user":"olaf","signed_in":true,"may_update":true,"may_delete":true}`},
		{"", operatorToken, `{"user":"olaf","signed_in":false,"may_update":true,"may_delete":true}`},
	} {
		if res, body := s.ask(t, "GET", "/session", c.token, "Cookie: "+c.cookie); res.StatusCode != 200 || strings.TrimSpace(body) != c.want {
			t.Errorf("%s %s, want %s", res.Status, body, c.want)
		}
	}
	f := start(t)
	res, err := http.Get(f.rest + "/session")
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	if want := `{"user":"anonymous","signed_in":false,"may_update":true,"may_delete":true}`; strings.TrimSpace(string(body)) != want {
		t.Errorf("where nobody is asked: %s, want %s", body, want)
	}
}

// TestSigningInLeadsToThePageAskedFor follows a link into the page, and links
// that would lead elsewhere.
func TestSigningInLeadsToThePageAskedFor(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{Root: page})
	b := s.browser(t)
	const deep = "/traces?filter=url%20%3D%20%22%2Fa%22&from=1"
	res, body := b.visit("GET", deep, nil)
	if res.Request.URL.Path != "/login" || !strings.Contains(body, `name="next" value="/traces?filter=url%20%3D%20%22%2Fa%22&amp;from=1"`) {
		t.Errorf("%s %s", res.Request.URL, body)
	}
	for next, want := range map[string]string{
		deep: deep, "/#/traces/4bf9?range=1h": "/#/traces/4bf9?range=1h", "": "/", "https://evil.example.com/": "/", "//evil.example.com/": "/", "/\\evil.example.com/": "/",
		"/\tx": "/", "javascript:alert(1)": "/", "/logout": "/", "traces": "/",
	} {
		if _, res := s.browser(t).signIn(readerToken, next); res.Request.URL.String() != s.rest+want {
			t.Errorf("next %q leads to %s, want %s", next, res.Request.URL, want)
		}
	}
	if res, body := b.visit("POST", "/login", url.Values{"token": {"wrong"}, "next": {deep}}); res.StatusCode != 401 || !strings.Contains(body, `value="/traces?`) {
		t.Errorf("after a wrong token: %s %s", res.Status, body)
	}
}

// TestStreamsEndWhenTheBrowserSignsOut opens a stream by cookie.
func TestStreamsEndWhenTheBrowserSignsOut(t *testing.T) {
	s := startSecured(t, &endless{}, server.Options{Root: page, Recheck: 10 * time.Millisecond})
	b := s.browser(t)
	b.signIn(readerToken, "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.rest+"/api/v1/visibility/spans", http.NoBody)
	check(t, err)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := b.http.Do(req)
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	b.visit("POST", "/logout", url.Values{})
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "signed out") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestSessionsEnd lets a session's time run out.
func TestSessionsEnd(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{Root: page, SessionLifetime: time.Nanosecond})
	b := s.browser(t)
	if res, _ := b.visit("POST", "/login", url.Values{"token": {readerToken}}); res.Request.URL.Path != "/login" {
		t.Errorf("%s %s, want the form again", res.Request.URL, res.Status)
	}
}

// TestWithoutAPageThereIsNoLogin holds that the form is for a page.
func TestWithoutAPageThereIsNoLogin(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{})
	if res, _ := s.browser(t).visit("GET", "/login", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s, want 401", res.Status)
	}
}

// endless has streams that end with their callers, and counts how often it is
// asked for its status.
type endless struct {
	v1.UnimplementedVisibilityServiceServer
	asked atomic.Int64
}

func (*endless) ObserveSpans(_ *v1.ObserveSpansRequest, out grpc.ServerStreamingServer[v1.ObserveSpansResponse]) error {
	if err := out.Send(&v1.ObserveSpansResponse{}); err != nil {
		return err
	}
	<-out.Context().Done()
	return nil
}

func (e *endless) GetStatus(context.Context, *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	e.asked.Add(1)
	return &v1.GetStatusResponse{}, nil
}

// TestStreamsEndWithTheirRights takes a token away under open streams, of
// gRPC and of REST.
func TestStreamsEndWithTheirRights(t *testing.T) {
	ca := testutil.NewAuthority(t)
	files := certfile.Files{}
	files.Cert, files.Key = ca.Server(t)
	silent := slog.New(slog.DiscardHandler)
	config, err := certfile.Server(files, false, silent)
	check(t, err)
	tokenFile := filepath.Join(t.TempDir(), "tokens")
	check(t, os.WriteFile(tokenFile, []byte(readerToken+",rita,reader\n"+operatorToken+",olaf,operator\n"), 0o600))
	tokens, err := auth.NewTokens(tokenFile, silent)
	check(t, err)
	var audit testutil.Output
	srv, err := server.New(t.Context(), &endless{}, withAnyPorts(server.Options{
		TLS: config, Authenticator: tokens, Recheck: 10 * time.Millisecond, Audit: slog.New(slog.NewTextHandler(&audit, nil)),
	}))
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-done) })
	grpcAddr, rest := srv.Addrs()

	conn, err := grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(credentials.NewTLS(ca.ClientConfig(t))))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	observe := func(token string) grpc.ServerStreamingClient[v1.ObserveSpansResponse] {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		stream, err := v1.NewVisibilityServiceClient(conn).ObserveSpans(ctx, &v1.ObserveSpansRequest{})
		check(t, err)
		_, err = stream.Recv()
		check(t, err)
		return stream
	}
	ritas := observe(readerToken)
	olafs := observe(operatorToken)
	transport := &http.Transport{TLSClientConfig: ca.ClientConfig(t)}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+rest+"/api/v1/visibility/spans", http.NoBody)
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+readerToken)
	res, err := (&http.Client{Transport: transport}).Do(req)
	check(t, err)
	defer res.Body.Close()

	check(t, os.WriteFile(tokenFile, []byte(operatorToken+",olaf,operator\n"), 0o600))
	if _, err := ritas.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gRPC: %v, want Unauthenticated", err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), "the token is not known") {
		t.Errorf("REST: %s, %v", text, err)
	}
	if log := audit.String(); strings.Count(log, "ObserveSpans") != 2 || !strings.Contains(log, "user=rita") {
		t.Errorf("audit log: %s", log)
	}
	// The same token, and it is no longer who it was.
	check(t, os.WriteFile(tokenFile, []byte(operatorToken+",mallory,operator\n"), 0o600))
	if _, err := olafs.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("another user's token: %v, want Unauthenticated", err)
	}
}

// TestReadinessIsAskedForOnce has many ask for readiness at a time.
func TestReadinessIsAskedForOnce(t *testing.T) {
	service := &endless{}
	s := startSecured(t, service, server.Options{RateLimit: -1})
	start := time.Now()
	for range 50 {
		if res, body := s.ask(t, http.MethodGet, "/readyz", ""); res.StatusCode != http.StatusOK || body != "ready\n" {
			t.Fatalf("%s %s", res.Status, body)
		}
	}
	if n, most := service.asked.Load(), 1+int64(time.Since(start)/time.Second); n > most {
		t.Errorf("asked %d times in %s, want %d at most", n, time.Since(start), most)
	}
}
