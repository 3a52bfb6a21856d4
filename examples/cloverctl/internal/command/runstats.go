package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	pb "github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/jmeter"
)

// runStats puts what the clients of a load test have measured beside the
// traces that the mesh has of it. They are found by the first digits of their
// identities.
func (a *app) runStats(c *cobra.Command, p show.Printer, id string) error {
	for _, flag := range []string{"group-by", "sort", "ascending", "step", "filter", "service", "url", "since", "from", "to", "count", "limit", "engine", "explain"} {
		if c.Flags().Changed(flag) {
			return usagef("--run shows a whole load test; leave --%s away", flag)
		}
	}
	cl, err := a.client(c.Context())
	if err != nil {
		return err
	}
	res := &loadtestv1.GetRunResponse{}
	if _, err := cl.Get(c.Context(), runRoute(id), nil, res); err != nil {
		return err
	}
	run := res.GetRun()
	if run.GetBegan() == nil {
		return fmt.Errorf("run %s has not begun: it is %s", run.GetId(), loadtest.StateName(run.GetState()))
	}
	seen, err := tracesOf(c, cl, run)
	if err != nil {
		return err
	}
	raw, err := seen.json(run)
	if err != nil {
		return err
	}
	return p.Answer(raw, seen.table(run))
}

// runTraces are what the traces of a run say.
type runTraces struct {
	durations []time.Duration
	failed    int64
	services  map[string]int64 // traces that a service takes part in
	partial   bool             // there are more
}

const (
	runPageSize = 1000
	runPages    = 100
	// clockSkew is how much a mesh's clocks may differ from the master's.
	clockSkew = time.Minute
)

// tracesOf reads the traces of a run.
func tracesOf(c *cobra.Command, cl *client.Client, run *pb.Run) (*runTraces, error) {
	end := time.Now()
	if run.GetEnded() != nil {
		end = run.GetEnded().AsTime()
	}
	query := url.Values{
		"filter":     {fmt.Sprintf("trace_id ~ %q", "^"+jmeter.TracePrefix(run.GetId()))},
		"range.from": {run.GetBegan().AsTime().Add(-clockSkew).Format(time.RFC3339Nano)},
		"range.to":   {end.Add(clockSkew).Format(time.RFC3339Nano)},
		"page_size":  {fmt.Sprint(runPageSize)},
	}
	out := &runTraces{services: map[string]int64{}}
	for range runPages {
		res := &v1.SearchTracesResponse{}
		if _, err := cl.Get(c.Context(), "traces", query, res); err != nil {
			return nil, err
		}
		for _, t := range res.GetTraces() {
			out.durations = append(out.durations, t.GetDuration().AsDuration())
			if t.GetErrors() > 0 {
				out.failed++
			}
			for _, s := range t.GetServices() {
				out.services[s]++
			}
		}
		if res.GetNextPageToken() == "" {
			slices.Sort(out.durations)
			return out, nil
		}
		query.Set("page_token", res.GetNextPageToken())
	}
	slices.Sort(out.durations)
	out.partial = true
	return out, nil
}

// quantile returns a quantile of the durations, and 0 of none.
func (r *runTraces) quantile(q float64) *durationpb.Duration {
	if len(r.durations) == 0 {
		return durationpb.New(0)
	}
	return durationpb.New(r.durations[int(q*float64(len(r.durations)-1))])
}

func (r *runTraces) mean() *durationpb.Duration {
	var sum time.Duration
	for _, d := range r.durations {
		sum += d
	}
	return durationpb.New(sum / time.Duration(max(len(r.durations), 1)))
}

// table has a row for the clients, one for the mesh and one for each service.
func (r *runTraces) table(run *pb.Run) show.Table {
	n := run.GetNumbers()
	t := show.Table{Columns: []string{"side", "count", "errors", "mean", "p50", "p95", "p99", "max"}}
	t.Rows = append(t.Rows,
		[]any{"clients (" + run.GetEngine() + ")", n.GetCount(), n.GetErrors(), n.GetMean(), n.GetP50(), n.GetP95(), n.GetP99(), n.GetMax()},
		[]any{"mesh", len(r.durations), r.failed, r.mean(), r.quantile(.5), r.quantile(.95), r.quantile(.99), r.quantile(1)})
	for _, s := range slices.Sorted(maps.Keys(r.services)) {
		t.Rows = append(t.Rows, append([]any{"mesh: " + s, r.services[s]}, show.Row("", "", "", "", "", "")...))
	}
	switch missing := n.GetCount() - int64(len(r.durations)); {
	case r.partial:
		t.Notes = append(t.Notes, fmt.Sprintf("only the newest %d traces were looked at", runPageSize*runPages))
	case missing > 0:
		t.Notes = append(t.Notes, fmt.Sprintf("%d requests have no trace: their spans may be on their way, or the mesh traces a part of requests only", missing))
	case missing < 0:
		t.Notes = append(t.Notes, fmt.Sprintf("%d traces are of requests without a result: they were cut off", -missing))
	}
	return t
}

func (r *runTraces) json(run *pb.Run) ([]byte, error) {
	clients, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(run)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"run": json.RawMessage(clients), "traces": len(r.durations), "failed_traces": r.failed, "services": r.services, "partial": r.partial,
	})
}
