package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/sql"
)

// Name is that of an engine, or Auto.
type Name string

// The engines.
const (
	Auto  Name = "auto" // whichever fits the question
	Store Name = "store"
	Spark Name = "spark"
)

// Names are all that ParseName takes.
var Names = []string{string(Auto), string(Store), string(Spark)}

// ParseName reads a Name. Errors match visibility.ErrInvalid.
func ParseName(s string) (Name, error) {
	if !slices.Contains(Names, s) {
		return "", fmt.Errorf("engine %q is not known; want %s: %w", s, strings.Join(Names, ", "), visibility.ErrInvalid)
	}
	return Name(s), nil
}

// ErrNotConfigured says that there is no Spark to ask.
var ErrNotConfigured = errors.New("no Spark server is configured")

// StoreReader is what is needed of a visibility.Store.
type StoreReader interface {
	visibility.RollupReader
	visibility.LedgerReader
	Stats(ctx context.Context) (visibility.StoreStats, error)
}

// SparkSQL is a Spark and the spans that it reads.
type SparkSQL struct {
	// DB runs the statements, e.g. that of package visibility/spark.
	DB sql.DB
	// Table is SQL that stands for the spans; see sql.Options.
	Table string
	// TableIn is that of sql.Options.
	TableIn func(r visibility.Range) string
	// Files tells what the table consists of. nil: not known, and Auto does
	// not choose Spark.
	Files func(ctx context.Context) (Files, error)
	// SameSpans says that the table is what the store has itself, not files,
	// so that both know the same. A statement reads all of it: Auto does not
	// choose Spark.
	SameSpans bool
}

// Files are what package visibility/parquet has written into a folder.
type Files struct {
	// All traces that began in [From, Through) are in the files.
	From, Through time.Time
	// Window is the time of which a file holds the traces.
	Window time.Duration
	List   []File
}

// File holds the traces that began in a window.
type File struct {
	From  time.Time
	Spans int64
}

// Options of a Chooser.
type Options struct {
	Store     StoreReader
	Analytics visibility.AnalyticsOptions
	// Spark, if there is one.
	Spark *SparkSQL
	// MaxRollups is how many rollups the store is expected to read at most,
	// by estimate, where Spark could answer too. 0: DefaultMaxRollups.
	MaxRollups int64
}

// DefaultMaxRollups takes the embedded store about ten seconds to read.
const DefaultMaxRollups = 20_000_000

// Chooser answers questions by the engine that fits. Its methods may be called
// concurrently.
type Chooser struct{ o Options }

// New returns a Chooser.
func New(o Options) (*Chooser, error) {
	if o.Store == nil {
		return nil, fmt.Errorf("engine: there is no store: %w", visibility.ErrInvalid)
	}
	if o.Analytics.Clock == nil {
		o.Analytics.Clock = time.Now
	}
	o.MaxRollups = cmp.Or(o.MaxRollups, DefaultMaxRollups)
	return &Chooser{o: o}, nil
}

// Alone reports whether the store is the only engine.
func (c *Chooser) Alone() bool { return c.o.Spark == nil }

// Explanation says who answered and why.
type Explanation struct {
	Engine Name
	Reason string // a sentence for people
	Store  Cost   // estimated
	Spark  Cost   // estimated; Unknown if there is none, or what it reads
	Real   Cost   // of the engine that answered
}

// Cost is what an answer takes. Fields that are not known are -1.
type Cost struct {
	Read     int64 // rollups of the store; spans of Spark
	Files    int64 // of Spark
	Returned int64 // rows that Spark returned
	Elapsed  time.Duration
}

// Unknown is a Cost of which nothing is known.
var Unknown = Cost{Read: -1, Files: -1, Returned: -1, Elapsed: -1}

