package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// Bounds of what Decode takes.
const (
	MaxDecodedSpans = 100_000
	maxDecodedBytes = 256 << 20 // as the file itself says
)

// Encode returns spans as one Parquet file with the columns of the others.
// The spans of a trace are to follow each other: role and source are told
// from them. None: nil.
func Encode(spans []tracing.Span) ([]byte, error) {
	if len(spans) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows))
	if _, err := w.Write(rowsOfAll(spans)); err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	return b.Bytes(), nil
}

// rowsOfAll returns the rows of traces that follow each other.
func rowsOfAll(spans []tracing.Span) []row {
	rows := make([]row, 0, len(spans))
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].TraceID == spans[0].TraceID {
			n++
		}
		rows = rowsOf(spans[:n], rows)
		spans = spans[n:]
	}
	return rows
}

// Decode returns the spans of a file as Encode makes it. What is no such file,
// or too large a one, has an error that matches visibility.ErrInvalid.
func Decode(data []byte) (spans []tracing.Span, err error) {
	defer func() {
		// The library panics at some files that are damaged.
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			spans, err = nil, fmt.Errorf("no Parquet file with spans: %w: %w", visibility.ErrInvalid, err)
		}
	}()
	if len(data) == 0 {
		return nil, nil
	}
	file, err := openFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if n := file.NumRows(); n < 0 || n > MaxDecodedSpans {
		return nil, fmt.Errorf("%d spans are more than the %d that may come at once", n, MaxDecodedSpans)
	}
	var size int64
	for _, group := range file.Metadata().RowGroups {
		size += group.TotalByteSize
	}
	if size > maxDecodedBytes {
		return nil, fmt.Errorf("%d bytes are more than the %d that may come at once", size, maxDecodedBytes)
	}
	err = readSpans(file, func(some []tracing.Span) error {
		spans = append(spans, some...)
		return nil
	})
	return spans, err
}

// openFile opens a Parquet file that must have the columns of a span's
// identity: others that it lacks are empty.
func openFile(r io.ReaderAt, size int64) (*parquet.File, error) {
	file, err := parquet.OpenFile(r, size)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"trace_id", "span_id", "kind_code", "start_ns", "duration_ns", "service"} {
		if _, ok := file.Schema().Lookup(name); !ok {
			return nil, fmt.Errorf("it has no column %s", name)
		}
	}
	return file, nil
}

// readSpans calls yield with the spans of a file, some hundreds at once.
func readSpans(file *parquet.File, yield func([]tracing.Span) error) (err error) {
	r := parquet.NewGenericReader[row](file)
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
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
