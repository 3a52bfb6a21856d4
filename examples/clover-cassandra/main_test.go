package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var healthLine = regexp.MustCompile(`health (\S+)`)

// TestNode starts the real Cassandra, asks it, and tells it to end.
func TestNode(t *testing.T) {
	home := filepath.Dir(filepath.Dir(testutil.Require(t, components.Cassandra())))
	if err := components.EnsureJava(t.Context(), os.Stderr); err != nil {
		testutil.Missing(t, components.Cassandra().Name, err.Error())
	}
	t.Setenv("TMPDIR", t.TempDir())
	port := func() string { return fmt.Sprint(testutil.FreePort(t)) }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out testutil.Output
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{
			"--cassandra-home", home, "--data-dir", t.TempDir(), "--address", "127.0.0.1", "--heap-mib", "256", "--log-level", "info", "--health-addr", "127.0.0.1:0",
			"--port", port(), "--storage-port", port(), "--jmx-port", port(), "--jvm-arg=-XX:TieredStopAtLevel=1",
		}, &out, &out)
	}()
	health := ""
	testutil.Eventually(t, 5*time.Minute, func() (bool, string) {
		if m := healthLine.FindStringSubmatch(out.String()); m != nil {
			health = "http://" + m[1]
		}
		return health != "" && status(t, health+"/readyz") == http.StatusOK, end(out.String())
	})
	if got := status(t, health+"/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Reason: DRAIN", "Cassandra shutdown complete"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q when it ends: %s", want, end(out.String()))
		}
	}
}

// end is the end of a long text.
func end(text string) string { return text[max(0, len(text)-2000):] }

func status(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestProbes asks while nobody listens, while somebody answers, and when he
// takes connections and says nothing more.
func TestProbes(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &probes{address: l.Addr().String()}
	get := func(path string) int {
		w := &recorder{}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.handler().ServeHTTP(w, r)
		return w.code
	}
	answer := []byte{0x84, 0, 0, 0, 6, 0, 0, 0, 0}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 9))
			_, _ = conn.Write(answer)
			_ = conn.Close()
		}
	}()
	other := &probes{address: testutil.FreeAddr(t)}
	if err := other.ask(t.Context()); err == nil || other.answered.Load() {
		t.Errorf("nobody listens: %v", err)
	}
	if ready, alive := get("/readyz"), get("/healthz"); ready != http.StatusOK || alive != http.StatusOK {
		t.Errorf("it answers: ready %d, alive %d", ready, alive)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
	if ready, alive := get("/readyz"), get("/healthz"); ready != http.StatusServiceUnavailable || alive != http.StatusServiceUnavailable {
		t.Errorf("it answers no more: ready %d, alive %d", ready, alive)
	}
	p.answered.Store(false)
	if ready, alive := get("/readyz"), get("/healthz"); ready != http.StatusServiceUnavailable || alive != http.StatusOK {
		t.Errorf("it has never answered: ready %d, alive %d", ready, alive)
	}
}

// recorder keeps the status of an answer.
type recorder struct{ code int }

func (r *recorder) Header() http.Header { return http.Header{} }
func (r *recorder) WriteHeader(c int)   { r.code = c }
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return len(b), nil
}

func TestSeeds(t *testing.T) {
	known := map[string][]string{"cassandra-0.cassandra": {"10.0.0.1"}, "cassandra-1.cassandra": {"10.0.0.2"}}
	lookup := func(_ context.Context, host string) ([]string, error) {
		if a := known[host]; a != nil {
			return a, nil
		}
		return nil, errors.New("no such host")
	}
	all := []string{"cassandra-0.cassandra", "cassandra-1.cassandra", "cassandra-2.cassandra"}
	for name, c := range map[string]struct {
		own, hosts, want []string
	}{
		"alone":      {[]string{"cassandra-0", "10.0.0.9"}, nil, []string{"10.0.0.9"}},
		"the first":  {[]string{"cassandra-0", "10.0.0.9"}, all[:1], []string{"10.0.0.9"}},
		"come again": {[]string{"cassandra-0", "10.0.0.9"}, all, []string{"10.0.0.9", "10.0.0.2"}},
		"the second": {[]string{"cassandra-1", "10.0.0.9"}, all, []string{"10.0.0.1"}},
		"the last":   {[]string{"cassandra-2", "10.0.0.9"}, all, []string{"10.0.0.1", "10.0.0.2"}},
	} {
		got, err := awaitSeeds(t.Context(), config{Name: c.own[0], Address: c.own[1]}, c.hosts, lookup, io.Discard)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := awaitSeeds(ctx, config{Name: "cassandra-1"}, []string{"nowhere"}, lookup, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("no seed: %v", err)
	}
}

func TestYAML(t *testing.T) {
	got := config{Cluster: "clover", Address: "10.0.0.9", Seeds: []string{"10.0.0.1", "fd00::2"}, Port: 9042, StoragePort: 7000}.yaml()
	for _, want := range []string{
		"listen_address: \"10.0.0.9\"\n", "rpc_address: 0.0.0.0\n", "broadcast_rpc_address: \"10.0.0.9\"\n", `seeds: "10.0.0.1:7000,[fd00::2]:7000"`, "native_transport_port: 9042\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if six := (config{Address: "fd00::9"}).yaml(); !strings.Contains(six, "rpc_address: '::'\n") {
		t.Error(six)
	}
}

func TestWrongFlags(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--data-dir is needed":     {"--address", "127.0.0.1"},
		"is no IP address":         {"--data-dir", dir, "--address", "localhost"},
		"has no lib/cassandra-all": {"--data-dir", dir, "--address", "127.0.0.1", "--cassandra-home", dir},
		"want 128 or more":         {"--data-dir", dir, "--address", "127.0.0.1", "--heap-mib", "1"},
		"--log-level \"loud\"":     {"--data-dir", dir, "--address", "127.0.0.1", "--log-level", "loud"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
