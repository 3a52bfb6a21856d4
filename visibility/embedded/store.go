// Package embedded is Clover's default store: one directory on disk, pure
// Go, on the log-structured library Pebble.
//
// One goroutine, the committer, takes the batches that writers hand in,
// joins them (group commit), drops the spans that are there already, pairs
// the sides of hops, and writes spans, index, rollups and ledger in one
// atomic Pebble batch. [Store.Write] returns after that batch's fsync. A
// crash at any point therefore loses nothing acknowledged and counts nothing
// twice.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// Format is the version of the layout on disk that this package writes. It
// reads all earlier ones and refuses later ones.
const Format = 1

// Options of a Store. The zero value works.
type Options struct {
	// Retention is the age at which spans, rollups and metrics go.
	// 0: 7 days; negative: never.
	Retention time.Duration
	// FineRetention is the age at which rollups of 10 s go; those of 5 min
	// and 1 h stay as long as Retention. 0: 24 h.
	FineRetention time.Duration
	// MaxBytes bounds the directory: the oldest hours go when it is larger.
	// 0: 10 GiB; negative: no bound.
	MaxBytes int64
	// SettleAfter is how long a request of which one side has arrived waits
	// for the other before it is counted for good. 0: 2 min.
	SettleAfter time.Duration
	// Limits bound cardinality. Zero fields take their defaults.
	Limits Limits
	// QueueSpans bounds the spans that wait for the committer; Write blocks
	// beyond. 0: 100,000.
	QueueSpans int
	// CacheBytes is the size of the block cache. 0: 64 MiB.
	CacheBytes int64
	// Clock tells the time; nil: time.Now. Tests set it.
	Clock func() time.Time
	// Logger receives what the store does in the background; nil: discarded.
	Logger *slog.Logger
}

// Limits bound what the store keeps apart. Beyond them spans are still
// stored and counted, but in rows whose values are visibility.Other.
type Limits struct {
	Values        int // distinct values of one dimension; 0: 10,000
	Rows          int // distinct combinations of values; 0: 200,000
	AttributeSets int // distinct sets of attributes; 0: 50,000 (larger sets are stored inline)
	RecordBytes   int // encoded size of one span; 0: 1 MiB
	OpenHops      int // requests waiting for their other side; 0: 200,000
}

func (o Options) withDefaults() Options {
	def(&o.Retention, 7*24*time.Hour)
	def(&o.FineRetention, 24*time.Hour)
	def(&o.MaxBytes, 10<<30)
	def(&o.SettleAfter, 2*time.Minute)
	def(&o.QueueSpans, 100_000)
	def(&o.CacheBytes, 64<<20)
	def(&o.Limits.Values, 10_000)
	def(&o.Limits.Rows, 200_000)
	def(&o.Limits.AttributeSets, 50_000)
	def(&o.Limits.RecordBytes, 1<<20)
	def(&o.Limits.OpenHops, 200_000)
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
	opts  Options
	dir   string
	db    *pebble.DB
	lock  *pebble.Lock
	cache *pebble.Cache
	dict  *dict

	// mu orders what readers see: the Pebble state and the open hops change
	// together under its write lock.
	mu       sync.RWMutex
	open     map[openID]openHop
	floor    time.Time // spans that started before it have been dropped
	overflow int64     // spans folded since opening

	queue     *storekit.Queue
	committer *committer
	acks      chan ack
	done      sync.WaitGroup
	readers   sync.WaitGroup
	closing   sync.Once
	closed    bool // guarded by mu
	closeErr  error
}

var _ visibility.Store = (*Store)(nil)

