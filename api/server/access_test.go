package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/internal/testutil"
)

const (
	readerToken   = "token-of-the-reader"
	operatorToken = "token-of-the-operator"
)

// secured is a server with TLS and a token file.
type secured struct {
	ca         *testutil.Authority
	rest, grpc string
	http       *http.Client
}

// startSecured serves a service until the test ends.
func startSecured(t *testing.T, service v1.VisibilityServiceServer, o server.Options) *secured {
	t.Helper()
	s := &secured{ca: testutil.NewAuthority(t)}
	files := certfile.Files{CA: s.ca.File}
	files.Cert, files.Key = s.ca.Server(t)
	silent := slog.New(slog.DiscardHandler)
	var err error
	o.TLS, err = certfile.Server(files, false, silent)
	check(t, err)
	tokenFile := filepath.Join(t.TempDir(), "tokens")
	check(t, os.WriteFile(tokenFile, []byte(readerToken+",rita,reader\n"+operatorToken+",olaf,operator\n"), 0o600))
	tokens, err := auth.NewTokens(tokenFile, silent)
	check(t, err)
	o.Authenticator = auth.First{tokens, auth.Certificates{}}
	srv, err := server.New(t.Context(), service, withAnyPorts(o))
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	s.grpc, s.rest = srv.Addrs()
	s.rest = "https://" + s.rest
	s.http = s.client(t)
	t.Cleanup(func() {
		cancel()
		check(t, <-done)
	})
	return s
}

func withAnyPorts(o server.Options) server.Options {
	o.GRPCAddr, o.RESTAddr = "127.0.0.1:0", "127.0.0.1:0"
	return o
}

// client returns an HTTP client with a certificate, if files of one are given.
func (s *secured) client(t *testing.T, certAndKey ...string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.ca.ClientConfig(t, certAndKey...), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// conn returns a gRPC connection with the given TLS.
func (s *secured) conn(t *testing.T, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return conn
}

// ask sends a REST request with a token and further headers, "Name: value".
func (s *secured) ask(t *testing.T, method, path, token string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.rest+path, strings.NewReader("{}"))
	check(t, err)
	if method == http.MethodGet {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := s.http.Do(req)
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	return res, string(body)
}

// call calls any method with an empty message and returns its code. The
// services here implement nothing, so Unimplemented means that the call
// reached its service.
func call(t *testing.T, conn *grpc.ClientConn, method string, streams bool, md ...string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), md...))
	defer cancel()
	if !streams {
		return status.Code(conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	check(t, err)
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	check(t, stream.CloseSend())
	err = stream.RecvMsg(&emptypb.Empty{})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return status.Code(err)
}

// changes are the methods that only an operator may call.
var changes = map[string]bool{
	"/clover.visibility.v1.VisibilityService/UpdateConfig": true,
	"/clover.visibility.v1.VisibilityService/Init":         true,
	"/clover.visibility.v1.VisibilityService/Start":        true,
	"/clover.visibility.v1.VisibilityService/Stop":         true,
	"/clover.visibility.v1.VisibilityService/Clear":        true,
	"/clover.visibility.v1.VisibilityService/Import":       true,
	"/collector.Controller/InitVisibility":                 true,
	"/collector.Controller/StartCollector":                 true,
	"/collector.Controller/StopCollector":                  true,
	"/collector.Controller/TruncateVisibility":             true,

	"/clover.loadbalancer.v1.LoadBalancerService/SetLB":         true,
	"/clover.loadbalancer.v1.LoadBalancerService/SetServer":     true,
	"/clover.loadbalancer.v1.LoadBalancerService/SetProxy":      true,
	"/clover.loadbalancer.v1.LoadBalancerService/ApplyBalancer": true,
	"/clover.loadbalancer.v1.LoadBalancerService/UndoBalancer":  true,
	"/clover.ids.v1.IdsService/AddRule":                         true,
	"/clover.ids.v1.IdsService/StartEngine":                     true,
	"/clover.ids.v1.IdsService/StopEngine":                      true,
	"/clover.ids.v1.IdsService/CreateBlock":                     true,
	"/clover.ids.v1.IdsService/DeleteBlock":                     true,
	"/clover.delivery.v1.DeliveryService/CreateAccount":         true,
	"/clover.delivery.v1.DeliveryService/DeleteAccount":         true,
	"/clover.delivery.v1.DeliveryService/SavePipeline":          true,
	"/clover.delivery.v1.DeliveryService/DeletePipeline":        true,
	"/clover.delivery.v1.DeliveryService/StartPipeline":         true,
	"/clover.delivery.v1.DeliveryService/CancelExecution":       true,
	"/clover.loadtest.v1.LoadTestService/CreatePlan":            true,
	"/clover.loadtest.v1.LoadTestService/StartRun":              true,
	"/clover.loadtest.v1.LoadTestService/StopRun":               true,
}

// callers are whom every route is tried by.
var callers = []struct {
	name, token string
	known       bool
	operator    bool
}{
	{"no token", "", false, false},
	{"wrong token", "token-of-a-stranger", false, false},
	{"reader", readerToken, true, false},
	{"operator", operatorToken, true, true},
}

// methods asks the server's reflection for its methods, and whether they are
// streams.
func methods(t *testing.T, conn *grpc.ClientConn) map[string]bool {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+readerToken)
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	check(t, err)
	found := map[string]bool{}
	for _, service := range services(t, stream) {
		for _, m := range methodsOf(t, stream, service) {
			found["/"+service+"/"+m.GetName()] = m.GetServerStreaming()
		}
	}
	check(t, stream.CloseSend())
	_, err = stream.Recv()
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return found
}

