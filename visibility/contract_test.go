package visibility_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// rollupStore answers with the rollups of some spans, each its own row.
type rollupStore struct {
	visibility.Store
	spans []tracing.Span
	roles []visibility.Role
	err   error
}

func (s *rollupStore) Stats(context.Context) (visibility.StoreStats, error) {
	return visibility.StoreStats{Traces: 2, Spans: int64(len(s.spans)), Metrics: 7}, s.err
}

func (s *rollupStore) Rollups(_ context.Context, r visibility.Range, _ time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	for i := range s.spans {
		key, sum := visibility.KeyOf(&s.spans[i]), visibility.AggregateOf(&s.spans[i])
		if err := yield(&visibility.Rollup{Role: s.roles[i], Key: &key, Aggregate: &sum}); err != nil {
			return visibility.Coverage{}, err
		}
	}
	return visibility.Coverage{Range: r}, s.err
}

func (s *rollupStore) add(role visibility.Role, span tracing.Span) {
	s.spans, s.roles = append(s.spans, span), append(s.roles, role)
}

func contractStore() *rollupStore {
	const inbound, outbound = "inbound|9180||", "outbound|9180||clover-server1.default.svc.cluster.local"
	s := &rollupStore{}
	for _, ms := range []float64{1.5, 2, 4.018} {
		d := time.Duration(ms * float64(time.Millisecond))
		server := tracing.Span{
			Kind: tracing.KindServer, Service: "clover-server1.default", Operation: "op", UpstreamCluster: inbound,
			URL: "http://x/a", StatusCode: 200, Node: "n1", UserAgent: "chrome", Duration: d,
		}
		s.add(visibility.RoleServer, server)
		client := server
		client.Kind, client.Service, client.UpstreamCluster, client.Duration = tracing.KindClient, "http-lb.default", outbound, 100*d
		s.add(visibility.RoleSpan, client)
	}
	// A server without a sidecar's server span: only the way to the application.
	s.add(visibility.RoleSpan, tracing.Span{Kind: tracing.KindClient, Service: "proxy", UpstreamCluster: inbound, URL: "http://x/b", StatusCode: 500, Duration: 30 * time.Millisecond})
	return s
}

func TestServiceResponseTimes(t *testing.T) {
	services := []string{"clover_server1", "proxy", "http_lb", "nobody"}
	times, err := visibility.ServiceResponseTimes(t.Context(), contractStore(), services, visibility.Range{})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		service       string
		count         int64
		avg, min, max string
	}
	want := []row{
		{"clover_server1", 3, "2.51", "1.50", "4.02"}, // not what its clients measured
		{"proxy", 1, "30.00", "30.00", "30.00"},
		{"http_lb", 0, "NA", "NA", "NA"}, // only asked others
		{"nobody", 0, "NA", "NA", "NA"},
	}
	var got []row
	for _, s := range times {
		got = append(got, row{s.Service, s.Count, s.AvgText(), s.MinText(), s.MaxText()})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	broken := contractStore()
	broken.err = visibility.ErrUnavailable
	if _, err := visibility.ServiceResponseTimes(t.Context(), broken, services, visibility.Range{}); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestReadContractFigures(t *testing.T) {
	f, err := visibility.ReadContractFigures(t.Context(), contractStore(), []string{"clover_server1"}, visibility.Range{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Traces != 2 || f.Spans != 7 || f.Metrics != 7 || len(f.ResponseTimes) != 1 || f.ResponseTimes[0].Count != 3 {
		t.Errorf("figures %+v", f)
	}
	for name, tc := range map[string]struct{ got, want []visibility.ValueCount }{
		"urls":    {f.URLs, []visibility.ValueCount{{Value: "http://x/a", Count: 6}, {Value: "http://x/b", Count: 1}}},
		"agents":  {f.UserAgents, []visibility.ValueCount{{Value: "chrome", Count: 6}}},
		"nodes":   {f.NodeIDs, []visibility.ValueCount{{Value: "n1", Count: 6}}},
		"ops":     {f.OperationNames, []visibility.ValueCount{{Value: "op", Count: 6}}},
		"status":  {f.StatusCodes, []visibility.ValueCount{{Value: "200", Count: 6}, {Value: "500", Count: 1}}},
		"pairs":   {f.StatusCodeURLs, []visibility.ValueCount{{Value: "200, http://x/a", Count: 6}, {Value: "500, http://x/b", Count: 1}}},
		"nodeurl": {f.NodeURLs, []visibility.ValueCount{{Value: "n1, http://x/a", Count: 6}}},
		"services": {f.Services, []visibility.ValueCount{
			{Value: "clover-server1.default", Count: 3}, {Value: "http-lb.default", Count: 3}, {Value: "proxy", Count: 1},
		}},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
	broken := contractStore()
	broken.err = visibility.ErrUnavailable
	if _, err := visibility.ReadContractFigures(t.Context(), broken, nil, visibility.Range{}); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// TestContractSums holds that sums of parts are those of the whole, also after
// they were on a disk.
func TestContractSums(t *testing.T) {
	store := contractStore()
	var parts [2]visibility.ContractSums
	all := visibility.Range{}
	i := 0
	if _, err := store.Rollups(t.Context(), all, 0, func(r *visibility.Rollup) error {
		parts[i%2].Add(r)
		i++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var sum visibility.ContractSums
	for i := range parts {
		parts[i].Traces = 1
		text, err := json.Marshal(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var read visibility.ContractSums
		if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, parts[i]) {
			t.Errorf("%s is read as %+v, %v", text, read, err)
		}
		sum.Merge(&read)
	}
	services := []string{"clover_server1", "proxy", "nobody"}
	want, err := visibility.ReadContractFigures(t.Context(), store, services, all)
	if err != nil {
		t.Fatal(err)
	}
	want.Metrics = 0
	if got := sum.Figures(services); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
