// Package cassandra is the store for meshes that outgrow one process: several
// collectors write into one keyspace of Apache Cassandra, on the driver
// cassandra-gocql-driver.
//
// # Exactly once
//
// Cassandra has no transactions over partitions, and a write that timed out
// may land all the same. The store is right in spite of both by how its rows
// are made:
//
//   - Every row carries the name of the collector that wrote it and a version.
//     It counts only if the version is not after the last one that this
//     collector committed, which one small row says. So a delivery becomes
//     visible as a whole by one write, or not at all.
//   - Sums (rollups, counts, the ledger) are absolute values that each
//     collector keeps for itself and that are added up when they are read.
//     Writing one again changes nothing, whether or not it had landed. Beside
//     each stands the value before, for readers until the commit.
//   - The commit is a lightweight transaction on the collector's own row. When
//     its outcome is not known, a later one tells it. A collector of which
//     another has taken the name can commit nothing any more.
//
// # Layout
//
// See schema.go. Spans lie by trace; everything else lies in partitions of
// time and shard. Nothing is read by ALLOW FILTERING, and no partition grows
// for ever. The tables spans, traces and metrics have the columns of 2019.
package cassandra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// Options of a Store. The zero value works with a Cassandra on this machine.
type Options struct {
	// Hosts are the contact points, each HOST or HOST:PORT. The driver finds
	// the other nodes by itself. None: 127.0.0.1.
	Hosts []string
	// Keyspace is made if it is missing. "": visibility.
	Keyspace string
	// Replication is the CQL map for a keyspace that is made. "": one copy,
	// {'class': 'SimpleStrategy', 'replication_factor': 1}.
	Replication string
	// Datacenter is the one whose nodes are asked; its quorum acknowledges
	// writes. "": any.
	Datacenter string
	// Username and Password; "": none are given.
	Username, Password string
	// TLS is how nodes are spoken to; nil: in plain text.
	TLS *tls.Config

	// Writer is the name of this process among those that write into the
	// keyspace; each needs its own, and keeps it over restarts. "": clover.
	Writer string

	// Retention is the age at which spans, rollups and metrics go.
	// 0: 7 days; negative: never.
	Retention time.Duration
	// FineRetention is the age at which rollups of 10 s go. 0: 24 h.
	FineRetention time.Duration
	// Window is the width of the time windows in which data is compacted, in
	// whole hours, for tables that are made. 0: 12 h.
	Window time.Duration
	// Shards is the number of partitions that share what belongs to one span
	// of time, for a keyspace that is made. 0: 8.
	Shards int
	// SettleAfter is how long a request of which one side has arrived waits
	// for the other before it is counted for good. 0: 2 min.
	SettleAfter time.Duration
	// Limits bound cardinality and questions. Zero fields take their defaults.
	Limits Limits
	// QueueSpans bounds the spans that wait to be written; Write blocks
	// beyond. 0: 100,000.
	QueueSpans int
	// Concurrency is the number of statements under way at once. 0: 64.
	Concurrency int
	// Timeout is how long a statement may take. 0: 5 s.
	Timeout time.Duration

	// Clock tells the time; nil: time.Now. Tests set it.
	Clock func() time.Time
	// Logger receives what the store does in the background; nil: discarded.
	Logger *slog.Logger

	// reconnect is how often a node that went away is tried again. 0: 1 s.
	reconnect time.Duration
	// lockTime is how long the schema's lock holds after the last sign of
	// life of who has it, in whole seconds. 0: schemaWait.
	lockTime time.Duration
	// laterSteps follow on those of this version.
	laterSteps []step
}

// Limits bound what the store keeps apart and what a question may cost.
// Beyond the first two spans are still stored and counted, but in rows whose
// values are visibility.Other.
type Limits struct {
	Values      int           // distinct values of one dimension; 0: 10,000
	Rows        int           // distinct combinations of values; 0: 200,000
	RecordBytes int           // encoded size of one span; 0: 1 MiB
	TraceSpans  int           // spans of one trace; 0: 20,000
	OpenHops    int           // requests waiting for their other side; 0: 50,000
	QueryCells  int           // rollups that one question may read; 0: 2,000,000
	QueryTime   time.Duration // that one question may take; 0: 30 s
}

