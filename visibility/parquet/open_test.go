package parquet_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility/parquet"
)

// TestOpenWindows holds that a window which is not complete is written anew
// when spans have come, and only then: who reads the files reads those again
// that were replaced.
func TestOpenWindows(t *testing.T) {
	from, dir := open(t), t.TempDir()
	o := parquet.Options{Clock: clock, Window: 6 * time.Hour, Settle: 12 * time.Hour, Open: true}
	written := func() (m parquet.Manifest, at time.Time) {
		t.Helper()
		m = export(t, from, dir, o)
		if len(m.Files) != 1 {
			t.Fatalf("files %+v", m.Files)
		}
		info, err := os.Stat(filepath.Join(dir, m.Files[0].Path))
		if err != nil {
			t.Fatal(err)
		}
		return m, info.ModTime()
	}
	first := spans()[:1]
	write(t, from, first)
	m, _ := written()
	if !m.Through.Equal(m.From) || m.Spans() != 1 {
		t.Errorf("an open window is complete: %+v", m)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, m.Files[0].Path), old, old); err != nil {
		t.Fatal(err)
	}
	if _, at := written(); !at.Equal(old) {
		t.Errorf("a file without new spans was written again at %s", at)
	}
	late := first[0]
	late.SpanID = tracing.SpanID{9}
	write(t, from, []tracing.Span{late})
	if m, at := written(); at.Equal(old) || m.Spans() != 2 {
		t.Errorf("a file with a new span was not written again: %+v", m)
	}
	wantSpans(t, read(t, dir), append(first, late))
}
