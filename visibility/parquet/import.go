package parquet

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// readRows is how many spans are read at once.
const readRows = 500

// Read calls yield with the spans of all files below dir, some hundreds at
// once, in the order of the files' names. The spans are the caller's.
func Read(ctx context.Context, dir string, yield func(spans []tracing.Span) error) error {
	paths, err := files(dir)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for _, path := range paths {
		if err := readFile(ctx, path, yield); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	return nil
}

// files lists the Parquet files of spans below a folder. Those that begin with
// a point are not whole, those with an underscore hold something else.
func files(dir string) (paths []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".parquet") && !strings.ContainsAny(d.Name()[:1], "._") {
			paths = append(paths, path)
		}
		return err
	})
	slices.Sort(paths)
	return paths, err
}

func readFile(ctx context.Context, path string, yield func(spans []tracing.Span) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := openFile(f, info.Size())
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
	err := Read(ctx, dir, func(spans []tracing.Span) error { return write(visibility.Batch{Spans: spans}) })
	if err == nil {
		err = readMetrics(ctx, dir, func(points []visibility.MetricPoint) error {
			return write(visibility.Batch{Metrics: points})
		})
	}
	if err != nil {
		return total, fmt.Errorf("import: %w", err)
	}
	return total, nil
}
