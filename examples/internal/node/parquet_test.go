package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
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
	e, err := newExporter(o, store, nil)
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
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		st := e.Status()
		return st.State == visibility.StateOK && st.Delivered == 5 && strings.HasPrefix(st.Detail, "1 files with 5 spans") && st.Error == "", fmt.Sprintf("%+v", st)
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestParquetStatus holds what is told of an export that fails, and of a full
// disk.
func TestParquetStatus(t *testing.T) {
	e, err := newExporter(Options{parquet: parquetFlags{dir: t.TempDir(), interval: time.Second}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Minute)
	files := &parquet.Manifest{Version: 1, Files: []parquet.File{{Spans: 7}}}
	full := &os.PathError{Op: "write", Path: "spans", Err: syscall.ENOSPC}
	for _, step := range []struct {
		err   error
		state visibility.SourceState
		says  string
	}{
		{nil, visibility.StateOK, ""},
		{recordfile.ErrLocked, visibility.StateStandby, ""},
		{errors.New("broken\nbadly"), visibility.StateBackingOff, "broken; badly"},
		{full, visibility.StateBackingOff, "the disk is full"},
		{full, visibility.StateDown, "behind since " + began.UTC().Format(time.RFC3339)},
		{nil, visibility.StateOK, ""},
	} {
		e.note(began, files, step.err)
		st := e.Status()
		if st.State != step.state || !strings.Contains(st.Error, step.says) || (st.Error == "") != (step.says == "") ||
			(st.Lag >= time.Minute) != (step.says != "") || st.Delivered != 7 || !strings.HasPrefix(st.Detail, "1 files with 7 spans") {
			t.Errorf("after %v: %+v", step.err, st)
		}
	}
	if st := e.Status(); st.Errors != 3 || !strings.Contains(st.LastError, "full") {
		t.Errorf("%+v", st)
	}
}

func TestParquetFlags(t *testing.T) {
	for _, p := range []parquetFlags{{dir: t.TempDir()}, {dir: "/dev/null/spans", interval: time.Second}, {dir: "s3://", interval: time.Second}, {dir: t.TempDir(), interval: time.Second, keep: -1}} {
		if _, err := newExporter(Options{parquet: p}, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "--parquet-") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if e, err := newExporter(Options{}, nil, nil); e != nil || err != nil {
		t.Errorf("%v, %v without a folder", e, err)
	}
}