// Ask answers q by the engine of that name; see visibility.Analytics.Query for
// the answer. If Auto has chosen a Spark that cannot be reached, the store
// answers.
//
// An error that matches ErrNotConfigured says that there is no Spark.
func (c *Chooser) Ask(ctx context.Context, q visibility.Query, name Name) (*visibility.Result, *Explanation, error) {
	if name == Spark && c.o.Spark == nil {
		return nil, nil, ErrNotConfigured
	}
	began := time.Now()
	why, err := c.plan(ctx, &q, name)
	if err != nil {
		return nil, nil, err
	}
	var res *visibility.Result
	if why.Engine == Spark {
		res, err = c.askSpark(ctx, q, &why.Real)
		if err != nil && name == Auto && errors.Is(err, visibility.ErrUnavailable) && ctx.Err() == nil {
			why.Engine, why.Real = Store, Unknown
			why.Reason = fmt.Sprintf("Spark cannot be reached (%v); it was chosen because %s", err, why.Reason)
		}
	}
	if why.Engine == Store {
		res, err = c.askStore(ctx, q, &why.Real)
	}
	if err != nil {
		return nil, nil, err
	}
	why.Real.Elapsed = time.Since(began)
	return res, why, nil
}

// plan chooses the engine. It settles the range of q, so that it does not
// depend on who answers.
func (c *Chooser) plan(ctx context.Context, q *visibility.Query, name Name) (*Explanation, error) {
	a, err := visibility.NewAnalytics(c.o.Store, c.o.Analytics)
	if err != nil {
		return nil, err
	}
	if q.Range, err = a.ResolveRange(q.Range); err != nil {
		return nil, err
	}
	f := facts{rng: q.Range, spark: c.o.Spark != nil, maxRollups: c.o.MaxRollups}
	f.same = f.spark && c.o.Spark.SameSpans
	if f.store, err = c.o.Store.Stats(ctx); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if f.spark && c.o.Spark.Files != nil {
		files, err := c.o.Spark.Files(ctx)
		if err == nil {
			f.files = &files
		}
		f.filesErr = err
	}
	why := &Explanation{Engine: name, Reason: "it was asked for", Store: f.storeCost(), Spark: f.sparkCost(), Real: Unknown}
	switch {
	case name == Auto:
		why.Engine, why.Reason = f.decide()
	case name == Spark && f.same:
		why.Reason = "it was asked for; it reads the spans of the store itself"
	}
	return why, nil
}

func (c *Chooser) askStore(ctx context.Context, q visibility.Query, cost *Cost) (*visibility.Result, error) {
	store := &counting{StoreReader: c.o.Store}
	a, err := visibility.NewAnalytics(store, c.o.Analytics)
	if err != nil {
		return nil, err
	}
	res, err := a.Query(ctx, q)
	cost.Read = store.rollups
	return res, err
}

// counting counts the rollups that one question reads.
type counting struct {
	StoreReader
	rollups int64
}

// Rollups implements visibility.RollupReader.
func (c *counting) Rollups(ctx context.Context, r visibility.Range, width time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	return c.StoreReader.Rollups(ctx, r, width, func(rollup *visibility.Rollup) error {
		c.rollups++
		return yield(rollup)
	})
}

func (c *Chooser) askSpark(ctx context.Context, q visibility.Query, cost *Cost) (*visibility.Result, error) {
	db := &countingDB{DB: c.o.Spark.DB}
	o := sql.Options{Dialect: sql.Spark, Table: c.o.Spark.Table, TableIn: c.o.Spark.TableIn, Clock: c.o.Analytics.Clock}
	if files := c.o.Spark.Files; files != nil {
		o.Through = func(ctx context.Context) (time.Time, error) {
			f, err := files(ctx)
			return f.Through, err
		}
	}
	if c.o.Spark.SameSpans {
		o.Oldest = func(ctx context.Context) (time.Time, error) {
			st, err := c.o.Store.Stats(ctx)
			return st.Oldest, err
		}
	}
	e, err := sql.New(db, o)
	if err != nil {
		return nil, err
	}
	res, err := e.Query(ctx, q)
	if gone(err) && ctx.Err() == nil {
		db.rows = 0
		res, err = e.Query(ctx, q)
	}
	cost.Returned = db.rows
	return res, err
}

// gone reports whether Spark has missed a file that it had listed before: it
// went by its age, or was replaced. The next time it lists what is there.
func gone(err error) bool {
	return err != nil && strings.Contains(err.Error(), "FileNotFoundException")
}

// countingDB counts the rows that come back.
type countingDB struct {
	sql.DB
	rows int64
}

// Query implements sql.DB.
func (c *countingDB) Query(ctx context.Context, statement string, yield func(row []any) error) error {
	return c.DB.Query(ctx, statement, func(row []any) error {
		c.rows++
		return yield(row)
	})
}
