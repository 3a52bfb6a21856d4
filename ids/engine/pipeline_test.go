package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/ids/alert"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/internal/testutil"
)

// arrivals notes when an alert of which URL is in Redis.
type arrivals struct {
	sink *alertredis.Sink

	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) Deliver(ctx context.Context, batch []alert.Alert) error {
	if err := a.sink.Deliver(ctx, batch); err != nil {
		return err
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range batch {
		key := batch[i].Signature
		if h := batch[i].HTTP; h != nil {
			key = h.URL
		}
		if _, ok := a.at[key]; !ok {
			a.at[key] = now
		}
	}
	return nil
}

// wait returns when the alert of that URL or signature was in Redis.
func (a *arrivals) wait(t *testing.T, key string) time.Time {
	t.Helper()
	var at time.Time
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		var ok bool
		at, ok = a.at[key]
		return ok, fmt.Sprintf("no alert of %s, but of %d others", key, len(a.at))
	})
	return at
}

// relay brings the alerts of a source into Redis.
func relay(t *testing.T, source alert.Source) (*arrivals, *redis.Client) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: testutil.Redis(t).Addr})
	t.Cleanup(func() { client.Close() })
	spool, err := alert.OpenSpool(filepath.Join(t.TempDir(), "spool"), alert.SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := &arrivals{sink: alertredis.NewSink(client, alertredis.SinkOptions{}), at: map[string]time.Time{}}
	r, err := alert.NewRelay(spool, []alert.Source{source}, []alert.Outlet{{Name: "redis", Sink: a}}, alert.RelayOptions{Logger: testutil.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		spool.Close()
	})
	return a, client
}

