package testutil

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPrometheus(t *testing.T) {
	var requests atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stats/prometheus" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "# TYPE asked_total counter\nasked_total{who=\"me\"} %d\n", requests.Add(1))
	}))
	defer target.Close()
	s := Prometheus(t, PrometheusOptions{
		ScrapeConfigs: []ScrapeConfig{{
			Job: "envoy", MetricsPath: "/stats/prometheus",
			Targets: []string{strings.TrimPrefix(target.URL, "http://")},
			Labels:  map[string]string{"pod": "a"},
		}},
	})
	check := func(least float64) {
		t.Helper()
		s.WaitScraped(20 * time.Second)
		var got []Sample
		Eventually(t, 20*time.Second, func() (bool, string) { // after a scrape that fails there is none for a while
			var err error
			got, err = s.Query(t.Context(), "asked_total")
			return err == nil && len(got) == 1, fmt.Sprintf("asked_total is %v, %v, want one series", got, err)
		})
		l := got[0].Labels
		if got[0].Value < least || l["who"] != "me" || l["pod"] != "a" || l["job"] != "envoy" {
			t.Errorf("asked_total is %+v, want at least %v", got[0], least)
		}
	}
	check(1)
	s.Restart()
	check(2)
	s.Stop()
	if _, err := s.Query(t.Context(), "up"); err == nil {
		t.Error("a stopped Prometheus answers")
	}
}
