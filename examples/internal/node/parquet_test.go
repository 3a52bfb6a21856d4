package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/storetest"
)

// TestParquet holds that a node's spans become files, that it waits while
// another process writes there, and ends with its context.
func TestParquet(t *testing.T) {
	now := time.Now()
	store := storetest.NewReference(storetest.Options{})
	spans := make([]tracing.Span, 5)
	for i := range spans {
		spans[i] = tracing.Span{
			TraceID: tracing.TraceID{15: byte(i + 1)}, SpanID: tracing.SpanID{7: 1}, Service: "web",
			Start: now.Add(-2 * time.Minute), Duration: time.Millisecond,
		}
	}
	if _, err := store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans}); err != nil {
		t.Fatal(err)
	}
	log := &testutil.Output{}
	o := Options{Logger: slog.New(slog.NewTextHandler(log, nil)), parquet: parquetFlags{dir: t.TempDir(), window: 10 * time.Second, settle: -1, interval: time.Millisecond}}
	other, err := recordfile.Lock(o.parquet.dir + "/_lock")
	if err != nil {
		t.Fatal(err)
	}
	e, err := newExporter(o, store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.run(ctx) }()
	told := func(what string) {
		t.Helper()
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { return strings.Contains(log.String(), what), log.String() })
	}
	told("another process has it")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	told("exported again")
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		m, err := parquet.ReadManifest(o.parquet.dir)
		return err == nil && m.Spans() == 5, fmt.Sprintf("%+v, %v", m, err)
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParquetFlags(t *testing.T) {
	for _, p := range []parquetFlags{{dir: t.TempDir()}, {dir: "/dev/null/spans", interval: time.Second}} {
		if _, err := newExporter(Options{parquet: p}, nil); err == nil || !strings.HasPrefix(err.Error(), "--parquet-") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if e, err := newExporter(Options{}, nil); e != nil || err != nil {
		t.Errorf("%v, %v without a folder", e, err)
	}
}
