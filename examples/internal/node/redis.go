package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/lease"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
	"github.com/opnfv/clover/visibility/spark/job"
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
	figures, err := o.figures()
	if err != nil || o.Redis.URL == "" {
		return nil, err
	}
	client, target, err := visibilityredis.Open(o.Redis)
	if err != nil {
		return nil, fmt.Errorf("--redis: %w", err)
	}
	options := visibilityredis.Options{Target: target, Refresh: o.RedisRefresh, Logger: o.Logger, Figures: figures}
	if share != nil {
		options.Owns = share.Owns // one of the collectors writes for all
	}
	syncer, err := visibilityredis.New(client, store, collector, options)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &results{client, syncer}, nil
}

// figures are who counts for Redis besides the store; nil: it does.
func (o *Options) figures() (visibilityredis.Figures, error) {
	switch o.RedisResults {
	case "", "store":
		return nil, nil
	case "spark":
	default:
		return nil, fmt.Errorf("--redis-results %q: want store or spark: %w", o.RedisResults, visibility.ErrInvalid)
	}
	data := o.parquet.dir
	if data == "" {
		data = o.Spark.Data
	}
	if strings.Contains(data, "://") {
		data = "" // only folders are looked at
	}
	switch {
	case o.Redis.URL == "":
		return nil, fmt.Errorf("--redis-results spark is for --redis: %w", visibility.ErrInvalid)
	case o.SparkResults == "":
		return nil, fmt.Errorf("--redis-results spark needs --spark-results: %w", visibility.ErrInvalid)
	}
	return job.OpenFigures(o.SparkResults, data), nil
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
	if n.jobs != nil {
		list = append(list, n.jobs.Status())
	}
	if s, ok := n.store.(*spool.Store); ok {
		list = append(list, s.Status().Output())
	}
	return list
}
