package command

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// summary prints what `get visibility` has printed since 2019: the
// configuration, the statistics, or both. As JSON and YAML both are one
// object, so that a program can read it: config and summary, each as the API
// gave it.
func (a *app) summary(c *cobra.Command, stat, conf string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	part := strings.ReplaceAll(conf, "-", "_")
	if part != "" && !slices.Contains(configParts, part) {
		return usagef("--conf %q is not known; want one of %s", conf, strings.Join(configParts, ", "))
	}
	cl, err := a.client(c.Context())
	if err != nil {
		return err
	}
	config, figures := &v1.GetConfigResponse{}, &v1.GetSummaryResponse{}
	var rawConfig, rawFigures []byte
	withConfig, withFigures := conf != "" || stat == "", stat != "" || conf == ""
	if withConfig {
		if rawConfig, err = cl.Get(c.Context(), "config", nil, config); err != nil {
			return err
		}
	}
	if withFigures {
		q := url.Values{}
		if stat != "" && stat != "response_times" && stat != "response-times" {
			q.Set("stat", stat)
		}
		if rawFigures, err = cl.Get(c.Context(), "summary", q, figures); err != nil {
			return err
		}
	}
	configTable, figuresTable := configTable(config.GetConfig(), part), summaryTable(figures, strings.ReplaceAll(stat, "-", "_"))
	switch {
	case !withFigures:
		return p.Answer(rawConfig, configTable)
	case !withConfig:
		return p.Answer(rawFigures, figuresTable)
	}
	var both struct {
		Config  json.RawMessage `json:"config"`
		Summary json.RawMessage `json:"summary"`
	}
	if err := json.Unmarshal(rawConfig, &both); err != nil {
		return err
	}
	both.Summary = rawFigures
	raw, err := json.Marshal(both)
	if err != nil {
		return err
	}
	figuresTable.Rows = append(configTable.Rows, figuresTable.Rows...)
	return p.Answer(raw, figuresTable)
}

func configTable(conf *v1.Config, part string) show.Table {
	t := show.Table{Columns: []string{"statistic", "key", "value"}}
	for _, row := range []struct {
		part   string
		values []string
	}{
		{"services", conf.GetServices()}, {"metric_prefixes", conf.GetMetricPrefixes()}, {"metric_suffixes", conf.GetMetricSuffixes()},
		{"custom_metrics", conf.GetCustomMetrics()}, {"sample_interval", []string{conf.GetSampleInterval().AsDuration().String()}},
		{"tracing", conf.GetTracingUrls()}, {"monitoring", []string{conf.GetMonitoringUrl()}},
	} {
		if part == "" || part == row.part {
			t.Rows = append(t.Rows, show.Row("config", row.part, strings.Join(row.values, ", ")))
		}
	}
	return t
}

func summaryTable(res *v1.GetSummaryResponse, stat string) show.Table {
	t := show.Table{Columns: []string{"statistic", "key", "value"}, Completeness: res.GetCompleteness()}
	if stat == "" {
		t.Rows = append(t.Rows, []any{"trace_count", "", res.GetTraceCount()},
			[]any{"span_count", "", res.GetSpanCount()}, []any{"metric_count", "", res.GetMetricCount()})
	}
	if stat == "" || stat == "response_times" {
		for _, r := range res.GetResponseTimes() {
			for _, v := range [][2]string{{"avg_rt", r.GetAvgRt()}, {"min_rt", r.GetMinRt()}, {"max_rt", r.GetMaxRt()}} {
				t.Rows = append(t.Rows, show.Row(v[0], r.GetService(), v[1]))
			}
		}
	}
	if stat == "response_times" {
		return t
	}
	for _, key := range slices.Sorted(maps.Keys(res.GetValues())) {
		for _, v := range res.GetValues()[key].GetValues() {
			t.Rows = append(t.Rows, []any{key, v.GetValue(), v.GetCount()})
		}
	}
	return t
}
