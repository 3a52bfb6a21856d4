package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// Source is what an export reads: the half of a visibility.Store that knows
// its spans.
type Source interface {
	visibility.TraceReader
	Stats(ctx context.Context) (visibility.StoreStats, error)
}

// Options configure an export. The zero value works.
type Options struct {
	// Window is the time of which a file holds the traces; it must divide a
	// day. 0: that of earlier exports into the folder, or an hour.
	Window time.Duration
	// Open writes the windows too that have not settled, up to the newest
	// span; the next export writes those anew that have changed.
	Open bool
	// Settle is how long after its end a window is left for late spans.
	// 0: 15 min. Negative: not at all.
	Settle time.Duration
	// Recheck is how far back from the last export windows are looked at
	// again; those whose traces or spans have become more or fewer are
	// written anew. 0: 2 h. Negative: none.
	Recheck time.Duration
	// From is where exports begin; it is rounded down to a window. Zero: at
	// the oldest span.
	From time.Time
	// Keep is the age at which files go: those whose window ended before
	// that, with all of its traces. Windows that are older are not written.
	// 0: they stay.
	Keep time.Duration
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
	// Progress, if not nil, is called after each window.
	Progress func(Progress)
}

// Progress is how far an export has come.
type Progress struct {
	Through, Until time.Time // complete up to, and where that will end
	File           File      // the window's; Spans is 0 if it has none
	Again          bool      // the window had been written before
}

// TracePager is a Source that gives whole traces, a page at a time, in one
// step each, as one beyond a network may. An export asks it instead of Trace.
type TracePager interface {
	// TracePage returns the spans of traces, one trace after the other, and
	// the cursor of the next page; "" at the end.
	TracePage(ctx context.Context, q visibility.TraceQuery) (spans []tracing.Span, next string, err error)
}

// Limits of an export: what it holds in memory are a page of summaries, the
// spans of one trace and the columns of a row group.
const (
	pageSize  = 1000
	groupRows = 20_000
)

// Export writes the traces of a store into files below dir that are not yet
// there, up to the last window that has settled, and returns what the folder
// then holds. What has been written is kept if it ends early; the next export
// goes on from there, and doubles nothing. Two exports into one folder must
// not run at once.
func Export(ctx context.Context, from Source, dir string, o Options) (Manifest, error) {
	return ExportTo(ctx, from, Dir(dir), o)
}

// ExportTo is Export into any folder.
func ExportTo(ctx context.Context, from Source, folder Folder, o Options) (Manifest, error) {
	e, err := newExport(ctx, from, folder, o)
	if err != nil {
		return Manifest{}, fmt.Errorf("export: %w", err)
	}
	if err := e.run(ctx); err != nil {
		return e.manifest, fmt.Errorf("export: %w", err)
	}
	return e.manifest, nil
}

type export struct {
	from     Source
	folder   Folder
	opts     Options
	manifest Manifest
	kept     Manifest  // as the folder has it
	cutoff   time.Time // windows before are not kept; zero: all are
	oldest   time.Time // of the store's spans
	until    time.Time // the last settled window's end
	newest   time.Time // of the store's spans
}

func newExport(ctx context.Context, from Source, folder Folder, o Options) (*export, error) {
	m, err := ReadManifestFrom(ctx, folder)
	if err != nil {
		return nil, err
	}
	if err := o.settle(&m, folder); err != nil {
		return nil, err
	}
	stats, err := from.Stats(ctx)
	if err != nil {
		return nil, err
	}
	now := o.Clock()
	e := &export{from: from, folder: folder, opts: o, manifest: m, oldest: stats.Oldest, newest: stats.Newest}
	e.kept = m.clone()
	e.until = now.Add(-max(o.Settle, 0)).Truncate(o.Window).UTC()
	if o.Keep > 0 {
		e.cutoff = now.Add(-o.Keep).Truncate(o.Window).UTC()
	}
	if e.manifest.Version == 0 {
		first := o.From
		if first.IsZero() {
			first = stats.Oldest
		}
		if first.IsZero() {
			return e, nil // there is nothing, and no time to begin from
		}
		begin := latest(first.Truncate(o.Window).UTC(), e.cutoff)
		if begin.After(e.until) {
			begin = e.until
		}
		e.manifest = Manifest{Version: manifestVersion, Window: o.Window, From: begin, Through: begin}
	}
	return e, nil
}

