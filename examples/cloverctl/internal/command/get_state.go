package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

func (a *app) metrics() *cobra.Command {
	return paged(a, "metrics", "Show the collected metrics with their newest values", "metrics",
		func() *v1.ListMetricsResponse { return &v1.ListMetricsResponse{} },
		func(res *v1.ListMetricsResponse) show.Table {
			t := show.Table{Columns: []string{"metric", "service", "value", "time"}, Completeness: res.GetCompleteness()}
			for _, m := range res.GetMetrics() {
				t.Rows = append(t.Rows, []any{m.GetName(), m.GetService(), m.GetNewest().GetValue(), m.GetNewest().GetTime()})
			}
			for _, name := range res.GetMissing() {
				t.Rows = append(t.Rows, show.Row(name, "", "missing", ""))
			}
			return t
		})
}

// reasons prints counts with their reasons.
func reasons(m map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(m)) {
		if m[reason] != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", m[reason], reason))
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

func (a *app) status() *cobra.Command {
	return simple(a, "status", "Show the state of collector, sources and store", "status",
		func() *v1.GetStatusResponse { return &v1.GetStatusResponse{} }, statusTable)
}

// statusTable has a row for each part: the collector, the store, what is
// pushed and each source.
func statusTable(res *v1.GetStatusResponse) show.Table {
	t := show.Table{Columns: []string{"part", "state", "lag", "detail", "last_error"}, Wide: 4, Completeness: res.GetCompleteness()}
	var bad []bool
	add := func(fault bool, cells ...any) {
		t.Rows = append(t.Rows, cells)
		bad = append(bad, fault)
	}
	state := "collecting"
	if !res.GetCollecting() {
		state = "stopped"
	}
	add(!res.GetCollecting(), "collector "+res.GetCollectorId(), state, "-", "version "+res.GetVersion()+", since "+show.Time(res.GetStarted()), "")
	if members := res.GetMembers(); len(members) > 0 {
		add(false, "shared by", "ok", "-", fmt.Sprintf("%d collectors: %s", len(members), strings.Join(members, ", ")), "")
	}
	st := res.GetStore()
	add(false, "store "+st.GetName(), "ok", "-", fmt.Sprintf("%d spans, %d traces, %d metric points, %.1f MiB",
		st.GetSpans(), st.GetTraces(), st.GetMetrics(), float64(st.GetBytesOnDisk())/(1<<20)), "")
	if in := res.GetIngest(); in != nil {
		detail := fmt.Sprintf("%d spans in %d deliveries, %d waiting, %d refused, %d spans dropped",
			in.GetSpans(), in.GetDeliveries(), in.GetInFlight(), in.GetFailures(), in.GetDropped())
		add(in.GetDropped() > 0, "pushed", "ok", "-", detail, in.GetLastError())
	}
	for _, s := range res.GetSources() {
		detail := s.GetTarget()
		if s.GetDetail() != "" {
			detail += ": " + s.GetDetail()
		}
		if s.GetError() != "" {
			detail += ": " + s.GetError()
		}
		add(s.GetError() != "", s.GetKind()+" "+s.GetName(), s.GetState(), s.GetLag(), detail, s.GetLastError())
		if n := len(s.GetMissing()); n > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d metrics have no value now: %s", s.GetName(), n, strings.Join(s.GetMissing(), ", ")))
		}
	}
	t.Bad = func(i int) bool { return bad[i] }
	return t
}
