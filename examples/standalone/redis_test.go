package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// summary is what REST answers as figures of 2019.
type summary struct {
	Traces string         `json:"trace_count"`
	Spans  string         `json:"span_count"`
	Times  []responseTime `json:"response_times"`
	Values map[string]struct {
		Values []struct{ Value, Count string }
	}
}

type responseTime struct {
	Service string
	Avg     string `json:"avg_rt"`
	Min     string `json:"min_rt"`
	Max     string `json:"max_rt"`
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
}

// TestRedisHoldsWhatTheAPIAnswers runs the sample, and compares what redis-cli
// reads when it has ended with what REST answers.
func TestRedisHoldsWhatTheAPIAnswers(t *testing.T) {
	r := testutil.Redis(t)
	r.CLI("SADD", "visibility_services", "clover_server1", "http_lb")
	dir := t.TempDir()
	page, stop := start(t, anyPorts(dir, "--rate", "100", "--redis", r.Addr, "--redis-refresh", "100ms"))
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		got := r.CLI("SMEMBERS", "tracing_services")
		return len(strings.Fields(got)) == 8 && r.CLI("HGET", "clover_server1", "avg_rt") != "NA", got
	})
	testutil.Eventually(t, 30*time.Second, func() (bool, string) { // a busy machine may miss a refresh
		var status struct {
			Sources []struct{ Kind, Name, State, Target string }
		}
		get(t, page+"/api/v1/visibility/status", &status)
		s := status.Sources
		return len(s) == 1 && s[0].Kind == "results" && s[0].State == "ok" && s[0].Target == r.Addr, fmt.Sprintf("status %+v", s)
	})
	stop()

	page, stop = start(t, anyPorts(dir, "--no-sample", "--redis", "redis://"+r.Addr, "--redis-refresh", "100ms"))
	defer stop()
	from := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	var answer summary
	get(t, page+"/api/v1/visibility/summary?range.from="+from, &answer)
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		got := r.CLI("GET", "span_count")
		return got == answer.Spans, got + " spans, want " + answer.Spans
	})
	compare(t, r, answer)
}

func compare(t *testing.T, r *testutil.RedisServer, answer summary) {
	t.Helper()
	if got := r.CLI("GET", "trace_count"); got != answer.Traces || got == "0" {
		t.Errorf("%s traces, want %s", got, answer.Traces)
	}
	if len(answer.Times) != 2 {
		t.Errorf("response times %+v", answer.Times)
	}
	for _, s := range answer.Times {
		want := fmt.Sprintf("%s\n%s\n%s", s.Avg, s.Min, s.Max)
		if got := r.CLI("HMGET", strings.ReplaceAll(s.Service, "-", "_"), "avg_rt", "min_rt", "max_rt"); got != want {
			t.Errorf("%s: %q, want %q", s.Service, got, want)
		}
	}
	pairs := map[string]string{ // sets that have their counts in another key
		"span_urls": "span_urls_z", "span_user_agent": "span_user_agent_z", "span_node_id": "span_node_id_z",
	}
	if len(answer.Values) != 9 {
		t.Errorf("%d kinds of values", len(answer.Values))
	}
	for key, counted := range answer.Values {
		want := map[string]string{}
		for _, v := range counted.Values {
			want[v.Value] = v.Count
		}
		if !strings.HasSuffix(key, "_z") {
			got := strings.Split(r.CLI("SMEMBERS", key), "\n")
			if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(maps.Keys(want))) {
				t.Errorf("%s: %q, want %v", key, got, want)
			}
			key = pairs[key]
		}
		if key == "" {
			continue
		}
		list := strings.Split(r.CLI("ZRANGE", key, "0", "-1", "WITHSCORES"), "\n")
		got := map[string]string{}
		for i := 0; i+1 < len(list); i += 2 {
			got[list[i]] = list[i+1]
		}
		if !maps.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
}