// Open opens the store in dir, which is made if it is missing. It returns an
// error that matches visibility.ErrLocked if another process has it open,
// and visibility.ErrUnsupported if a later version of Clover wrote it.
func Open(dir string, opts Options) (*Store, error) {
	s := &Store{opts: opts.withDefaults(), dir: dir, open: map[openID]openHop{}}
	if err := s.openDir(); err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), s.closeFiles())
	}
	s.queue = storekit.NewQueue(s.opts.QueueSpans)
	s.acks = make(chan ack, 64)
	s.committer = newCommitter(s)
	s.done.Go(s.committer.run)
	s.done.Go(s.acknowledge)
	return s, nil
}

func (s *Store) openDir() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.checkFormat(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, "db")
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(path, vfs.Default)
	if err != nil {
		return fmt.Errorf("%w: end that process or choose another directory (%w)", visibility.ErrLocked, err)
	}
	s.lock = lock
	// Pebble takes the memory of its tables of new entries from the cache.
	s.cache = pebble.NewCache(s.opts.CacheBytes + memTables*memTableBytes)
	s.db, err = pebble.Open(path, s.pebbleOptions())
	if err != nil {
		return errors.Join(err, s.closeFiles())
	}
	return nil
}

// New entries wait in memory to be sorted into files: so many tables of so
// many bytes at most.
const (
	memTables     = 4
	memTableBytes = 32 << 20
)

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		Cache:                       s.cache,
		Comparer:                    comparer,
		Merger:                      merger,
		Lock:                        s.lock,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       2,
		LBaseMaxBytes:               64 << 20,
		Logger:                      pebbleLogger{s.opts.Logger},
	}
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = 32 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.ZstdCompression }
		if i == 0 {
			l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		}
	}
	return o
}

// checkFormat compares or writes the file that names the layout's version.
// It stands outside the database so that any version can read it.
func (s *Store) checkFormat() error {
	path := filepath.Join(s.dir, "FORMAT")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return writeSynced(path, []byte(fmt.Sprintf("clover visibility store %d\n", Format)))
	}
	if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "clover visibility store ")
	version, convErr := strconv.Atoi(text)
	if !ok || convErr != nil {
		return fmt.Errorf("%w: %s says %q, which is not a store of Clover", visibility.ErrUnsupported, path, raw)
	}
	if version > Format {
		return fmt.Errorf("%w: the data has format %d, this version reads up to %d: use a later Clover or another directory",
			visibility.ErrUnsupported, version, Format)
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// load reads what the committer keeps in memory.
func (s *Store) load() error {
	s.dict = newDict(s.opts.Limits)
	if err := s.dict.load(s.db); err != nil {
		return err
	}
	if err := s.loadFloor(); err != nil {
		return err
	}
	return s.loadOpen()
}

// Close ends the committer after the writes it has taken and closes the
// files. Later calls of other methods return visibility.ErrUnavailable.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.queue.Close()
		s.done.Wait()
		s.readers.Wait()
		s.closeErr = s.closeFiles()
	})
	return s.closeErr
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
		s.db = nil
	}
	if s.cache != nil {
		s.cache.Unref()
		s.cache = nil
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// snapshot is one consistent view for a reader.
type snapshot struct {
	*pebble.Snapshot
	view
	floor    time.Time
	overflow int64
	open     []openHop // those that started in the range asked for
}

// read runs fn on a consistent view; r selects the open hops it needs.
func (s *Store) read(ctx context.Context, r visibility.Range, fn func(*snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return storekit.ErrClosed
	}
	snap := &snapshot{Snapshot: s.db.NewSnapshot(), view: s.dict.view(), floor: s.floor, overflow: s.overflow}
	if r.From.Before(r.To) {
		for _, h := range s.open {
			if !h.start.Before(r.From) && h.start.Before(r.To) {
				snap.open = append(snap.open, h)
			}
		}
	}
	s.readers.Add(1)
	s.mu.RUnlock()
	defer s.readers.Done()
	return errors.Join(fn(snap), snap.Close())
}

// pebbleLogger passes Pebble's log on. Pebble's chatter is for debugging.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
}
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
	panic(fmt.Sprintf("store: "+format, args...))
}
