package config_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/internal/testutil"
)

// patience is how long a busy machine may take to read Redis: one reading that
// is given up is a fault that nobody has caused, and may be the last for long.
const patience = 2 * time.Minute

// subscribed waits until a Redis has somebody to tell of plug-ins: what is
// published before is lost.
func subscribed(t *testing.T, addr string) {
	t.Helper()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		answer := cli(t, addr, "PUBSUB NUMPAT")
		return answer == ":2", "patterns subscribed to: " + answer
	})
}

// cli types commands at a Redis as redis-cli does, and returns the first line
// of the last answer.
func cli(t *testing.T, addr string, commands ...string) (last string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, command := range commands {
		fmt.Fprintf(conn, "%s\r\n", command)
		answer, err := answers.ReadString('\n')
		if err != nil || strings.HasPrefix(answer, "-") {
			t.Fatalf("%s: %q %v", command, answer, err)
		}
		last = strings.TrimSpace(answer)
	}
	return last
}

// followed runs a Source and keeps what it hands on.
type followed struct {
	t      *testing.T
	source *config.Source
	log    *testutil.Output

	mu   sync.Mutex
	seen []config.Config
}

func follow(t *testing.T, o config.SourceOptions) *followed {
	t.Helper()
	f := &followed{t: t, log: &testutil.Output{}}
	o.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	o.Timeout = patience
	var err error
	if f.source, err = config.NewSource(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.source.Run(ctx, f.apply) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f
}

func (f *followed) apply(c config.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, c)
}

func describe(c config.Config) string {
	endpoint, _ := c.Endpoint()
	text := fmt.Sprintf("%v %v %s", c.Workloads, c.Egress, endpoint)
	for _, p := range c.Plugins {
		text += fmt.Sprintf(" %s=%s#%d", p.Protocol, p.Path, p.Generation)
	}
	return text
}

// is waits until the last configuration that was handed on is that one.
func (f *followed) is(want string) {
	f.t.Helper()
	testutil.Eventually(f.t, 30*time.Second, func() (bool, string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.seen) == 0 {
			return false, "nothing yet"
		}
		got := describe(f.seen[len(f.seen)-1])
		return got == want, got + ", want " + want
	})
}

// fault waits until the status tells of it.
func (f *followed) fault(want string) {
	f.t.Helper()
	testutil.Eventually(f.t, 30*time.Second, func() (bool, string) {
		err := f.source.Status().Err
		if want == "" {
			return err == nil, fmt.Sprint(err)
		}
		return err != nil && strings.Contains(err.Error(), want), fmt.Sprintf("%v, want %s", err, want)
	})
}

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience})
	t.Cleanup(func() { c.Close() })
	return c
}

const nothing = "[] [] jaeger-collector.clovisor:4317"

// TestRedis types what the guide of 2019 shows, with and without keyspace
// notifications.
func TestRedis(t *testing.T) {
	for _, notify := range []bool{false, true} {
		t.Run(fmt.Sprintf("notify=%v", notify), func(t *testing.T) {
			t.Parallel()
			addr := testutil.Redis(t).Addr
			o := config.SourceOptions{Redis: client(t, addr), PollInterval: 20 * time.Millisecond}
			if notify {
				cli(t, addr, "CONFIG SET notify-keyspace-events KA")
				o.PollInterval = time.Hour
			}
			f := follow(t, o)
			f.is(nothing)
			if notify { // nothing is lost between the first reading and the subscription
				testutil.Eventually(t, 30*time.Second, func() (bool, string) { return f.source.Status().Notified, "no notifications" })
			}
			typeTheGuide(t, f, addr)
		})
	}
}