// TestSuricataAlertsReachRedis goes the whole way: a request and a ping in a
// network, the engine, and the fields that users read.
func TestSuricataAlertsReachRedis(t *testing.T) {
	b := start(t, engine.SuricataOptions{})
	a, client := relay(t, alert.NewFile(b.EVEFile(), alert.EVE, alert.FileOptions{Name: "eve"}))
	if _, err := b.Replace(t.Context(), []byte(scanRule)); err != nil {
		t.Fatal(err)
	}
	b.request(t, "asafaweb.com")
	a.wait(t, "/")
	if _, err := b.Replace(t.Context(), []byte(badRule)); err == nil {
		t.Error("broken rules are taken")
	}
	if _, err := b.Replace(t.Context(), []byte(scanRule+pingRule)); err != nil {
		t.Fatal(err)
	}
	b.ns.Ping()
	a.wait(t, "ping")
	for key, want := range map[string]map[string]string{
		"snort_event:1": {
			"event-id": "1", "signature-id": "10000003", "generator-id": "1", "signature-revision": "1", "priority-id": "1", "protocol": "6",
			"source-ip": b.ns.HostAddr.String(), "destination-ip": b.ns.Addr.String(), "dport-icode": "80", "blocked": "0",
			"signature": "MALWARE-CNC User-Agent ASafaWeb Scan", "http-user-agent": "asafaweb.com", "x-forwarded-for": "198.51.100.7, 203.0.113.9",
		},
		"snort_event:2": {"event-id": "2", "signature-id": "10000002", "protocol": "1", "sport-itype": "8", "dport-icode": "0", "source-ip": b.ns.HostAddr.String()},
	} {
		got, err := alertredis.Event(t.Context(), client, key)
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range want {
			if got[field] != value {
				t.Errorf("%s %s is %q, want %q", key, field, got[field], value)
			}
		}
		if got["packets"] == "" || got["event-second"] == "" || strings.HasPrefix(got["event-second"], "-") {
			t.Errorf("%s: %v", key, got)
		}
	}
	// What the engine logs after a stop and a start is read too.
	if _, err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.url += "after"
	b.request(t, "asafaweb.com")
	a.wait(t, "/after")
	if err := b.RotateLogs(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.url += "-rotated"
	b.request(t, "asafaweb.com")
	a.wait(t, "/after-rotated")
}

// TestSuricataWritesToRedis has the engine write EVE to Redis itself.
func TestSuricataWritesToRedis(t *testing.T) {
	server := testutil.Redis(t)
	from := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer from.Close()
	_, text, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for mode, kind := range map[string]alertredis.Kind{"rpush": alertredis.List, "lpush": alertredis.ListLeft, "publish": alertredis.Channel} {
		t.Run(mode, func(t *testing.T) {
			a, _ := relay(t, alertredis.NewSource(from, alertredis.SourceOptions{Kind: kind, Key: "eve-" + mode}))
			b := startAt(t, engine.SuricataOptions{EVE: engine.EVE{Redis: &engine.EVERedis{Port: port, Mode: mode, Key: "eve-" + mode}}}, true)
			if _, err := b.Replace(t.Context(), []byte(scanRule)); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/1", "/2", "/3"} {
				b.get(t, http.DefaultClient, path)
				a.wait(t, path)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// TestLargeLogsRotate has a log that is full after each alert.
func TestLargeLogsRotate(t *testing.T) {
	b := start(t, engine.SuricataOptions{EVE: engine.EVE{MaxBytes: 1, Keep: 2}})
	a, _ := relay(t, alert.NewFile(b.EVEFile(), alert.EVE, alert.FileOptions{Name: "eve"}))
	if _, err := b.Replace(t.Context(), []byte(scanRule)); err != nil {
		t.Fatal(err)
	}
	base := b.url
	for n := range 4 {
		b.url = fmt.Sprint(base, n)
		b.request(t, "asafaweb.com")
		a.wait(t, fmt.Sprint("/", n))
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			_, err := os.Stat(b.EVEFile()) // the engine makes it with the next alert
			return errors.Is(err, os.ErrNotExist), fmt.Sprint("not rotated: ", err)
		})
	}
	files, err := filepath.Glob(b.EVEFile() + ".*")
	if err != nil || len(files) != 2 {
		t.Errorf("kept %v, %v", files, err)
	}
}

// TestFromRequestToRedis measures the time from the first byte of a request
// until its alert is in Redis.
func TestFromRequestToRedis(t *testing.T) {
	const requests = 50
	socket := filepath.Join(socketDir(t), "eve")
	for name, c := range map[string]struct {
		eve    engine.EVE
		source func(b *bench) alert.Source
	}{
		"file": {engine.EVE{}, func(b *bench) alert.Source {
			return alert.NewFile(b.EVEFile(), alert.EVE, alert.FileOptions{Name: "eve"})
		}},
		"socket": {engine.EVE{Socket: socket}, func(*bench) alert.Source { return alert.NewSocket(socket, alert.SocketOptions{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, engine.SuricataOptions{EVE: c.eve, Stopped: true})
			a, _ := relay(t, c.source(b))
			if _, err := b.Replace(t.Context(), []byte(scanRule)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			keep := &http.Client{Transport: &http.Transport{}}
			defer keep.CloseIdleConnections()
			ways := map[string]func(path string){
				"a connection each": func(path string) { b.get(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, path) },
				"kept alive":        func(path string) { b.get(t, keep, path) },
				"body not sent":     func(path string) { b.half(t, path) },
			}
			for way, send := range ways {
				var took []time.Duration
				for i := range requests {
					path := fmt.Sprintf("/%d/%s", i, strings.ReplaceAll(way, " ", "-"))
					begin := time.Now()
					send(path)
					took = append(took, a.wait(t, path).Sub(begin))
				}
				slices.Sort(took)
				t.Logf("%s, %s: p50 %s, p99 %s", name, way, took[requests/2].Round(time.Millisecond), took[requests*99/100].Round(time.Millisecond))
				// Some are late on a machine that is busy, but not most.
				if p50 := took[requests/2]; p50 > 10*time.Second {
					t.Errorf("%s: p50 %s", way, p50)
				}
			}
		})
	}
}

func (b *bench) get(t *testing.T, client *http.Client, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(b.url, "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "asafaweb.com")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}

// half sends a request whose body does not come, and leaves the connection
// open until the end of the test.
func (b *bench) half(t *testing.T, path string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(b.ns.Addr.String(), "80"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nUser-Agent: asafaweb.com\r\nContent-Length: 100\r\n\r\nbegin", path); err != nil {
		t.Fatal(err)
	}
}
