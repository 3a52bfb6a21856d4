package session_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/internal/testutil"
)

// patience is how long a busy machine may take for something.
const patience = 2 * time.Minute

// echo answers with as much as it is asked for, in the way of its path.
func echo(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/chunked":
		for range 5 {
			fmt.Fprintf(w, "%0100d", n)
			w.(http.Flusher).Flush()
		}
	default:
		fmt.Fprintf(w, "%d", n)
	}
}

// TestRealHTTP follows what Go's client and server send, over HTTP/1.1 and
// HTTP/2.
func TestRealHTTP(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			defer server.Close()
			r := &recorder{}
			transport := &http.Transport{DialContext: r.dial, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
			transport.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2")
			client := &http.Client{Transport: transport}
			const n = 60
			var wait sync.WaitGroup
			for worker := range 4 {
				wait.Go(func() { requests(t, client, server.URL, worker, n) })
			}
			wait.Wait()
			transport.CloseIdleConnections()
			got := r.sessions(t)
			if len(got) != 4*n {
				t.Fatalf("%d sessions, want %d", len(got), 4*n)
			}
			for _, s := range got {
				checkEcho(t, s, proto)
			}
		})
	}
}

func requests(t *testing.T, client *http.Client, url string, worker, n int) {
	for i := range n {
		path := []string{"/plain", "/chunked", "/none"}[i%3]
		size := (i * 517) % 5000
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s%s?size=%d", url, path, size), strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("User-Agent", fmt.Sprint("worker/", worker))
		response, err := client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}

func checkEcho(t *testing.T, s session.Session, proto string) {
	t.Helper()
	var size int64
	path, query, _ := strings.Cut(s.Target, "?")
	if _, err := fmt.Sscanf(query, "size=%d", &size); err != nil {
		t.Fatalf("target %q", s.Target)
	}
	status, body := 200, int64(len(fmt.Sprint(size)))
	switch path {
	case "/none":
		status, body = 204, 0
	case "/chunked":
		body = 500
	}
	if s.Outcome != session.Paired || s.Protocol != proto || s.Status != status || s.Request.BodyBytes != size ||
		s.Response.BodyBytes != body || !strings.HasPrefix(s.UserAgent, "worker/") || s.URL() != "http://"+s.Server.String()+s.Target {
		t.Errorf("size %d: %+v", size, s)
	}
}

// TestRealGRPC follows what grpc-go sends.
func TestRealGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	r := &recorder{}
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return r.dial(ctx, "tcp", addr) }))
	if err != nil {
		t.Fatal(err)
	}
	client := grpc_health_v1.NewHealthClient(conn)
	for i := range 30 {
		service := []string{"", "unknown"}[i%2]
		_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if (err != nil) != (i%2 == 1) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	watch(t, client, service)
	_ = conn.Close()
	got := r.sessions(t)
	if len(got) != 31 {
		t.Fatalf("%d sessions, want 31", len(got))
	}
	for i, s := range got {
		status, messages, method, outcome := i%2*5, 1-i%2, "Check", session.Paired // 5: not found
		if i == 30 {
			status, messages, method, outcome = -1, 2, "Watch", session.NoResponseReset
			if s.Outcome == session.NoResponseClosed {
				outcome = s.Outcome // the connection was closed before the reset was sent
			}
		}
		if s.Outcome != outcome || s.Protocol != "gRPC" || s.GRPCService != "grpc.health.v1.Health" || s.GRPCMethod != method ||
			s.GRPCStatus != status || s.Request.Messages != 1 || s.Response.Messages != messages {
			t.Errorf("%d: %+v", i, s)
		}
	}
}

// watch reads two messages of a stream and cancels it.
func watch(t *testing.T, client grpc_health_v1.HealthClient, service *health.Server) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			service.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		}
	}
	cancel()
	_, _ = stream.Recv()
}

// TestRealRedis follows what go-redis and Redis send: RESP 3 and 2, pipelines,
// transactions, pub/sub, errors.
func TestRealRedis(t *testing.T) {
	server := testutil.Redis(t)
	for _, version := range []int{2, 3} {
		r := &recorder{}
		client := redis.NewClient(&redis.Options{Addr: server.Addr, Dialer: r.dial, Protocol: version, PoolSize: 1, DisableIdentity: true, MaxRetries: -1,
			DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for i := range 20 {
			client.Set(ctx, fmt.Sprint("key", i), strings.Repeat("v", i*1000), 0)
		}
		_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range 20 {
				p.Get(ctx, fmt.Sprint("key", i))
			}
			return nil
		})
		client.HSet(ctx, "hash", "a", 1, "b", 2)
		client.HGetAll(ctx, "hash")
		client.LPush(ctx, "hash", "wrong type")
		sub := client.Subscribe(ctx, "one", "two")
		for range 2 {
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatal(err)
			}
		}
		client.Publish(ctx, "one", "hello")
		if _, err := sub.ReceiveMessage(ctx); err != nil {
			t.Fatal(err)
		}
		_ = sub.Close()
		_ = client.Close()
		counts := map[string]int{}
		for _, s := range r.sessions(t) {
			if s.Protocol != "redis" || !s.Outcome.Whole() {
				t.Errorf("RESP %d: %+v", version, s)
			}
			counts[s.Method]++
			if s.Method == "LPUSH" && (len(s.Attributes) != 1 || s.Attributes[0].Value != "WRONGTYPE") {
				t.Errorf("LPUSH: %+v", s.Attributes)
			}
		}
		for method, n := range map[string]int{"SET": 20, "GET": 20, "HSET": 1, "HGETALL": 1, "LPUSH": 1, "SUBSCRIBE": 1, "PUBLISH": 1, "message": 1} {
			if counts[method] != n {
				t.Errorf("RESP %d: %d sessions of %s, want %d; all: %v", version, counts[method], method, n, counts)
			}
		}
	}
}
