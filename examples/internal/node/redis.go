package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/lease"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
	"github.com/opnfv/clover/visibility/spool"
)

// quiet drops what the client of Redis would print: each of its errors is
// also returned, and the Syncer tells of it once.
type quiet struct{}

// Printf implements the client's Logging.
func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// results keeps Redis in step.
type results struct {
	client redis.UniversalClient
	syncer *visibilityredis.Syncer
}

// newResults returns nil if there is no Redis.
func newResults(o Options, store visibility.Store, collector *visibility.Collector, share *lease.Group) (*results, error) {
	if o.Redis.URL == "" {
		return nil, nil
	}
	client, target, err := visibilityredis.Open(o.Redis)
	if err != nil {
		return nil, fmt.Errorf("--redis: %w", err)
	}
	options := visibilityredis.Options{Target: target, Refresh: o.RedisRefresh, Logger: o.Logger}
	if share != nil {
		options.Owns = share.Owns // one of the collectors writes for all
	}
	syncer, err := visibilityredis.New(client, store, collector, options)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &results{client, syncer}, nil
}

func (r *results) run(ctx context.Context) error {
	err := r.syncer.Run(ctx)
	return errors.Join(err, r.client.Close())
}

// outputs are what the collector's status shows beside its sources.
func (n *Node) outputs() (list []visibility.SourceStatus) {
	if n.results != nil {
		list = append(list, n.results.syncer.Status())
	}
	if n.exporter != nil {
		list = append(list, n.exporter.Status())
	}
	if s, ok := n.store.(*spool.Store); ok {
		list = append(list, s.Status().Output())
	}
	return list
}
