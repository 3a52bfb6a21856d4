package parquet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/storetest"
)

var (
	epoch = time.Date(2026, 3, 2, 22, 30, 0, 0, time.UTC) // the export crosses midnight
	now   = epoch.Add(4 * time.Hour)
)

func clock() time.Time { return now }

func open(t *testing.T) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, s visibility.Writer, spans []tracing.Span) {
	t.Helper()
	if r, err := s.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans}); err != nil || r.Kept != len(spans) {
		t.Fatalf("%+v of %d spans, %v", r, len(spans), err)
	}
}

// spans returns random spans of which some have everything that a span can
// have, and texts that are not UTF-8.
func spans() []tracing.Span {
	list := storetest.RandomSpans(5, 200, epoch, 100*time.Minute)
	for i := range list {
		s := &list[i]
		if i%3 != 0 {
			continue
		}
		s.Attributes = []tracing.Attribute{{Key: "n", Value: "1", Type: tracing.TypeInt}, {Key: "\xffkey", Value: "a\x00\xfe"}}
		s.Resource = []tracing.Attribute{{Key: "list", Value: `{"arrayValue":{}}`, Type: tracing.TypeJSON}}
		s.Events = []tracing.Event{{Time: s.Start.Add(7), Name: "retry", Attributes: s.Attributes[:1]}, {Time: s.Start, Name: "done"}}
		s.Links = []tracing.Link{{TraceID: s.TraceID, SpanID: tracing.SpanID{1}, Attributes: s.Attributes}, {}}
		s.GRPCStatus, s.Protocol, s.Peer, s.RequestID, s.ResponseFlags = 14, "HTTP/2", "10.0.0.1:80", "r-1", "UF"
		s.Namespace, s.Workload, s.Scope, s.StatusMessage = "default", "w", "envoy 1.2", "bad \xc3\x28"
		s.Service += "\xff"
	}
	return list
}

func read(t *testing.T, dir string) map[tracing.Identity]tracing.Span {
	t.Helper()
	got := map[tracing.Identity]tracing.Span{}
	err := parquet.Read(t.Context(), dir, func(spans []tracing.Span) error {
		for _, s := range spans {
			if _, twice := got[s.Identity()]; twice {
				return fmt.Errorf("span %s of trace %s is there twice", s.SpanID, s.TraceID)
			}
			got[s.Identity()] = s
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantSpans(t *testing.T, got map[tracing.Identity]tracing.Span, want []tracing.Span) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d spans, want %d", len(got), len(want))
	}
	for i := range want {
		if g := got[want[i].Identity()]; !reflect.DeepEqual(g, want[i]) {
			t.Fatalf("span\n got %+v\nwant %+v", g, want[i])
		}
	}
}

// TestRoundTrip exports twice, with spans that came late in between, reads
// everything back, and imports it into another store, twice too.
func TestRoundTrip(t *testing.T) {
	from, all, dir := open(t), spans(), t.TempDir()
	var late, early []tracing.Span
	for i := range all {
		if i%10 == 0 {
			late = append(late, all[i])
		} else {
			early = append(early, all[i])
		}
	}
	write(t, from, early)
	var windows int
	o := parquet.Options{Window: 30 * time.Minute, Recheck: 24 * time.Hour, Clock: clock, Progress: func(parquet.Progress) { windows++ }}
	m := export(t, from, dir, o)
	wantSpans(t, read(t, dir), early)
	if m.Spans() != int64(len(early)) || windows == 0 || !m.Through.Equal(epoch.Add(3*time.Hour+30*time.Minute)) {
		t.Errorf("%d windows up to %v with %d spans", windows, m.Through, m.Spans())
	}
	write(t, from, late)
	m = export(t, from, dir, o)
	wantSpans(t, read(t, dir), all)
	if m.Spans() != int64(len(all)) {
		t.Errorf("the manifest has %d spans, want %d", m.Spans(), len(all))
	}
	windows = 0
	if again := export(t, from, dir, o); windows != 0 || !reflect.DeepEqual(again, m) {
		t.Errorf("with nothing new %d windows were written", windows)
	}
	into := open(t)
	for _, want := range []visibility.Receipt{{Kept: len(all)}, {Duplicates: len(all)}} {
		got, err := parquet.Import(t.Context(), dir, into, nil)
		if err != nil || got.Kept != want.Kept || got.Duplicates != want.Duplicates || len(got.Rejected) > 0 {
			t.Errorf("imported %+v, %v; want %+v", got, err, want)
		}
	}
	if got, want := answer(t, into), answer(t, from); got != want {
		t.Errorf("the stores differ:\n%s\n%s", got, want)
	}
}

func export(t *testing.T, from parquet.Source, dir string, o parquet.Options) parquet.Manifest {
	t.Helper()
	m, err := parquet.Export(t.Context(), from, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// answer is what a store counts by service, status and source.
func answer(t *testing.T, s visibility.Store) string {
	t.Helper()
	a, err := visibility.NewAnalytics(s, visibility.AnalyticsOptions{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Query(t.Context(), visibility.Query{
		Range:   visibility.Range{From: epoch.Add(-time.Hour), To: now},
		GroupBy: []visibility.Dimension{visibility.Service, visibility.Status, visibility.Source}, Limit: visibility.MaxLimit,
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range res.Groups {
		g := &res.Groups[i]
		fmt.Fprintf(&b, "%q %d %d %v\n", g.Values, g.Aggregate.Count, g.Aggregate.Errors, g.Aggregate.Sum)
	}
	return b.String()
}

// failing is a store whose n-th trace cannot be read.
type failing struct {
	*embedded.Store
	left int
}

var errBroken = errors.New("broken")

func (f *failing) Trace(ctx context.Context, id tracing.TraceID) ([]tracing.Span, error) {
	if f.left--; f.left < 0 {
		return nil, errBroken
	}
	return f.Store.Trace(ctx, id)
}

// TestInterrupted holds that an export that ended early leaves whole files
// only, and that the next one adds what is missing.
func TestInterrupted(t *testing.T) {
	from, all, dir := open(t), spans(), t.TempDir()
	write(t, from, all)
	o := parquet.Options{Window: 10 * time.Minute, Clock: clock}
	m, err := parquet.Export(t.Context(), &failing{from, 150}, dir, o)
	if !errors.Is(err, errBroken) || m.Spans() == 0 || len(m.Files) == 0 {
		t.Fatalf("%d files with %d spans, %v", len(m.Files), m.Spans(), err)
	}
	if got := read(t, dir); int64(len(got)) != m.Spans() {
		t.Errorf("%d spans in the files, %d in the manifest", len(got), m.Spans())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	export(t, from, dir, o)
	wantSpans(t, read(t, dir), all)
}

func TestRefuses(t *testing.T) {
	from, dir := open(t), t.TempDir()
	if m := export(t, from, dir, parquet.Options{Clock: clock}); m.Version != 0 {
		t.Errorf("of an empty store: %+v", m)
	}
	write(t, from, spans()[:1])
	export(t, from, dir, parquet.Options{Clock: clock})
	for _, window := range []time.Duration{7 * time.Minute, time.Second, 48 * time.Hour, 30 * time.Minute} {
		if _, err := parquet.Export(t.Context(), from, dir, parquet.Options{Window: window, Clock: clock}); !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("windows of %v: %v", window, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "_clover.json"), []byte(`{"version": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parquet.Export(t.Context(), from, dir, parquet.Options{}); !errors.Is(err, visibility.ErrUnsupported) {
		t.Errorf("a newer manifest: %v", err)
	}
}
