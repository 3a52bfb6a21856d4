package ids

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/ids/alert"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
)

// redisTimeout bounds one step of a call.
const redisTimeout = 2 * time.Second

// maxEvents bounds the events kept; beyond it the oldest go.
const maxEvents = 10_000

// Redis keeps events in Redis. Methods may be called concurrently, also by
// several processes on one Redis.
type Redis struct {
	client *redis.Client
	sink   *alertredis.Sink
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
	client := redis.NewClient(o)
	return &Redis{client: client, sink: alertredis.NewSink(client, alertredis.SinkOptions{MaxEvents: maxEvents})}, nil
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Add implements Events: an alert that comes again has the same index.
func (r *Redis) Add(ctx context.Context, a *alert.Alert) (uint64, string, error) {
	return r.sink.Add(ctx, a)
}

// Source implements proxy.EventSource.
func (r *Redis) Source(ctx context.Context, key string) (netip.Addr, error) {
	return alertredis.EventSource(ctx, r.client, key)
}

// protocolTCP is IP's number of TCP.
const protocolTCP = 6

// alert is the event as an alert like those of other engines.
func (e Event) alert() *alert.Alert {
	return &alert.Alert{
		ID: EngineName + ":" + rand.Text(), Engine: EngineName, Time: e.Time.UTC(),
		GeneratorID: 1, SignatureID: e.Rule.SID, Revision: e.Rule.Revision, Signature: e.Rule.Message, Priority: 1,
		SourceIP: e.Source.Addr(), DestinationIP: e.Destination.Addr(), SourcePort: e.Source.Port(), DestinationPort: e.Destination.Port(),
		Protocol: protocolTCP, Payload: []byte(e.Packet),
	}
}
