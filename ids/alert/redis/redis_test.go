package alertredis_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/ids/alert"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
	"github.com/opnfv/clover/internal/testutil"
)

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: time.Minute, ReadTimeout: time.Minute})
	t.Cleanup(func() { c.Close() })
	return c
}

func alertOf(n int) *alert.Alert {
	return &alert.Alert{
		ID: fmt.Sprintf("test:%d", n), Engine: "suricata", Time: time.Unix(1524609217, 726997000),
		GeneratorID: 1, SignatureID: uint32(n), Revision: 3, Priority: 1, Protocol: 1, Signature: "scan",
		SourceIP: netip.MustParseAddr("203.0.113.9"), DestinationIP: netip.MustParseAddr("10.244.0.183"), SourcePort: 8,
	}
}

func TestEventsAreWhereUsersLook(t *testing.T) {
	c := client(t, testutil.Redis(t).Addr)
	s := alertredis.NewSink(c, alertredis.SinkOptions{})
	index, key, err := s.Add(t.Context(), alertOf(10000001))
	if err != nil || index != 1 || key != "snort_event:1" {
		t.Fatalf("%d %q %v", index, key, err)
	}
	if again, _, err := s.Add(t.Context(), alertOf(10000001)); err != nil || again != 1 {
		t.Errorf("delivered again: %d, %v", again, err)
	}
	if members := c.SMembers(t.Context(), "snort_events").Val(); !slices.Equal(members, []string{"1"}) {
		t.Errorf("set %v", members)
	}
	hash := c.HGetAll(t.Context(), "snort_event:1").Val()
	for field, want := range map[string]string{
		"event-id": "1", "event-second": "1524609217", "event-microsecond": "726997", "signature-id": "10000001", "generator-id": "1",
		"signature-revision": "3", "classification-id": "0", "priority-id": "1", "source-ip": "203.0.113.9", "destination-ip": "10.244.0.183",
		"sport-itype": "8", "dport-icode": "0", "protocol": "1", "impact-flag": "0", "impact": "0", "blocked": "0",
		"packet-second": "1524609217", "packet-microsecond": "726997", "pad2": "None", "packets": "", "signature": "scan",
	} {
		if got, ok := hash[field]; !ok || got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if a, err := alertredis.EventSource(t.Context(), c, key); err != nil || a.String() != "203.0.113.9" {
		t.Errorf("%v %v", a, err)
	}
	for key, want := range map[string]error{"snort_event:2": alertredis.ErrGone, "snort_events": alertredis.ErrKey, "clover:x": alertredis.ErrKey} {
		if _, err := alertredis.Event(t.Context(), c, key); !errors.Is(err, want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestIndexesAreNeverGivenTwice has several processes on one Redis, events of
// an older version, and a Redis that lost its data.
func TestIndexesAreNeverGivenTwice(t *testing.T) {
	server := testutil.Redis(t)
	c := client(t, server.Addr)
	for _, n := range []string{"3", "41"} {
		c.SAdd(t.Context(), "snort_events", n)
		c.HSet(t.Context(), "snort_event:"+n, "event-id", n)
	}
	c.HSet(t.Context(), "snort_event:43", "event-id", "43") // not in the set
	sinks := []*alertredis.Sink{alertredis.NewSink(c, alertredis.SinkOptions{}), alertredis.NewSink(c, alertredis.SinkOptions{})}
	var mu sync.Mutex
	given := map[uint64]int{3: -1, 41: -1, 43: -1}
	highest := uint64(0)
	var adding sync.WaitGroup
	for i, s := range sinks {
		adding.Go(func() {
			for n := range 50 {
				index, _, err := s.Add(t.Context(), alertOf(i*1000+n))
				mu.Lock()
				if _, ok := given[index]; err != nil || ok {
					t.Errorf("index %d is given again: %v", index, err)
				}
				given[index] = n
				highest = max(highest, index)
				mu.Unlock()
			}
		})
	}
	adding.Wait()
	if n := c.SCard(t.Context(), "snort_events").Val(); n != 102 {
		t.Errorf("%d events", n)
	}
	server.Stop()
	if _, _, err := sinks[0].Add(t.Context(), alertOf(5)); err == nil {
		t.Error("Redis is away and nobody says so")
	}
	server.Restart() // empty
	var last uint64
	for _, s := range sinks {
		index, _, err := s.Add(t.Context(), alertOf(7777+int(last)))
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, index)
	}
	if last <= highest-5 {
		t.Errorf("index %d after %d", last, highest)
	}
}

func TestOldEventsGo(t *testing.T) {
	c := client(t, testutil.Redis(t).Addr)
	s := alertredis.NewSink(c, alertredis.SinkOptions{MaxEvents: 3})
	for n := range 10 {
		if _, _, err := s.Add(t.Context(), alertOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	kept := c.Keys(t.Context(), "snort_event:*").Val()
	slices.Sort(kept)
	if fmt.Sprint(kept) != "[snort_event:10 snort_event:8 snort_event:9]" || c.SCard(t.Context(), "snort_events").Val() != 3 ||
		c.HLen(t.Context(), "clover:snort_events:seen").Val() != 3 {
		t.Errorf("kept %v", kept)
	}
	time.Sleep(2 * time.Millisecond) // the age that is too much
	old := alertredis.NewSink(c, alertredis.SinkOptions{MaxAge: time.Millisecond})
	if _, key, err := old.Add(t.Context(), alertOf(100)); err != nil || key != "snort_event:11" {
		t.Fatal(key, err)
	}
	if kept := c.SMembers(t.Context(), "snort_events").Val(); fmt.Sprint(kept) != "[11]" {
		t.Errorf("kept %v", kept)
	}
}

// TestDeliversWhenRedisComesBack has a relay whose Redis is away for a while.
func TestDeliversWhenRedisComesBack(t *testing.T) {
	server := testutil.Redis(t)
	c := client(t, server.Addr)
	spool, err := alert.OpenSpool(t.TempDir(), alert.SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	relay, err := alert.NewRelay(spool, nil, []alert.Outlet{{Name: "redis", Sink: alertredis.NewSink(c, alertredis.SinkOptions{}), Batch: 7}},
		alert.RelayOptions{LastRetry: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	n := 0
	write := func(count int) {
		for range count {
			n++
			if err := spool.Append("s", "", alertOf(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(want int64) {
		t.Helper()
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			got, err := c.SCard(t.Context(), "snort_events").Result()
			return got == want, fmt.Sprint(got, err, relay.Stats())
		})
	}
	write(20)
	count(20)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		s := relay.Stats()["redis"] // what it does not know to be there it delivers again
		return s.Waiting == 0, fmt.Sprintf("%+v", s)
	})
	server.Stop()
	write(50)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		s := relay.Stats()["redis"]
		return s.Retries > 2 && s.Waiting == 50, fmt.Sprintf("%+v", s)
	})
	server.Restart() // empty
	count(50)
	ids := map[string]bool{}
	for _, m := range c.SMembers(t.Context(), "snort_events").Val() {
		ids[c.HGet(t.Context(), "snort_event:"+m, "signature-id").Val()] = true
	}
	if len(ids) != 50 || ids["20"] || !ids["21"] || !ids["70"] {
		t.Errorf("%d alerts: %v", len(ids), ids)
	}
}

func eve(n int) string {
	return fmt.Sprintf(`{"timestamp":"2026-01-02T03:04:05.%06d+0000","event_type":"alert","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","alert":{"gid":1,"signature_id":%d,"rev":1}}`, n, n)
}

// taken is what a source has emitted.
type taken struct {
	mu       sync.Mutex
	sids     []string
	position string
}

// run runs the source until stop, or until it emits more alerts than limit.
func (k *taken) run(t *testing.T, source *alertredis.Source, limit int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- source.Run(ctx, k.position, func(a *alert.Alert, p string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if len(k.sids) == limit {
				return errors.New("no more")
			}
			k.sids, k.position = append(k.sids, fmt.Sprint(a.SignatureID)), p
			return nil
		})
	}()
	return func() { cancel(); <-done }
}

func (k *taken) await(t *testing.T, want string) {
	t.Helper()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		k.mu.Lock()
		defer k.mu.Unlock()
		text := strings.Join(k.sids, " ")
		return text == want, text
	})
}

// TestReadsEVEFromRedis ends a source before it has taken all and goes on.
func TestReadsEVEFromRedis(t *testing.T) {
	c := client(t, testutil.Redis(t).Addr)
	for name, k := range map[string]struct {
		kind alertredis.Kind
		push func(text string) error
	}{
		"list":      {alertredis.List, func(s string) error { return c.RPush(t.Context(), "list", s).Err() }},
		"list left": {alertredis.ListLeft, func(s string) error { return c.LPush(t.Context(), "list left", s).Err() }},
		"stream": {alertredis.Stream, func(s string) error {
			return c.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream", Values: []any{"event", s}}).Err()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			source := alertredis.NewSource(c, alertredis.SourceOptions{Kind: k.kind, Key: name, Logger: testutil.Logger(t)})
			var got taken
			push := func(texts ...string) {
				t.Helper()
				for _, text := range texts {
					if err := k.push(text); err != nil {
						t.Fatal(err)
					}
				}
			}
			push(eve(1), "no JSON", eve(2), `{"event_type":"stats"}`, eve(3))
			stop := got.run(t, source, 2)
			got.await(t, "1 2")
			stop()
			push(eve(4))
			stop = got.run(t, source, -1)
			got.await(t, "1 2 3 4")
			stop()
			if s := source.Stats(); s.Rejected != 1 || s.Alerts < 4 || s.Records != s.Alerts+s.Other+s.Rejected {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestReadsEVEFromAChannel(t *testing.T) {
	c := client(t, testutil.Redis(t).Addr)
	source := alertredis.NewSource(c, alertredis.SourceOptions{Kind: alertredis.Channel, Logger: testutil.Logger(t)})
	var got taken
	defer got.run(t, source, -1)()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		n := c.PubSubNumSub(t.Context(), "suricata").Val()["suricata"]
		return n == 1, fmt.Sprint(n)
	})
	for _, text := range []string{eve(1), "no JSON", eve(2)} {
		if err := c.Publish(t.Context(), "suricata", text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	got.await(t, "1 2")
}

func ExampleSink() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	defer client.Close()
	sink := alertredis.NewSink(client, alertredis.SinkOptions{MaxEvents: 10_000, MaxAge: 24 * time.Hour})
	_ = alert.Outlet{Name: "redis", Sink: sink}
	// Output:
}
