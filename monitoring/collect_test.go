package monitoring

import (
	"encoding/pem"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestCollectSums(t *testing.T) {
	const lab = "clover_part=labelled1,cluster_name=" + server1
	c := fakeAPI(t, Options{}, map[string]string{
		"/api/v1/query": vector(
			"envoy_cluster_upstream_rq{"+lab+",response_code_class=2xx,job=e,instance=a} 10",
			"envoy_cluster_upstream_rq{"+lab+",response_code_class=2xx,job=e,instance=b} 32",
			"envoy_cluster_upstream_rq{"+lab+",response_code_class=2xx,job=e,instance=c} NaN",
			"envoy_cluster_upstream_rq{"+lab+",response_code=200,job=e,instance=b} 7", // not asked for
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_2xx{clover_part=literal0,job=old,instance=d} 100",
			"envoy_cluster_upstream_rq_time_bucket{"+lab+",le=5,job=e,instance=a} 1",
			"envoy_cluster_upstream_rq_time_bucket{"+lab+",le=+Inf,job=e,instance=a} 3",
			"envoy_cluster_upstream_rq_time_bucket{"+lab+",le=5,job=e,instance=b} 2",
			"envoy_cluster_upstream_rq_time_bucket{"+lab+",le=+Inf,job=e,instance=b} 4",
			"inf{clover_part=literal0} +Inf",
			"summary{clover_part=literal0,quantile=0.5} 1",
			"{clover_part=scrape,job=e,instance=a} 1700000090.125",
			"{clover_part=scrape,job=e,instance=b} 1700000095.250",
		),
		"/api/v1/series": `{"status":"success","data":[{"__name__":"envoy_cluster_upstream_cx_active","cluster_name":"` + server1 + `"}]}`,
	})
	const prefix, suffix = "envoy_cluster_outbound_9180__", "_default_svc_cluster_local_upstream_"
	got, err := c.Collect(t.Context(), Selection{
		Services: []string{"clover-server1"}, Prefixes: []string{prefix},
		Suffixes: []string{suffix + "rq_2xx", suffix + "rq_time_bucket", suffix + "cx_active", suffix + "rq_total"},
		Custom:   []string{"inf", "summary"},
	}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Points) != 2 {
		t.Fatalf("points %+v, want 2", got.Points)
	}
	p := got.Points[0]
	if p.Name != prefix+"clover_server1"+suffix+"rq_2xx" || p.Service != "clover-server1" || p.Prefix != prefix || p.Suffix != suffix+"rq_2xx" {
		t.Errorf("first point is %+v", p)
	}
	if p.Value != 142 || p.Min != 10 || p.Max != 100 || p.Series != 3 || p.NotReal != 1 || len(p.Members) != 3 {
		t.Errorf("sum %+v, want 142 of 3 series and one NaN", p)
	}
	if want := time.UnixMilli(1700000095_250).UTC(); !p.Time.Equal(want) || !p.Scraped {
		t.Errorf("time %v scraped %v, want %v of the newest scrape", p.Time, p.Scraped, want)
	}
	h := got.Points[1]
	if h.Value != 7 || h.Series != 2 || !slices.Equal(h.Buckets, []Bucket{{5, 3}, {math.Inf(1), 7}}) {
		t.Errorf("histogram %+v", h)
	}
	want := []MissingMetric{
		{prefix + "clover_server1" + suffix + "cx_active", "clover-server1", ReasonStale},
		{prefix + "clover_server1" + suffix + "rq_total", "clover-server1", ReasonAbsent},
		{"inf", "", ReasonNotReal}, {"summary", "", ReasonSummary},
	}
	if !slices.Equal(got.Missing, want) {
		t.Errorf("missing %+v\nwant    %+v", got.Missing, want)
	}
	if got.Queries != 2 || got.Samples != 11 || !slices.Equal(got.Warnings, []string{"a warning"}) {
		t.Errorf("queries %d samples %d warnings %q", got.Queries, got.Samples, got.Warnings)
	}
}

func TestCollectWithoutScrapeTime(t *testing.T) {
	c := fakeAPI(t, Options{}, map[string]string{"/api/v1/query": vector("m{clover_part=literal0} 1")})
	got, err := c.Collect(t.Context(), Selection{Custom: []string{"m"}}, time.Time{})
	if err != nil || len(got.Points) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if p := got.Points[0]; p.Scraped || p.Time.Unix() != 1700000100 {
		t.Errorf("time %v scraped %v, want the evaluation's", p.Time, p.Scraped)
	}
}

// TestMissingAskedOnce checks that a name that never comes costs one query a
// minute, and that one that came back is asked about again.
func TestMissingAskedOnce(t *testing.T) {
	asked, answer := 0, vector()
	c := handlerAPI(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/series" {
			asked++
			fmt.Fprint(w, `{"status":"success","data":[]}`)
			return
		}
		fmt.Fprint(w, answer)
	})
	collect := func(want int) {
		t.Helper()
		got, err := c.Collect(t.Context(), Selection{Custom: []string{"m"}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Missing {
			if m.Reason != ReasonAbsent {
				t.Errorf("missing %+v", m)
			}
		}
		if asked != want {
			t.Errorf("asked %d times for what was there before, want %d", asked, want)
		}
	}
	collect(1)
	collect(1)
	answer = vector("m{clover_part=literal0} 1")
	collect(1)
	answer = vector()
	collect(2)
}

func TestMissingUnexplained(t *testing.T) {
	c := fakeAPI(t, Options{}, map[string]string{"/api/v1/query": vector()}) // no series endpoint
	got, err := c.Collect(t.Context(), Selection{Custom: []string{"m"}}, time.Time{})
	if err != nil || len(got.Missing) != 1 || got.Missing[0].Reason != ReasonUnknown || len(got.Warnings) != 2 {
		t.Errorf("Collect() = %+v, %v; want one unknown and a warning why", got, err)
	}
}

func TestCollectEmpty(t *testing.T) {
	c := mustNew(t, Options{URL: "http://127.0.0.1:1"})
	got, err := c.Collect(t.Context(), Selection{Services: []string{"a"}, Prefixes: []string{"b"}}, time.Time{})
	if err != nil || got.Queries != 0 || len(got.Points)+len(got.Missing) != 0 {
		t.Errorf("nothing selected gives %+v, %v", got, err)
	}
}

func TestKnownMetrics(t *testing.T) {
	sample := map[string]bool{}
	for _, s := range readSample(t) {
		sample[s.Metric] = true
	}
	seen := map[string]bool{}
	for _, m := range KnownMetrics() {
		if m.Help == "" || m.Source == "" || seen[m.Name] {
			t.Errorf("%+v is incomplete or doubled", m)
		}
		seen[m.Name] = true
		if m.Source == "Envoy cluster" && !sample[m.Name] && !sample[m.Name+"_count"] {
			t.Errorf("%s is not in the sample of a real sidecar", m.Name)
		}
		if m.Suffix != "" {
			form := modernStat(m.Suffix[1:])
			if name := "envoy_cluster_" + form.stat; name != m.Name && name != m.Name+"_bucket" {
				t.Errorf("suffix %s leads to %s, not to %s", m.Suffix, name, m.Name)
			}
		}
	}
}
