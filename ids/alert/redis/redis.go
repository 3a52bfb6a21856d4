// Package alertredis keeps alerts in Redis and reads Suricata's from there.
//
// [Sink] writes the keys that users of Clover know: the set "snort_events" of
// indexes, and for each index N the hash "snort_event:N". [Source] reads EVE
// from a list, a stream or a channel.
package alertredis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/ids/alert"
)

// Keys in Redis. The first two are the contract with users. The others are
// the sink's own.
const (
	// EventsKey is the set of the indexes of events.
	EventsKey = "snort_events"
	// EventPrefix and an index name the hash of an event.
	EventPrefix = "snort_event:"

	counterKey = "clover:snort_events:last"  // the index given last
	orderKey   = "clover:snort_events:order" // sorted set of the indexes
	seenKey    = "clover:snort_events:seen"  // hash: alert's identity to index
)

// Defaults of a sink.
const (
	defaultMaxEvents = 10_000
	defaultMaxAge    = 7 * 24 * time.Hour
)

// SinkOptions bounds what is kept.
type SinkOptions struct {
	// MaxEvents is how many events are kept; beyond it the oldest go. 0 is
	// 10,000.
	MaxEvents int
	// MaxAge is how long an event is kept; 0 is 7 days. It goes when another
	// event is added after that.
	MaxAge time.Duration
}

// Sink keeps alerts in Redis. Each alert has one index, also if it is
// delivered again, and appears in the set together with the whole event. An
// index is never given again, also not by another process, or after events
// went or this process was started anew. If Redis itself loses its data, this
// process goes on counting; only when both start anew, indexes begin at 1.
// It needs all keys on one server, which rules out Redis Cluster. Methods may
// be called concurrently.
type Sink struct {
	client redis.UniversalClient
	o      SinkOptions

	mu   sync.Mutex
	last uint64 // the highest index seen
}

var _ alert.Sink = (*Sink)(nil)

// NewSink returns a sink; the client stays the caller's.
func NewSink(client redis.UniversalClient, o SinkOptions) *Sink {
	if o.MaxEvents <= 0 {
		o.MaxEvents = defaultMaxEvents
	}
	if o.MaxAge <= 0 {
		o.MaxAge = defaultMaxAge
	}
	return &Sink{client: client, o: o}
}

//go:embed add.lua
var addScript string

var add = redis.NewScript(addScript)

// Deliver implements alert.Sink.
func (s *Sink) Deliver(ctx context.Context, alerts []alert.Alert) error {
	for i := range alerts {
		if _, _, err := s.Add(ctx, &alerts[i]); err != nil {
			return err
		}
	}
	return nil
}

// Add keeps one alert and returns its index and key.
func (s *Sink) Add(ctx context.Context, a *alert.Alert) (index uint64, key string, err error) {
	s.mu.Lock()
	floor := s.last
	s.mu.Unlock()
	args := []any{a.ID, time.Now().UnixMilli(), s.o.MaxAge.Milliseconds(), s.o.MaxEvents, floor, EventPrefix}
	for k, v := range a.Fields(0) {
		if k != "event-id" { // the script sets it
			args = append(args, k, v)
		}
	}
	n, err := add.Run(ctx, s.client, []string{EventsKey, counterKey, orderKey, seenKey}, args...).Int64()
	if err != nil {
		return 0, "", fmt.Errorf("redis: keep alert %s: %w", a.ID, err)
	}
	index = uint64(n)
	s.mu.Lock()
	s.last = max(s.last, index)
	s.mu.Unlock()
	return index, EventPrefix + strconv.FormatUint(index, 10), nil
}

// Errors of reading an event, to match with errors.Is.
var (
	// ErrKey says that a key is not one of an event.
	ErrKey = errors.New("not the key of an event, which is snort_event:N")
	// ErrGone says that there is no such event, or not any more.
	ErrGone = errors.New("there is no such event")
	// ErrNoSource says that an event has no address as its source.
	ErrNoSource = errors.New("the event has no source address")
)

// Temporary reports whether an error of reading an event may pass: Redis is
// away or busy, say, rather than that the event is not there.
func Temporary(err error) bool {
	return !errors.Is(err, ErrKey) && !errors.Is(err, ErrGone) && !errors.Is(err, ErrNoSource)
}

var eventKey = regexp.MustCompile(`^` + EventPrefix + `[0-9]{1,20}$`)

// Event reads the fields of an event.
func Event(ctx context.Context, client redis.Cmdable, key string) (map[string]string, error) {
	if !eventKey.MatchString(key) {
		return nil, fmt.Errorf("redis: %q: %w", key, ErrKey)
	}
	fields, err := client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("redis: %s: %w", key, ErrGone)
	}
	return fields, nil
}

// EventSource reads the source address of an event.
func EventSource(ctx context.Context, client redis.Cmdable, key string) (netip.Addr, error) {
	fields, err := Event(ctx, client, key)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(fields["source-ip"])
	if err != nil {
		return a, fmt.Errorf("redis: %s: %w", key, ErrNoSource)
	}
	return a, nil
}
