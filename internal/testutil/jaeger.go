package testutil

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// JaegerVersion chooses a generation of Jaeger.
type JaegerVersion int

// The two generations; their servers answer the same queries.
const (
	// JaegerV1 is the all-in-one program, 1.76.0.
	JaegerV1 JaegerVersion = iota
	// JaegerV2 is the program made on the OpenTelemetry Collector, 2.13.0.
	JaegerV2
)

// String returns "v1" or "v2".
func (v JaegerVersion) String() string { return "v" + strconv.Itoa(int(v)+1) }

// JaegerVersions lists both, for tests that run with each.
func JaegerVersions() []JaegerVersion { return []JaegerVersion{JaegerV1, JaegerV2} }

// JaegerOptions says how to run Jaeger. The zero value is the first
// generation with everything in memory.
type JaegerOptions struct {
	Version JaegerVersion
	// MaxTraces bounds the traces kept in memory, oldest out first; 0 is
	// 1,000,000. Storage on disk has no such bound.
	MaxTraces int
	// BadgerDir keeps the traces in a Badger database in this folder, so that
	// they are there after a restart; empty keeps them in memory.
	BadgerDir string
	// BasePath is the path that the query service answers below, e.g.
	// "/jaeger"; empty is the root.
	BasePath string
}

// JaegerServer is a running Jaeger. All addresses are on 127.0.0.1 and stay
// the same over a restart.
type JaegerServer struct {
	// QueryHTTP is the base URL of /api/traces and /api/v3: "http://HOST:PORT"
	// and the base path.
	QueryHTTP string
	// QueryGRPC is the "HOST:PORT" of the gRPC query services.
	QueryGRPC string
	// OTLPGRPC is the "HOST:PORT" that takes OTLP over gRPC.
	OTLPGRPC string
	// OTLPHTTP is the base URL that takes OTLP over HTTP at /v1/traces.
	OTLPHTTP string
	// Zipkin is the base URL that takes Zipkin's /api/v2/spans.
	Zipkin string
	// Admin is the base URL of the health check.
	Admin string

	t       testing.TB
	options JaegerOptions
	command Command
	process *Process
}

// jaegerAddrs are the "HOST:PORT" that one Jaeger listens on.
type jaegerAddrs struct {
	queryHTTP, queryGRPC, otlpGRPC, otlpHTTP, zipkin, admin string
	// others are listeners that cannot be turned off.
	others [2]string
}

// Jaeger runs a real Jaeger until the end of the test. It is ready when it
// returns.
func Jaeger(t testing.TB, o JaegerOptions) *JaegerServer {
	t.Helper()
	o.MaxTraces = cmp.Or(o.MaxTraces, 1_000_000)
	component := components.JaegerV1()
	if o.Version == JaegerV2 {
		component = components.JaegerV2()
	}
	path := Require(t, component)
	a := jaegerAddrs{
		queryHTTP: FreeAddr(t), queryGRPC: FreeAddr(t), otlpGRPC: FreeAddr(t),
		otlpHTTP: FreeAddr(t), zipkin: FreeAddr(t), admin: FreeAddr(t),
		others: [2]string{FreeAddr(t), FreeAddr(t)},
	}
	s := &JaegerServer{
		QueryHTTP: "http://" + a.queryHTTP + o.BasePath, QueryGRPC: a.queryGRPC,
		OTLPGRPC: a.otlpGRPC, OTLPHTTP: "http://" + a.otlpHTTP,
		Zipkin: "http://" + a.zipkin, Admin: "http://" + a.admin,
		t: t, options: o,
	}
	if o.Version == JaegerV2 {
		s.command = jaegerV2Command(t, path, a, o)
	} else {
		s.command = jaegerV1Command(path, a, o)
	}
	// Jaeger would trace itself, to nobody, and wait for that at its end.
	s.command.Env = append(s.command.Env, "OTEL_TRACES_SAMPLER=always_off")
	s.start()
	return s
}

func (s *JaegerServer) start() {
	s.t.Helper()
	s.process = Start(s.t, s.command)
	s.process.WaitReady(60*time.Second, func(ctx context.Context) error {
		health := "/"
		if s.options.Version == JaegerV2 {
			health = "/status"
		}
		if err := answers(s.Admin + health)(ctx); err != nil {
			return err
		}
		if err := answers(s.QueryHTTP + "/api/services")(ctx); err != nil {
			return err
		}
		for _, addr := range []string{s.QueryGRPC, s.OTLPGRPC} {
			if err := listens(ctx, addr); err != nil {
				return err
			}
		}
		return nil
	})
}

// listens reports whether a server accepts connections there.
func listens(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Stop ends Jaeger; what it holds in memory is lost.
func (s *JaegerServer) Stop() {
	s.t.Helper()
	s.process.Stop()
}

// Kill ends Jaeger without a chance to save anything.
func (s *JaegerServer) Kill() {
	s.t.Helper()
	s.process.Kill()
}

// Restart stops Jaeger if it runs and starts it on the same ports.
func (s *JaegerServer) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.removeEmptied(); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// removeEmptied removes what Badger was about to remove. It empties a file of
// entries first, and then may not get to removing it, because Jaeger does not
// wait for those who read; but it refuses to start with an empty one.
func (s *JaegerServer) removeEmptied() error {
	files, err := filepath.Glob(filepath.Join(s.options.BadgerDir, "keys", "*.mem"))
	for _, file := range files {
		info, statErr := os.Stat(file)
		if err = errors.Join(err, statErr); statErr == nil && info.Size() == 0 {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}

// jaegerV1Command configures the first generation by flags.
func jaegerV1Command(path string, a jaegerAddrs, o JaegerOptions) Command {
	c := Command{Name: "jaeger-v1", Path: path, Args: []string{
		"--query.http-server.host-port=" + a.queryHTTP,
		"--query.grpc-server.host-port=" + a.queryGRPC,
		"--query.base-path=" + cmp.Or(o.BasePath, "/"),
		"--collector.otlp.grpc.host-port=" + a.otlpGRPC,
		"--collector.otlp.http.host-port=" + a.otlpHTTP,
		"--collector.zipkin.host-port=" + a.zipkin,
		"--admin.http.host-port=" + a.admin,
		"--collector.grpc-server.host-port=" + a.others[0],
		"--collector.http-server.host-port=" + a.others[1],
		// The default of 2,000 spans drops some of a burst, in silence.
		"--collector.queue-size=1000000",
	}}
	if o.BadgerDir == "" {
		c.Env = []string{"SPAN_STORAGE_TYPE=memory"}
		c.Args = append(c.Args, "--memory.max-traces="+strconv.Itoa(o.MaxTraces))
		return c
	}
	c.Env = []string{"SPAN_STORAGE_TYPE=badger"}
	c.Args = append(c.Args, "--badger.ephemeral=false",
		"--badger.directory-key="+filepath.Join(o.BadgerDir, "keys"),
		"--badger.directory-value="+filepath.Join(o.BadgerDir, "values"))
	return c
}

// jaegerV2Command configures the second generation by a file.
func jaegerV2Command(t testing.TB, path string, a jaegerAddrs, o JaegerOptions) Command {
	t.Helper()
	config, err := jaegerV2Config(a, o)
	if err != nil {
		t.Fatalf("jaeger v2: %v", err)
	}
	file := filepath.Join(t.TempDir(), "jaeger.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatalf("jaeger v2: %v", err)
	}
	return Command{Name: "jaeger-v2", Path: path, Args: []string{"--config", file}}
}
