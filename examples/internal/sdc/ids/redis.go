package ids

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The keys of events in Redis, as users know them.
const (
	// EventsKey is the set of the indexes of events.
	EventsKey = "snort_events"
	// EventKeyPrefix and an index name the hash of an event.
	EventKeyPrefix = "snort_event:"
)

// redisTimeout bounds one step of a call.
const redisTimeout = 2 * time.Second

// maxEvents bounds the events kept; beyond it the oldest go.
const maxEvents = 10_000

var eventKey = regexp.MustCompile(`^` + EventKeyPrefix + `[0-9]{1,20}$`)

// Redis keeps events in Redis. Methods may be called concurrently, also by
// several processes on one Redis.
type Redis struct {
	client *redis.Client
	keep   uint64

	mu   sync.Mutex
	last uint64 // index used last; 0: not yet read
}

// NewRedis returns the events at HOST:PORT, or at a URL,
// redis://USER:PASSWORD@HOST:PORT/DB or with TLS rediss://. Nothing is
// connected before the first call.
func NewRedis(addr string) (*Redis, error) {
	o := &redis.Options{Addr: addr}
	if strings.Contains(addr, "://") {
		var err error
		if o, err = redis.ParseURL(addr); err != nil {
			return nil, errors.New("not a URL of Redis: redis://USER:PASSWORD@HOST:PORT/DB") // without the password
		}
	} else if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	o.MaxRetries, o.DialerRetries, o.DisableIdentity = 1, 1, true
	return &Redis{keep: maxEvents, client: redis.NewClient(o)}, nil
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Add implements Events. The index appears in the set together with the
// whole event.
func (r *Redis) Add(ctx context.Context, e Event) (uint64, string, error) {
	index, err := r.claim(ctx)
	if err != nil {
		return 0, "", fmt.Errorf("redis: %w", err)
	}
	key := EventKeyPrefix + strconv.FormatUint(index, 10)
	_, err = r.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, fields(index, e))
		p.SAdd(ctx, EventsKey, index)
		if index > r.keep {
			p.SRem(ctx, EventsKey, index-r.keep)
			p.Del(ctx, EventKeyPrefix+strconv.FormatUint(index-r.keep, 10))
		}
		return nil
	})
	if err != nil {
		return 0, "", fmt.Errorf("redis: event %d: %w", index, err)
	}
	return index, key, nil
}

// claim takes an index that nobody else has.
func (r *Redis) claim(ctx context.Context) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == 0 {
		used, err := r.client.SMembers(ctx, EventsKey).Result()
		if err != nil {
			return 0, err
		}
		for _, text := range used {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				r.last = max(r.last, n)
			}
		}
	}
	for {
		r.last++
		key := EventKeyPrefix + strconv.FormatUint(r.last, 10)
		ours, err := r.client.HSetNX(ctx, key, "event-id", r.last).Result()
		if err != nil || ours {
			return r.last, err
		}
	}
}

// fields are an event's, as Snort's binary log has them.
func fields(index uint64, e Event) map[string]any {
	second, micro := e.Time.Unix(), e.Time.Nanosecond()/1000
	return map[string]any{
		"event-id":           index,
		"event-second":       second,
		"event-microsecond":  micro,
		"signature-id":       e.Rule.SID,
		"generator-id":       1,
		"signature-revision": e.Rule.Revision,
		"classification-id":  0,
		"priority-id":        1,
		"source-ip":          addrText(e.Source.Addr()),
		"destination-ip":     addrText(e.Destination.Addr()),
		"sport-itype":        e.Source.Port(),
		"dport-icode":        e.Destination.Port(),
		"protocol":           6, // TCP
		"impact-flag":        0,
		"impact":             0,
		"blocked":            0,
		"packet-second":      second,
		"packet-microsecond": micro,
		"pad2":               "None",
		"packets":            e.Packet,
	}
}

// Source implements proxy.EventSource.
func (r *Redis) Source(ctx context.Context, key string) (netip.Addr, error) {
	if !eventKey.MatchString(key) {
		return netip.Addr{}, fmt.Errorf("redis: %q is not the key of an event; %sN is", key, EventKeyPrefix)
	}
	text, err := r.client.HGet(ctx, key, "source-ip").Result()
	if errors.Is(err, redis.Nil) {
		return netip.Addr{}, fmt.Errorf("redis: there is no event %s", key)
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("redis: %w", err)
	}
	return netip.ParseAddr(text)
}