func typeTheGuide(t *testing.T, f *followed, addr string) {
	const jaeger = "jaeger-collector.clovisor:4317"
	cli(t, addr, `LPUSH clovisor_labels "my-namespace"`)
	f.is("[my-namespace] [] " + jaeger)
	cli(t, addr, `LPUSH clovisor_labels "default"`)
	f.is("[default my-namespace] [] " + jaeger)
	cli(t, addr, `DEL clovisor_labels`, `LPUSH clovisor_labels "my-2nd-ns:app:database"`, `LPUSH clovisor_labels "my-2nd-ns:app:web"`)
	f.is("[my-2nd-ns:app:web my-2nd-ns:app:database] [] " + jaeger)
	cli(t, addr, `DEL clovisor_labels`, `LPUSH clovisor_egress_match "10.0.0.1:3456"`, `LPUSH clovisor_egress_match "0:3456"`, `LPUSH clovisor_egress_match "0:3456:proxy"`)
	f.is("[] [0:3456:proxy 0:3456 10.0.0.1:3456] " + jaeger)
	cli(t, addr, `DEL clovisor_egress_match`, `SET clovisor_jaeger_agent "jaeger-agent.istio-system:6831"`)
	f.is("[] [] jaeger-agent.istio-system:4317")
	cli(t, addr, `SET clovisor_jaeger_collector "jaeger-collector.istio-system:14268"`)
	f.is("[] [] jaeger-collector.istio-system:4317")
	cli(t, addr, `DEL clovisor_jaeger_collector clovisor_jaeger_agent`, `HSET clovisor_proto_cfg memcached "/proto/memcached.wasm"`)
	f.is(nothing + " memcached=/proto/memcached.wasm#0")
	subscribed(t, addr)
	cli(t, addr, `PUBLISH clovisor_proto_plugin_cfg_chan memcached`)
	f.is(nothing + " memcached=/proto/memcached.wasm#1")
	cli(t, addr, `PUBLISH clovisor_proto_plugin_cfg_chan other`)
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		return strings.Contains(f.log.String(), `HSET clovisor_proto_cfg other`), f.log.String()
	})

	cli(t, addr, `LPUSH clovisor_labels "good"`)
	f.is("[good] [] " + jaeger + " memcached=/proto/memcached.wasm#1")
	for _, test := range []struct{ command, want, undo string }{
		{`LPUSH clovisor_labels "a:b"`, `redis: clovisor_labels[0]: "a:b" has 2 parts; want NAMESPACE`, `LPOP clovisor_labels`},
		{`LPUSH clovisor_egress_match "0:80" "host:80"`, `redis: clovisor_egress_match[0]: "host" is no IP address; want IP:PORT`, `DEL clovisor_egress_match`},
		{`SET clovisor_jaeger_collector "jaeger"`, `redis: clovisor_jaeger_collector: "jaeger"; want HOST:PORT`, `DEL clovisor_jaeger_collector`},
		{`HSET clovisor_proto_cfg x "/proto/x.so"`, `redis: clovisor_proto_cfg["x"]: "/proto/x.so" is a native plug-in`, `HDEL clovisor_proto_cfg x`},
		{`SET clovisor_egress_match "0:80"`, `redis: clovisor_egress_match: want a list: DEL clovisor_egress_match, then LPUSH`, `DEL clovisor_egress_match`},
	} {
		cli(t, addr, test.command)
		f.fault(test.want)
		f.is("[good] [] " + jaeger + " memcached=/proto/memcached.wasm#1")
		cli(t, addr, test.undo)
		f.fault("")
	}
	cli(t, addr, `DEL clovisor_labels clovisor_proto_cfg`)
	f.is(nothing)
}

// TestRedisTooLarge holds that what is too large in Redis is not read.
func TestRedisTooLarge(t *testing.T) {
	addr := testutil.Redis(t).Addr
	f := follow(t, config.SourceOptions{Redis: client(t, addr), PollInterval: 20 * time.Millisecond})
	f.is(nothing)
	cli(t, addr, `SETRANGE clovisor_jaeger_collector 100000000 x`)
	f.fault("redis: clovisor_jaeger_collector: ")
	if n := len(f.source.Status().Err.Error()); n > 1000 {
		t.Errorf("a fault of %d bytes", n)
	}
	cli(t, addr, `DEL clovisor_jaeger_collector`)
	f.fault("")
	for i := range 20 {
		cli(t, addr, fmt.Sprintf("HSET clovisor_proto_cfg p%d %s", i, strings.Repeat("x", 60_000)))
	}
	f.fault("redis: clovisor_proto_cfg: takes ")
	cli(t, addr, `DEL clovisor_proto_cfg`)
	f.fault("")
	f.is(nothing)
}