func (o Options) withDefaults() Options {
	if len(o.Hosts) == 0 {
		o.Hosts = []string{"127.0.0.1"}
	}
	def(&o.Keyspace, "visibility")
	def(&o.Replication, "{'class': 'SimpleStrategy', 'replication_factor': 1}")
	def(&o.Writer, "clover")
	def(&o.Retention, 7*24*time.Hour)
	def(&o.FineRetention, 24*time.Hour)
	def(&o.Window, 12*time.Hour)
	def(&o.Shards, 8)
	def(&o.SettleAfter, 2*time.Minute)
	def(&o.QueueSpans, 100_000)
	def(&o.Concurrency, 64)
	def(&o.Timeout, 5*time.Second)
	def(&o.reconnect, time.Second)
	def(&o.lockTime, schemaWait)
	def(&o.Limits.Values, 10_000)
	def(&o.Limits.Rows, 200_000)
	def(&o.Limits.RecordBytes, 1<<20)
	def(&o.Limits.TraceSpans, 20_000)
	def(&o.Limits.OpenHops, 50_000)
	def(&o.Limits.QueryCells, 2_000_000)
	def(&o.Limits.QueryTime, 30*time.Second)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Store implements visibility.Store.
type Store struct {
	opts    Options
	id      gocql.UUID // of this process, as the owner of its writer
	session *gocql.Session
	dict    *dict
	shards  int

	// reading is held by readers of sums, so that the committer does not
	// overwrite the value that they are to find beside the newest one.
	reading sync.RWMutex
	// mu guards what the committer changes with each commit.
	mu    sync.Mutex
	own   writerState
	cells map[cellKey]cell
	open  map[openID]openHop
	floor time.Time // spans that started before it are gone

	swapping sync.Mutex // held by SwapState

	queue     *storekit.Queue
	committer *committer
	done      sync.WaitGroup
	readers   sync.WaitGroup
	closing   sync.Once
	closed    bool // guarded by mu

	closeErr error
}

var _ visibility.Store = (*Store)(nil)

// Open connects, makes or migrates the schema, and takes over the name of the
// writer: another process that has it can write no more. It returns an error
// that matches visibility.ErrUnsupported if a later version of Clover has made
// the schema, and visibility.ErrUnavailable if no node answers.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{opts: opts.withDefaults(), id: gocql.TimeUUID()}
	if err := s.start(ctx); err != nil {
		if s.session != nil {
			err = errors.Join(err, closeSession(s.session))
		}
		return nil, fmt.Errorf("open store cassandra %v: %w", s.opts.Hosts, err)
	}
	s.queue = storekit.NewQueue(s.opts.QueueSpans)
	s.committer = newCommitter(s)
	s.done.Go(s.committer.run)
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	if err := s.opts.check(); err != nil {
		return err
	}
	if err := prepareSchema(ctx, s.opts); err != nil {
		return err
	}
	session, err := connect(s.opts, s.opts.Keyspace)
	if err != nil {
		return err
	}
	s.session = session
	if err := s.loadMeta(ctx); err != nil {
		return err
	}
	s.dict = newDict(s.opts.Limits)
	if err := s.loadDict(ctx); err != nil {
		return err
	}
	return s.acquire(ctx, true)
}

// Close ends the store after the writes it has taken. Later calls of other
// methods return visibility.ErrUnavailable.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.queue.Close()
		s.done.Wait()
		s.readers.Wait()
		s.closeErr = closeSession(s.session)
	})
	return s.closeErr
}

// use admits a reader; the caller calls the returned function at its end.
func (s *Store) use(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return ctx, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ctx, nil, storekit.ErrClosed
	}
	s.readers.Add(1)
	limited, cancel := context.WithTimeoutCause(ctx, s.opts.Limits.QueryTime, errQueryTime)
	return limited, func() { cancel(); s.readers.Done() }, nil
}

var errQueryTime = fmt.Errorf("the question takes longer than it may: narrow its range: %w", visibility.ErrLimit)

// failure says what an error of the driver means to callers.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			return cause
		}
		return err
	}
	for _, known := range []error{
		visibility.ErrUnavailable, visibility.ErrLocked, visibility.ErrLimit, visibility.ErrInvalid, visibility.ErrNotFound, visibility.ErrUnsupported, storekit.ErrCorrupt,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	var answer gocql.RequestError
	if errors.As(err, &answer) {
		switch answer.Code() {
		case gocql.ErrCodeSyntax, gocql.ErrCodeInvalid, gocql.ErrCodeUnauthorized, gocql.ErrCodeConfig:
			return fmt.Errorf("cassandra: %w", err)
		}
	}
	return fmt.Errorf("%w: cassandra: %w", visibility.ErrUnavailable, err)
}
