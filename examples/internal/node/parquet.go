package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

// parquetFlags are for spans as Parquet files, which Spark and others read.
type parquetFlags struct {
	dir              string
	window, interval time.Duration
	settle           time.Duration
	open             bool
}

func (p *parquetFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.dir, "parquet-dir", "", "`directory` that gets the spans as Parquet files too, for Spark and DuckDB; one collector at a time writes there")
	f.DurationVar(&p.window, "parquet-window", 0, "`time` of which a file has the traces, which divides a day (default: that of the files there, or 1h)")
	f.DurationVar(&p.settle, "parquet-settle", 0, "`time` that is left for late spans after a window (default: 15m)")
	f.BoolVar(&p.open, "parquet-open", false, "write windows that are not complete too, and again while spans come, so that Spark has them after --parquet-interval")
	f.DurationVar(&p.interval, "parquet-interval", 10*time.Second, "`time` from one look for windows that are complete to the next")
}

// exporter writes the spans of a store into files, again and again.
type exporter struct {
	parquetFlags
	from parquet.Source
	log  *slog.Logger
}

// newExporter returns nil if there are to be no files.
func newExporter(o Options, store visibility.Store) (*exporter, error) {
	p := o.parquet
	if p.dir == "" {
		return nil, nil
	}
	if p.interval <= 0 {
		return nil, fmt.Errorf("--parquet-interval %s: want a time above 0: %w", p.interval, visibility.ErrInvalid)
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, fmt.Errorf("--parquet-dir: %w", err)
	}
	return &exporter{parquetFlags: p, from: store, log: o.Logger}, nil
}

// run exports until ctx ends. Failures are told, and tried again: the store
// has the spans meanwhile. While another process writes there, it waits.
func (e *exporter) run(ctx context.Context) error {
	tick := time.NewTicker(e.interval)
	defer tick.Stop()
	said := ""
	for {
		err := e.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
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

func (e *exporter) once(ctx context.Context) error {
	lock, err := recordfile.Lock(filepath.Join(e.dir, "_lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	_, err = parquet.Export(ctx, e.from, e.dir, parquet.Options{
		Window: e.window, Settle: e.settle, Open: e.open,
		Progress: func(p parquet.Progress) {
			if p.File.Spans > 0 {
				e.log.Debug("parquet: exported", "file", p.File.Path, "spans", p.File.Spans, "again", p.Again)
			}
		},
	})
	return err
}
