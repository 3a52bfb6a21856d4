package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

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

// files lists the Parquet files below a folder.
func files(dir string) (paths []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".parquet") && !strings.HasPrefix(d.Name(), ".") {
			paths = append(paths, path)
		}
		return err
	})
	slices.Sort(paths)
	return paths, err
}

func readFile(ctx context.Context, path string, yield func(spans []tracing.Span) error) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return err
	}
	r := parquet.NewGenericReader[row](file)
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := make([]row, readRows)
		n, readErr := r.Read(rows)
		if n > 0 {
			spans := make([]tracing.Span, n)
			for i := range spans {
				if spans[i], err = rows[i].span(); err != nil {
					return err
				}
			}
			if err := yield(spans); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

// ImportSource is the name under which the ledger of a store has what was
// imported.
const ImportSource = "import"

// Import writes the spans of all files below dir into a store. The store
// drops what it has already, so an import that ended early is simply done
// again. The receipt is the sum of all; spans that it rejects, for example
// because they are older than its retention, are counted there.
func Import(ctx context.Context, dir string, into visibility.Writer, progress func(visibility.Receipt)) (visibility.Receipt, error) {
	total := visibility.Receipt{Rejected: map[string]int{}}
	err := Read(ctx, dir, func(spans []tracing.Span) error {
		r, err := into.Write(ctx, &visibility.Batch{Source: ImportSource, Spans: spans})
		if err != nil {
			return err
		}
		total.Kept += r.Kept
		total.Duplicates += r.Duplicates
		for reason, n := range r.Rejected {
			total.Rejected[reason] += n
		}
		if progress != nil {
			progress(total)
		}
		return nil
	})
	if err != nil {
		return total, fmt.Errorf("import: %w", err)
	}
	return total, nil
}
