package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/spanfolder"
	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/lease"
	"github.com/opnfv/clover/visibility/parquet"
)

// parquetFlags are for spans as Parquet files, which Spark and others read.
type parquetFlags struct {
	dir              string
	window, interval time.Duration
	settle, keep     time.Duration
	open             bool
}

func (p *parquetFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.dir, "parquet-dir", "", "`directory`, or s3://BUCKET/PREFIX, that gets the spans as Parquet files too, for Spark and DuckDB; one collector at a time writes there")
	f.DurationVar(&p.window, "parquet-window", 0, "`time` of which a file has the traces, which divides a day (default: that of the files there, or 1h)")
	f.DurationVar(&p.settle, "parquet-settle", 0, "`time` that is left for late spans after a window (default: 15m)")
	f.BoolVar(&p.open, "parquet-open", false, "write windows that are not complete too, and again while spans come, so that Spark has them after --parquet-interval")
	f.DurationVar(&p.interval, "parquet-interval", 10*time.Second, "`time` from one look for windows that are complete to the next")
	f.DurationVar(&p.keep, "parquet-retention", 0, "`age` at which files go (default: they stay)")
}

// exporter writes the spans of a store into files, again and again.
type exporter struct {
	parquetFlags
	folder parquet.Folder
	from   parquet.Source
	share  *lease.Group // nil: not shared
	log    *slog.Logger

	mu     sync.Mutex
	status visibility.SourceStatus
	behind time.Time // since when; zero: it is not
}

// newExporter returns nil if there are to be no files.
func newExporter(o Options, store visibility.Store, share *lease.Group) (*exporter, error) {
	p := o.parquet
	if p.dir == "" {
		return nil, nil
	}
	switch {
	case p.interval <= 0:
		return nil, fmt.Errorf("--parquet-interval %s: want a time above 0: %w", p.interval, visibility.ErrInvalid)
	case p.keep < 0:
		return nil, fmt.Errorf("--parquet-retention %s is negative: %w", p.keep, visibility.ErrInvalid)
	}
	if !spanfolder.Remote(p.dir) {
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			return nil, fmt.Errorf("--parquet-dir: %w", err)
		}
	}
	folder, err := spanfolder.Open(p.dir)
	if err != nil {
		return nil, fmt.Errorf("--parquet-dir: %w", err)
	}
	return &exporter{
		parquetFlags: p, folder: folder, from: store, share: share, log: o.Logger,
		status: visibility.SourceStatus{Name: "parquet", Kind: visibility.KindFiles, Target: p.dir, State: visibility.StateStarting},
	}, nil
}

// run exports until ctx ends. Failures are told, and tried again: the store
// has the spans meanwhile. While another process writes there, it waits.
func (e *exporter) run(ctx context.Context) error {
	tick := time.NewTicker(e.interval)
	defer tick.Stop()
	said := ""
	for {
		began := time.Now()
		m, err := e.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		e.note(began, &m, err)
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			e.log.Warn("parquet: not exported, it is tried again", "dir", e.dir, "err", err)
		case err == nil && said != "":
			said = ""
			e.log.Info("parquet: exported again", "dir", e.dir)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errStandby says that another collector writes the files.
var errStandby = errors.New("another collector writes there")

// once exports what is complete and returns what the folder then has.
func (e *exporter) once(ctx context.Context) (parquet.Manifest, error) {
	if e.share != nil && !e.share.Owns("parquet") {
		m, err := parquet.ReadManifestFrom(ctx, e.folder)
		return m, errors.Join(errStandby, err)
	}
	if !spanfolder.Remote(e.dir) {
		lock, err := recordfile.Lock(filepath.Join(e.dir, "_lock"))
		if err != nil {
			return parquet.Manifest{}, err
		}
		defer func() { _ = lock.Close() }()
	}
	return parquet.ExportTo(ctx, e.from, e.folder, parquet.Options{
		Window: e.window, Settle: e.settle, Keep: e.keep, Open: e.open,
		Progress: func(p parquet.Progress) {
			if p.File.Spans > 0 {
				e.log.Debug("parquet: exported", "file", p.File.Path, "spans", p.File.Spans, "again", p.Again)
			}
		},
	})
}