// TestRedisAway holds that the last good configuration stays while Redis is
// away, and that Redis is followed again when it is back.
func TestRedisAway(t *testing.T) {
	server := testutil.Redis(t)
	cli(t, server.Addr, `LPUSH clovisor_labels "mine"`)
	f := follow(t, config.SourceOptions{Redis: client(t, server.Addr), PollInterval: 20 * time.Millisecond})
	f.is("[mine] [] jaeger-collector.clovisor:4317")
	server.Stop()
	f.fault("config: read Redis")
	f.is("[mine] [] jaeger-collector.clovisor:4317")
	if s := f.source.Status(); s.Redis || errors.Is(s.Err, config.ErrInvalid) {
		t.Errorf("%+v", s)
	}
	server.Restart()
	cli(t, server.Addr, `LPUSH clovisor_labels "again"`)
	f.is("[again] [] jaeger-collector.clovisor:4317")
	f.fault("")
	// The subscription is there again, too.
	cli(t, server.Addr, `HSET clovisor_proto_cfg x /proto/x.wasm`)
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		cli(t, server.Addr, `PUBLISH clovisor_proto_plugin_cfg_chan x`)
		f.mu.Lock()
		defer f.mu.Unlock()
		last := f.seen[len(f.seen)-1]
		return len(last.Plugins) == 1 && last.Plugins[0].Generation > 0, describe(last)
	})
}

// TestLimits lays limits over one another one by one.
func TestLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clovisor.yaml")
	if err := os.WriteFile(file, []byte("limits: {connections: 5, plugin_timeout: 50ms, plugin_memory_bytes: 16MiB}"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := follow(t, config.SourceOptions{File: file, Flags: config.Values{Limits: map[string]string{"plugin_timeout": "2s"}}})
	f.is(nothing)
	want := config.Limits{Connections: 5, PluginMemoryBytes: 16 << 20, PluginTimeout: 2 * time.Second}
	if got := f.source.Status().Config.Limits; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestNoRedis holds that a Redis that was never there does not keep the
// defaults back, nor the end.
func TestNoRedis(t *testing.T) {
	f := follow(t, config.SourceOptions{Redis: client(t, testutil.FreeAddr(t)), PollInterval: 20 * time.Millisecond})
	f.is(nothing)
	f.fault("config: read Redis")
}

// TestLayers lays flags over a file, and Redis over both.
func TestLayers(t *testing.T) {
	server := testutil.Redis(t)
	file := filepath.Join(t.TempDir(), "clovisor.yaml")
	write := func(text string) {
		t.Helper()
		// As a ConfigMap changes: all at once.
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("labels: from-file\negress_match: 0:1\njaeger_collector: file:1\nproto_cfg: {a: /proto/a.wasm, b: /proto/b.wasm}")
	f := follow(t, config.SourceOptions{File: file, Flags: config.Values{JaegerAgent: "flag:2", ProtoCfg: map[string]string{"c": "/proto/c.wasm"}},
		Redis: client(t, server.Addr), PollInterval: 20 * time.Millisecond})
	f.is("[from-file] [0:1] flag:2 a=/proto/a.wasm#0 b=/proto/b.wasm#0 c=/proto/c.wasm#0")
	cli(t, server.Addr, `LPUSH clovisor_labels "from-redis"`, `HSET clovisor_proto_cfg b /proto/new.wasm`)
	f.is("[from-redis] [0:1] flag:2 a=/proto/a.wasm#0 b=/proto/new.wasm#0 c=/proto/c.wasm#0")
	// A plug-in is loaded again whichever layer it is from.
	subscribed(t, server.Addr)
	cli(t, server.Addr, `PUBLISH clovisor_proto_plugin_cfg_chan a`, `PUBLISH clovisor_proto_plugin_cfg_chan c`)
	f.is("[from-redis] [0:1] flag:2 a=/proto/a.wasm#1 b=/proto/new.wasm#0 c=/proto/c.wasm#1")
	write("labels: [from-file-2]\negress_match: []")
	f.is("[from-redis] [] flag:2 b=/proto/new.wasm#0 c=/proto/c.wasm#1")
	write("labels: [WRONG]")
	f.fault(file + `: line 1, column 10: labels[0]: "WRONG" is no name of a namespace`)
	cli(t, server.Addr, `DEL clovisor_labels`)
	f.is("[from-file-2] [] flag:2 b=/proto/new.wasm#0 c=/proto/c.wasm#1")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	f.fault("clovisor.yaml: no such file")
	write("labels: [back]")
	f.is("[back] [] flag:2 b=/proto/new.wasm#0 c=/proto/c.wasm#1")
	f.fault("")
	if n := strings.Count(f.log.String(), "stays in force"); n != 2 {
		t.Errorf("%d faults logged, want each once:\n%s", n, f.log)
	}
}
