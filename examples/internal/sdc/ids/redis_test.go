package ids

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/internal/testutil"
)

// contract are the fields of an event that users read.
var contract = strings.Fields(`event-id event-second event-microsecond signature-id generator-id signature-revision
	classification-id priority-id source-ip destination-ip sport-itype dport-icode protocol impact-flag impact blocked
	packet-second packet-microsecond pad2 packets`)

func event(sid uint32) Event {
	return Event{
		Time: time.Unix(1524609217, 726997000), Rule: control.Rule{SID: sid, Revision: 3},
		Source: netip.MustParseAddrPort("203.0.113.9:0"), Destination: netip.MustParseAddrPort("10.244.0.183:8080"), Packet: "GET / HTTP/1.1",
	}
}

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

func events(t *testing.T, addr string) *Redis {
	t.Helper()
	r, err := NewRedis(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestEventsAreWhereUsersLook(t *testing.T) {
	server := testutil.Redis(t)
	r, c := events(t, server.Addr), client(t, server.Addr)
	index, key, err := r.Add(t.Context(), event(10000001))
	if err != nil || index != 1 || key != "snort_event:1" {
		t.Fatalf("%d %q %v", index, key, err)
	}
	if keys := c.Keys(t.Context(), "*").Val(); len(keys) != 2 || c.SMembers(t.Context(), "snort_events").Val()[0] != "1" {
		t.Errorf("keys %v", keys)
	}
	hash := c.HGetAll(t.Context(), "snort_event:1").Val()
	if got, want := slices.Sorted(maps.Keys(hash)), slices.Sorted(slices.Values(contract)); !slices.Equal(got, want) {
		t.Errorf("fields\n%v, want\n%v", got, want)
	}
	for field, want := range map[string]string{
		"event-id": "1", "event-second": "1524609217", "event-microsecond": "726997", "packet-second": "1524609217", "packet-microsecond": "726997",
		"signature-id": "10000001", "signature-revision": "3", "generator-id": "1", "source-ip": "203.0.113.9", "destination-ip": "10.244.0.183",
		"dport-icode": "8080", "protocol": "6", "blocked": "0", "pad2": "None",
	} {
		if hash[field] != want {
			t.Errorf("%s is %q, want %q", field, hash[field], want)
		}
	}
	if a, err := r.Source(t.Context(), key); err != nil || a.String() != "203.0.113.9" {
		t.Errorf("source %v, %v", a, err)
	}
	if a, err := events(t, "redis://"+server.Addr+"/0").Source(t.Context(), key); err != nil || a.String() != "203.0.113.9" {
		t.Errorf("by a URL: %v, %v", a, err)
	}
	for _, bad := range []string{"redis", "http://secret@redis"} {
		if _, err := NewRedis(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, key := range []string{"snort_event:2", "snort_events", "other"} {
		if _, err := r.Source(t.Context(), key); err == nil {
			t.Errorf("%s has a source", key)
		}
	}
}

// TestIndexesAreUnique has two engines on one Redis, one of which starts
// anew.
func TestIndexesAreUnique(t *testing.T) {
	server := testutil.Redis(t)
	stores := []*Redis{events(t, server.Addr), events(t, server.Addr)}
	if _, _, err := stores[0].Add(t.Context(), event(1)); err != nil {
		t.Fatal(err)
	}
	stores = append(stores, events(t, server.Addr))
	var adding sync.WaitGroup
	for _, s := range stores {
		adding.Go(func() {
			for range 30 {
				if _, _, err := s.Add(t.Context(), event(2)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adding.Wait()
	c := client(t, server.Addr)
	indexes := c.SMembers(t.Context(), EventsKey).Val()
	if len(indexes) != 91 {
		t.Errorf("%d indexes, want 91", len(indexes))
	}
	for _, i := range indexes {
		if n := c.HLen(t.Context(), EventKeyPrefix+i).Val(); int(n) != len(contract) {
			t.Errorf("event %s has %d fields", i, n)
		}
	}
}

func TestTheOldestEventsGo(t *testing.T) {
	server := testutil.Redis(t)
	r := events(t, server.Addr)
	r.keep = 3
	for range 10 {
		if _, _, err := r.Add(t.Context(), event(1)); err != nil {
			t.Fatal(err)
		}
	}
	keys := client(t, server.Addr).Keys(t.Context(), EventKeyPrefix+"*").Val()
	slices.Sort(keys)
	if fmt.Sprint(keys) != "[snort_event:10 snort_event:8 snort_event:9]" {
		t.Errorf("kept %v", keys)
	}
}

// told notes alerts.
type told struct {
	mu   sync.Mutex
	list []control.Alert
	err  error
}

func (n *told) Notify(_ context.Context, a control.Alert) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, a)
	return n.err
}

// raise lets Alerts handle events and ends it.
func raise(t *testing.T, a *Alerts, list ...Event) {
	t.Helper()
	for _, e := range list {
		a.Raise(t.Context(), e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTheProxyIsToldAlsoWithoutRedis(t *testing.T) {
	server := testutil.Redis(t)
	r := events(t, server.Addr)
	var n told
	a := NewAlerts(r, &n, testutil.Logger(t))
	raise(t, a, event(1))
	server.Stop()
	raise(t, a, event(2))
	server.Restart()
	raise(t, a, event(3))
	if len(n.list) != 3 || n.list[0].RedisKey != "snort_event:1" || n.list[1].RedisKey != "" || n.list[1].Source.String() != "203.0.113.9" ||
		!strings.HasPrefix(n.list[2].RedisKey, "snort_event:") {
		t.Errorf("told %+v", n.list)
	}
	n.err = errors.New("away")
	raise(t, a, event(4))
	if got, want := a.Stats(), (AlertStats{Seen: 4, Sent: 3, Failed: 1, NotStored: 1}); got != want {
		t.Errorf("ledger %+v, want %+v", got, want)
	}
}
