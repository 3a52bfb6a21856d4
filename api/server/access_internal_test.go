package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// TestEveryMethodHasItsAccess compares the table with what is registered.
func TestEveryMethodHasItsAccess(t *testing.T) {
	s := &Server{service: v1.UnimplementedVisibilityServiceServer{}, opts: Options{}.withDefaults()}
	srv, _ := s.grpcServer(t.Context())
	registered := map[string]bool{}
	for service, info := range srv.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			registered[name] = true
			if _, ok := methodAccess[name]; !ok {
				t.Errorf("%s is not in the table", name)
			}
		}
	}
	for name, a := range methodAccess {
		if !registered[name] {
			t.Errorf("%s is in the table and not registered", name)
		}
		if a.open != (a.Verb == "") {
			t.Errorf("%s is open and needs %s, or neither", name, a.Permission)
		}
	}
}

func TestAMethodNotInTheTableIsRefused(t *testing.T) {
	s := &Server{opts: Options{Logger: slog.New(slog.DiscardHandler)}.withDefaults()}
	_, err := s.admit(context.Background(), "/clover.visibility.v1.VisibilityService/New")
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("%v, want PermissionDenied", err)
	}
}

// TestALimiterForgets fills a limiter with more clients than it remembers.
func TestALimiterForgets(t *testing.T) {
	l := newLimiter(0.001, 1)
	for i := range maxClients + 100 {
		if wait := l.take(fmt.Sprint(i)); wait != 0 {
			t.Fatalf("client %d waits %v for its first request", i, wait)
		}
	}
	if len(l.clients) != maxClients || l.order.Len() != maxClients {
		t.Errorf("%d clients are remembered, %d in order; want %d", len(l.clients), l.order.Len(), maxClients)
	}
	if l.take(fmt.Sprint(maxClients+99)) == 0 {
		t.Error("the second request of a client does not wait")
	}
	if l.take("0") != 0 {
		t.Error("the client that was quiet longest is not forgotten")
	}
}

func TestClientsOfOneNetworkAreOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1:1", "10.0.0.1:2", true},
		{"10.0.0.1:1", "10.0.0.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1]:2", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
	} {
		if (addressKey(c.a) == addressKey(c.b)) != c.same {
			t.Errorf("%s and %s: %s, %s", c.a, c.b, addressKey(c.a), addressKey(c.b))
		}
	}
}

// TestAuditHidesSecrets holds that what is marked with debug_redact is not
// logged.
func TestAuditHidesSecrets(t *testing.T) {
	account, err := structpb.NewStruct(map[string]any{"password": "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	request := &deliveryv1.CreateAccountRequest{Provider: "docker-registry", Account: account}
	if text := auditedRequest(request); strings.Contains(text, "hunter2") || !strings.Contains(text, "docker-registry") {
		t.Error(text)
	}
	if request.GetAccount() == nil {
		t.Error("the request itself has changed")
	}
}
