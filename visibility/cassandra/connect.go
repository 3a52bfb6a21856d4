package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/visibility"
)

const defaultPort = 9042

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// check refuses options that would otherwise end in an error of CQL.
func (o *Options) check() error {
	switch {
	case !nameForm.MatchString(o.Keyspace):
		return fmt.Errorf("keyspace %q: want lower-case letters, digits and _, at most 48: %w", o.Keyspace, visibility.ErrInvalid)
	case len(o.Writer) > 200 || keyName(o.Writer) != o.Writer:
		return fmt.Errorf("writer %q: want a short plain name: %w", o.Writer, visibility.ErrInvalid)
	case o.Window < time.Hour:
		return fmt.Errorf("compaction window %v: want at least an hour: %w", o.Window, visibility.ErrInvalid)
	case o.Shards < 1 || o.Shards > 1024:
		return fmt.Errorf("%d shards: want 1 to 1024: %w", o.Shards, visibility.ErrInvalid)
	}
	return nil
}

// connect opens a session; keyspace "" is for making one.
func connect(o Options, keyspace string) (*gocql.Session, error) {
	hosts, port := splitPort(o.Hosts)
	cluster := gocql.NewCluster(hosts...)
	cluster.Port = port
	cluster.Keyspace = keyspace
	cluster.Consistency = gocql.LocalQuorum
	cluster.SerialConsistency = gocql.LocalSerial
	cluster.Timeout, cluster.WriteTimeout, cluster.ConnectTimeout = o.Timeout, o.Timeout, o.Timeout
	// Everything the store says may be said again: see the package comment.
	cluster.DefaultIdempotence = true
	cluster.RetryPolicy = &gocql.ExponentialBackoffRetryPolicy{NumRetries: 2, Min: 20 * time.Millisecond, Max: time.Second}
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 3, Interval: 200 * time.Millisecond}
	cluster.ReconnectInterval = o.reconnect
	cluster.PageSize = pageSize
	cluster.Logger = driverLog{o.Logger}
	nodes := gocql.RoundRobinHostPolicy()
	if o.Datacenter != "" {
		nodes = gocql.DCAwareRoundRobinPolicy(o.Datacenter)
	}
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(nodes)
	if o.Username != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: o.Username, Password: o.Password}
	}
	if o.TLS != nil {
		cluster.SslOpts = &gocql.SslOptions{Config: o.TLS.Clone(), EnableHostVerification: !o.TLS.InsecureSkipVerify}
	}
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", visibility.ErrUnavailable, advise(err))
	}
	return session, nil
}

// closeWait is how long a session may take to close, on a busy machine too.
const closeWait = 15 * time.Second

// closeSession closes a session. The driver (2.1.2) never returns from that if
// it is just making its control connection again, so that is waited for.
func closeSession(session *gocql.Session) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait/3)
	defer cancel()
	for session.AwaitSchemaAgreement(ctx) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		session.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(closeWait):
		return errors.New("cassandra: the driver does not end its connections")
	}
}

// pageSize is the number of rows that are fetched at once.
const pageSize = 2000

// splitPort takes the common port off the hosts; the driver wants one for all.
func splitPort(hosts []string) (names []string, port int) {
	port = defaultPort
	for i, h := range hosts {
		name, p, err := net.SplitHostPort(h)
		if err != nil {
			names = append(names, h)
			continue
		}
		if n, err := strconv.Atoi(p); err == nil && i == 0 {
			port = n
		}
		if p == strconv.Itoa(port) {
			h = name
		}
		names = append(names, h)
	}
	return names, port
}

// driverLog passes the driver's log on; its chatter is for debugging.
type driverLog struct{ log *slog.Logger }

func (l driverLog) Error(msg string, f ...gocql.LogField)   { l.write(slog.LevelWarn, msg, f) }
func (l driverLog) Warning(msg string, f ...gocql.LogField) { l.write(slog.LevelInfo, msg, f) }
func (l driverLog) Info(msg string, f ...gocql.LogField)    { l.write(slog.LevelDebug, msg, f) }
func (l driverLog) Debug(string, ...gocql.LogField)         {}

func (l driverLog) write(level slog.Level, msg string, fields []gocql.LogField) {
	args := make([]any, 0, 2*len(fields))
	for _, f := range fields {
		args = append(args, f.Name, f.Value.String())
	}
	l.log.Log(context.Background(), level, "cassandra: "+msg, args...)
}

// each calls fn for 0 ≤ i < n, at most limit at once, until one fails.
func each(ctx context.Context, n, limit int, fn func(ctx context.Context, i int) error) error {
	if n == 1 {
		return fn(ctx, 0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return fn(ctx, i) })
	}
	return group.Wait()
}

// statement is one write of a batch.
type statement struct {
	cql  string
	args []any
	size int // about, in bytes
}

// batchBytes bounds a batch. All of one goes to a single partition.
const batchBytes = 256 << 10

// writeBatches writes each list of statements, which belong to one partition,
// in as few batches as fit.
func (s *Store) writeBatches(ctx context.Context, lists [][]statement) error {
	var batches [][]statement
	for _, list := range lists {
		size, from := 0, 0
		for i := range list {
			if size += list[i].size; size > batchBytes && i > from {
				batches = append(batches, list[from:i])
				from, size = i, list[i].size
			}
		}
		if from < len(list) {
			batches = append(batches, list[from:])
		}
	}
	if len(batches) == 0 {
		return nil
	}
	return each(ctx, len(batches), s.opts.Concurrency, func(ctx context.Context, i int) error {
		list := batches[i]
		if len(list) == 1 {
			return s.session.Query(list[0].cql, list[0].args...).ExecContext(ctx)
		}
		b := s.session.Batch(gocql.UnloggedBatch)
		for _, st := range list {
			b.Query(st.cql, st.args...)
		}
		return b.ExecContext(ctx)
	})
}
