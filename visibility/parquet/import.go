package parquet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// readRows is how many spans are read at once.
const readRows = 500

// Read calls yield with the spans of all files below dir, some hundreds at
// once, in the order of the files' names. The spans are the caller's.
func Read(ctx context.Context, dir string, yield func(spans []tracing.Span) error) error {
	return ReadFrom(ctx, Dir(dir), yield)
}

// ReadFrom is Read for any folder. A file that retention removes meanwhile is
// left out.
func ReadFrom(ctx context.Context, folder Folder, yield func(spans []tracing.Span) error) error {
	list, err := folder.List(ctx)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for _, file := range list {
		if !IsSpans(file.Name) {
			continue
		}
		err := readFile(ctx, folder, file.Name, yield)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read %s of %s: %w", file.Name, folder, err)
		}
	}
	return nil
}

// IsSpans reports whether a folder's file of that name has spans. Those whose
// name, or whose folder's, begins with a point are not whole, those with an
// underscore hold something else; engines leave them out too.
func IsSpans(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.ContainsAny(part[:1], "._") {
			return false
		}
	}
	return path.Ext(name) == ".parquet"
}

func readFile(ctx context.Context, folder Folder, name string, yield func(spans []tracing.Span) error) (err error) {
	f, err := folder.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	file, err := openFile(f, f.Size())
	if err != nil {
		return err
	}
	return readSpans(file, func(spans []tracing.Span) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return yield(spans)
	})
}

// ImportSource is the name under which the ledger of a store has what was
// imported.
const ImportSource = "import"

// Import writes the spans of all files below dir, and the metrics beside
// them, into a store. The store drops what it has already, so an import that
// ended early is simply done again. The receipt is the sum of all; spans that
// it rejects, for example because they are older than its retention, are
// counted there.
func Import(ctx context.Context, dir string, into visibility.Writer, progress func(visibility.Receipt)) (visibility.Receipt, error) {
	return ImportFrom(ctx, Dir(dir), into, progress)
}

// ImportFrom is Import from any folder.
func ImportFrom(ctx context.Context, folder Folder, into visibility.Writer, progress func(visibility.Receipt)) (visibility.Receipt, error) {
	total := visibility.Receipt{Rejected: map[string]int{}}
	write := func(b visibility.Batch) error {
		b.Source = ImportSource
		r, err := into.Write(ctx, &b)
		if err != nil {
			return err
		}
		total.Add(r)
		if progress != nil {
			progress(total)
		}
		return nil
	}
	err := ReadFrom(ctx, folder, func(spans []tracing.Span) error { return write(visibility.Batch{Spans: spans}) })
	if err == nil {
		err = readMetrics(ctx, folder, func(points []visibility.MetricPoint) error {
			return write(visibility.Batch{Metrics: points})
		})
	}
	if err != nil {
		return total, fmt.Errorf("import: %w", err)
	}
	return total, nil
}
