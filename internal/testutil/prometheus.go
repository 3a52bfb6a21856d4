package testutil

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// ScrapeConfig is one job of Prometheus.
type ScrapeConfig struct {
	// Job is the value of the label "job"; required.
	Job string
	// MetricsPath is where the targets answer; empty is "/metrics".
	MetricsPath string
	// Targets are "HOST:PORT".
	Targets []string
	// Labels are put on everything scraped from these targets.
	Labels map[string]string
}

// PrometheusOptions says how to run Prometheus.
type PrometheusOptions struct {
	// ScrapeConfigs are the jobs; none is fine.
	ScrapeConfigs []ScrapeConfig
	// Interval is the time between two scrapes of a target, and how long one may
	// take; 0 is 1 s. The smallest is 1 ms. A scrape that takes longer than that,
	// as on a busy machine, leaves queries without an answer until the next one.
	Interval time.Duration
}

// PrometheusServer is a running Prometheus.
type PrometheusServer struct {
	// URL is the base URL of its API ("http://127.0.0.1:PORT").
	URL string

	t       testing.TB
	targets int
	command Command
	process *Process
}

// Prometheus runs a real Prometheus until the end of the test, with its data
// in a folder of the test. It is ready when it returns; the first scrape
// comes about 5 s later, when Prometheus takes in its targets.
func Prometheus(t testing.TB, o PrometheusOptions) *PrometheusServer {
	t.Helper()
	path := Require(t, components.Prometheus())
	config, err := prometheusConfig(o)
	if err != nil {
		t.Fatalf("prometheus: %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatalf("prometheus: %v", err)
	}
	addr := FreeAddr(t)
	s := &PrometheusServer{URL: "http://" + addr, t: t, command: Command{
		Name: "prometheus", Path: path, Args: []string{
			"--config.file=" + file,
			"--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + addr,
		},
	}}
	for _, c := range o.ScrapeConfigs {
		s.targets += len(c.Targets)
	}
	s.start()
	return s
}

func (s *PrometheusServer) start() {
	s.t.Helper()
	s.process = Start(s.t, s.command)
	s.process.WaitReady(60*time.Second, answers(s.URL+"/-/ready"))
}

// Stop ends Prometheus.
func (s *PrometheusServer) Stop() {
	s.t.Helper()
	s.process.Stop()
}

// Restart stops Prometheus if it runs and starts it on the same port with
// the same data.
func (s *PrometheusServer) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}

// Sample is one series of an instant query's answer.
type Sample struct {
	// Labels has the metric's name under "__name__".
	Labels map[string]string
	Value  float64
}

// Query evaluates an expression that gives an instant vector. It may be
// called from any goroutine.
func (s *PrometheusServer) Query(ctx context.Context, expr string) ([]Sample, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	u := s.URL + "/api/v1/query?" + url.Values{"query": {expr}}.Encode()
	if err := getJSON(ctx, u, &answer); err != nil {
		return nil, err
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("query %s: value %v: %w", expr, r.Value[1], err)
		}
		samples = append(samples, Sample{Labels: r.Metric, Value: value})
	}
	return samples, nil
}

// WaitScraped waits until every target has been scraped by a scrape that
// began after this call, so that what the targets showed at the call is in
// the database.
func (s *PrometheusServer) WaitScraped(limit time.Duration) {
	s.t.Helper()
	since := float64(time.Now().UnixMilli()) / 1000
	Eventually(s.t, limit, func() (bool, string) {
		// "up" is written together with what the scrape found. (Only of a plain
		// selector does timestamp tell the time of the sample.)
		scraped, err := s.Query(s.t.Context(), "timestamp(up) and up == 1")
		if err != nil {
			return false, err.Error()
		}
		fresh := 0
		for _, sample := range scraped {
			if sample.Value > since {
				fresh++
			}
		}
		return fresh == s.targets, fmt.Sprintf("%d of %d targets scraped: %v", fresh, s.targets, scraped)
	})
}

// prometheusConfig is the configuration file, in JSON, which is YAML too.
func prometheusConfig(o PrometheusOptions) ([]byte, error) {
	// Prometheus knows no fractions, so the smallest unit is used.
	interval := strconv.FormatInt(cmp.Or(o.Interval, time.Second).Milliseconds(), 10) + "ms"
	jobs := make([]object, 0, len(o.ScrapeConfigs))
	for _, c := range o.ScrapeConfigs {
		jobs = append(jobs, object{
			"job_name":       c.Job,
			"metrics_path":   cmp.Or(c.MetricsPath, "/metrics"),
			"static_configs": []object{{"targets": c.Targets, "labels": c.Labels}},
		})
	}
	return json.Marshal(object{
		"global":         object{"scrape_interval": interval, "scrape_timeout": interval},
		"scrape_configs": jobs,
	})
}