// settle puts in what was not given, and checks the window.
func (o *Options) settle(m *Manifest, folder Folder) error {
	if o.Window == 0 {
		o.Window = time.Hour
		if m.Window > 0 {
			o.Window = m.Window
		}
	}
	const day = 24 * time.Hour
	switch {
	case o.Window < visibility.MinStep || day%o.Window != 0 || o.Window%visibility.MinStep != 0:
		return fmt.Errorf("window: %v is no part of a day in steps of %v: %w", o.Window, visibility.MinStep, visibility.ErrInvalid)
	case m.Window > 0 && m.Window != o.Window:
		return fmt.Errorf("window: %s has windows of %v, not %v; take another folder: %w", folder, m.Window, o.Window, visibility.ErrInvalid)
	case o.Keep < 0:
		return fmt.Errorf("files are to be kept for %v: %w", o.Keep, visibility.ErrInvalid)
	}
	if o.Settle == 0 {
		o.Settle = 15 * time.Minute
	}
	if o.Recheck == 0 {
		o.Recheck = 2 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return nil
}

func (e *export) run(ctx context.Context) error {
	if e.manifest.Version == 0 {
		return nil
	}
	if err := e.drop(ctx); err != nil {
		return err
	}
	through := e.manifest.Through
	for at := e.recheckFrom(); at.Before(through); at = at.Add(e.opts.Window) {
		if err := e.recheck(ctx, at); err != nil {
			return err
		}
	}
	for at := through; at.Before(e.until); at = at.Add(e.opts.Window) {
		file, err := e.write(ctx, at)
		if err != nil {
			return err
		}
		e.manifest.Through = at.Add(e.opts.Window)
		if err := e.keep(ctx, file, false); err != nil {
			return err
		}
	}
	if err := e.writeOpen(ctx); err != nil {
		return err
	}
	return e.save(ctx)
}

// save writes the manifest, if it has changed.
func (e *export) save(ctx context.Context) error {
	if reflect.DeepEqual(e.manifest, e.kept) {
		return nil
	}
	if err := e.manifest.write(ctx, e.folder); err != nil {
		return err
	}
	e.kept = e.manifest.clone()
	return nil
}

// writeOpen writes the windows that have not settled, if that is asked for.
// They stay beyond what the manifest says is complete.
func (e *export) writeOpen(ctx context.Context) error {
	if !e.opts.Open {
		return nil
	}
	for at := e.manifest.Through; !at.After(e.newest); at = at.Add(e.opts.Window) {
		if err := e.recheck(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// recheckFrom is the first window that is looked at again. It may be before
// the first of earlier exports, if spans have come that are older.
func (e *export) recheckFrom() time.Time {
	if e.oldest.IsZero() {
		return e.manifest.Through // what was exported has been cleared since
	}
	at := e.manifest.Through.Add(-max(e.opts.Recheck, 0))
	least := e.opts.From
	if least.IsZero() {
		least = e.oldest
	}
	at = latest(latest(at, least), e.cutoff)
	return at.Truncate(e.opts.Window).UTC()
}

// recheck writes a window again if it has changed. In the window of the
// store's oldest span there may be fewer because the store drops old ones;
// that is no change.
func (e *export) recheck(ctx context.Context, at time.Time) error {
	was := e.manifest.file(at)
	now := File{From: at}
	err := e.summaries(ctx, at, func(t *visibility.TraceSummary) error {
		now.Traces++
		now.Spans += int64(t.Spans)
		return nil
	})
	if err != nil || (now.Traces == was.Traces && now.Spans == was.Spans) {
		return err
	}
	if !at.After(e.oldest) && now.Spans < was.Spans {
		return nil
	}
	file, err := e.write(ctx, at)
	if err != nil {
		return err
	}
	if at.Before(e.manifest.From) {
		e.manifest.From = at
	}
	return e.keep(ctx, file, true)
}

// keep enters a window's file into the manifest.
func (e *export) keep(ctx context.Context, file File, again bool) error {
	e.manifest.set(file)
	if err := e.save(ctx); err != nil {
		return err
	}
	if e.opts.Progress != nil {
		e.opts.Progress(Progress{Through: e.manifest.Through, Until: e.until, File: file, Again: again})
	}
	return nil
}

// summaries calls yield for each trace that began in a window.
func (e *export) summaries(ctx context.Context, at time.Time, yield func(*visibility.TraceSummary) error) error {
	q := visibility.TraceQuery{Range: visibility.Range{From: at, To: at.Add(e.opts.Window)}, Limit: pageSize}
	for {
		page, err := e.from.Traces(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Traces {
			if err := yield(&page.Traces[i]); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// write writes the file of a window, or removes it if the window has no
// traces.
func (e *export) write(ctx context.Context, at time.Time) (File, error) {
	file := File{From: at, Path: "day=" + at.Format("2006-01-02") + "/spans-" + at.Format("150405") + ".parquet"}
	err := e.folder.Replace(ctx, file.Path, func(out io.Writer) error {
		w := parquet.NewGenericWriter[row](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows))
		if err := e.writeTraces(ctx, w, &file); err != nil {
			return err
		}
		if file.Spans == 0 {
			return errEmpty
		}
		return w.Close()
	})
	if errors.Is(err, errEmpty) {
		err = e.folder.Remove(ctx, file.Path)
	}
	if err != nil {
		return file, fmt.Errorf("window %s: %w", at.Format(time.RFC3339), err)
	}
	return file, nil
}

// errEmpty says that a window has no traces.
var errEmpty = errors.New("no traces")

func (e *export) writeTraces(ctx context.Context, w *parquet.GenericWriter[row], file *File) error {
	if pager, ok := e.from.(TracePager); ok {
		return e.writePages(ctx, pager, w, file)
	}
	var rows []row
	return e.summaries(ctx, file.From, func(t *visibility.TraceSummary) error {
		spans, err := e.from.Trace(ctx, t.TraceID)
		if errors.Is(err, visibility.ErrNotFound) {
			return nil // it has expired since the page was read
		}
		if err != nil {
			return err
		}
		rows = rowsOf(spans, rows[:0])
		if _, err := w.Write(rows); err != nil {
			return err
		}
		file.Traces++
		file.Spans += int64(len(rows))
		clear(rows) // the spans' memory is not kept
		return nil
	})
}

func (e *export) writePages(ctx context.Context, from TracePager, w *parquet.GenericWriter[row], file *File) error {
	q := visibility.TraceQuery{Range: visibility.Range{From: file.From, To: file.From.Add(e.opts.Window)}}
	for {
		spans, next, err := from.TracePage(ctx, q)
		if err != nil {
			return err
		}
		rows := rowsOfAll(spans)
		if _, err := w.Write(rows); err != nil {
			return err
		}
		file.Spans += int64(len(rows))
		for i := range spans {
			if i == 0 || spans[i].TraceID != spans[i-1].TraceID {
				file.Traces++
			}
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
	}
}