// TestEveryMethodByEveryCaller calls each gRPC method that the server has.
func TestEveryMethodByEveryCaller(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{RateLimit: -1})
	conn := s.conn(t, s.ca.ClientConfig(t))
	all := methods(t, conn)
	if len(all) < 53 {
		t.Fatalf("only %d methods: %v", len(all), all)
	}
	for method, streams := range all {
		for _, c := range callers {
			var md []string
			if c.token != "" {
				md = []string{"authorization", "Bearer " + c.token}
			}
			got := call(t, conn, method, streams, md...)
			switch open := method == "/grpc.health.v1.Health/Check"; {
			case !c.known && !open:
				if got != codes.Unauthenticated {
					t.Errorf("%s by %s: %s, want Unauthenticated", method, c.name, got)
				}
			case changes[method] && !c.operator:
				if got != codes.PermissionDenied {
					t.Errorf("%s by %s: %s, want PermissionDenied", method, c.name, got)
				}
			case strings.HasSuffix(method, "/ServerReflectionInfo"):
				if got != codes.InvalidArgument {
					t.Errorf("%s by %s: %s, want its own answer to an empty request", method, c.name, got)
				}
			case got != codes.Unimplemented && got != codes.OK:
				t.Errorf("%s by %s: %s, want that it reaches its service", method, c.name, got)
			}
		}
	}
}

// route is one of http.yaml.
type route struct{ verb, path, method string }

func routes(t *testing.T) []route {
	t.Helper()
	file, err := os.ReadFile("../http.yaml")
	check(t, err)
	var config struct {
		HTTP struct{ Rules []map[string]string }
	}
	check(t, yaml.Unmarshal(file, &config))
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	var list []route
	for _, rule := range config.HTTP.Rules {
		for _, verb := range []string{"get", "post", "patch", "delete", "put"} {
			if path, ok := rule[verb]; ok {
				dot := strings.LastIndexByte(rule["selector"], '.')
				method := "/" + rule["selector"][:dot] + "/" + rule["selector"][dot+1:]
				list = append(list, route{strings.ToUpper(verb), parameter.ReplaceAllString(path, "x"), method})
			}
		}
	}
	return list
}

