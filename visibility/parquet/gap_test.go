package parquet_test

import (
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility/parquet"
)

// TestTracesThatPause holds that a trace is exported whole and counted once
// where its spans lie in several hours, and whole where they are hours apart.
func TestTracesThatPause(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		once  bool
	}{{"over the hour", time.Hour, true}, {"for hours", 3 * time.Hour, false}} {
		from, dir := open(t), t.TempDir()
		list := spans()[:1]
		list[0].Start = epoch.Add(-time.Minute)
		for i := range 2 {
			more := list[0]
			more.SpanID = tracing.SpanID{9, byte(i)}
			more.Start = list[0].Start.Add(c.after)
			list = append(list, more)
		}
		write(t, from, list[:1])
		write(t, from, list[1:])
		m := export(t, from, dir, parquet.Options{Clock: clock, Open: true})
		wantSpans(t, read(t, dir), list)
		st, err := from.Stats(t.Context())
		if err != nil || st.Traces != 1 && c.once || m.Spans() != 3 {
			t.Errorf("%s: %d traces, %d spans in the manifest, %v", c.name, st.Traces, m.Spans(), err)
		}
	}
}