// TestEveryRouteByEveryCaller calls each REST route.
func TestEveryRouteByEveryCaller(t *testing.T) {
	root := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{RateLimit: -1, Root: root})
	list := routes(t)
	if len(list) != 58 {
		t.Fatalf("%d routes", len(list))
	}
	for _, path := range []string{"/", "/metrics", "/openapi.json", "/nothing", "/healthz", "/readyz", "/api/v1/nothing"} {
		list = append(list, route{http.MethodGet, path, ""})
	}
	for _, r := range list {
		if changes[r.method] && r.verb == http.MethodGet {
			t.Errorf("%s changes something by GET", r.path)
		}
		for _, c := range callers {
			res, body := s.ask(t, r.verb, r.path, c.token)
			switch open := r.path == "/healthz" || r.path == "/readyz"; {
			case !c.known && !open:
				if res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s %s by %s: %d %s, want 401 with a challenge", r.verb, r.path, c.name, res.StatusCode, body)
				}
			case changes[r.method] && !c.operator:
				if res.StatusCode != http.StatusForbidden || !strings.Contains(body, `; that needs the role operator`) {
					t.Errorf("%s %s by %s: %d %s, want 403 that says what is missing", r.verb, r.path, c.name, res.StatusCode, body)
				}
			case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
				t.Errorf("%s %s by %s: %d %s, want that it reaches its service", r.verb, r.path, c.name, res.StatusCode, body)
			case r.method != "" && res.StatusCode != http.StatusNotImplemented:
				t.Errorf("%s %s by %s: %d %s, want 501", r.verb, r.path, c.name, res.StatusCode, body)
			}
			if open := r.path == "/readyz"; open && strings.Contains(body, "store") {
				t.Errorf("/readyz tells strangers %q", body)
			}
		}
	}
}

// TestNobodyCanSayWhoTheyAre tries headers and metadata that could be taken
// for an identity.
func TestNobodyCanSayWhoTheyAre(t *testing.T) {
	s := startSecured(t, v1.UnimplementedVisibilityServiceServer{}, server.Options{RateLimit: -1})
	const olaf = `{"Identity":{"User":"olaf","Role":"operator"}}`
	spoofs := []string{
		"Grpc-Metadata-Authorization: Bearer " + operatorToken,
		"Grpc-Metadata-Clover-Caller-Bin: eyJJZGVudGl0eSI6eyJVc2VyIjoib2xhZiIsIlJvbGUiOiJvcGVyYXRvciJ9fQ",
		"Clover-Caller-Bin: " + olaf, "X-Remote-User: olaf", "Impersonate-User: olaf",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Client-Cert: Subject=olaf", "X-HTTP-Method-Override: GET",
	}
	for _, h := range spoofs {
		if res, _ := s.ask(t, http.MethodPost, "/api/v1/visibility/clear", "", h); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", h, res.StatusCode)
		}
		if res, _ := s.ask(t, http.MethodPost, "/api/v1/visibility/clear", readerToken, h); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s by a reader: %d", h, res.StatusCode)
		}
	}
	conn := s.conn(t, s.ca.ClientConfig(t))
	clear := v1.VisibilityService_Clear_FullMethodName
	if got := call(t, conn, clear, false, "clover-caller-bin", olaf); got != codes.Unauthenticated {
		t.Errorf("metadata without a token: %s", got)
	}
	if got := call(t, conn, clear, false, "clover-caller-bin", olaf, "authorization", "Bearer "+readerToken); got != codes.PermissionDenied {
		t.Errorf("metadata by a reader: %s", got)
	}
	for _, md := range [][]string{
		{"authorization", operatorToken}, {"authorization", "Basic " + operatorToken}, {"authorization", "Bearer "},
		{"authorization", "Bearer " + operatorToken, "authorization", "Bearer " + operatorToken},
	} {
		if got := call(t, conn, clear, false, md...); got != codes.Unauthenticated {
			t.Errorf("%q: %s, want Unauthenticated", md, got)
		}
	}
}
