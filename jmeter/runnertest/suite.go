package runnertest

import (
	"fmt"
	"mime"
	"mime/multipart"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Suite runs the suite on a runner.
func Suite(t *testing.T, r jmeter.Runner) {
	t.Run("Requests", func(t *testing.T) { requests(t, r) })
	t.Run("Load", func(t *testing.T) { load(t, r) })
	t.Run("Stop", func(t *testing.T) { stop(t, r) })
}

// requests runs all cases as the groups of one plan, because a JVM takes
// seconds to start.
func requests(t *testing.T, r jmeter.Runner) {
	recorder := &Recorder{}
	server := httptest.NewServer(recorder)
	defer server.Close()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := jmeter.ParsePlan([]byte(suitePlan(server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	results := Run(t, r, plan, jmeter.RunOptions{RunID: "run-7", Dir: dir})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { check(t, c, recorder.Take(c.name), results) })
	}
}

// suitePlan is the plan of all cases.
func suitePlan(addr string) string {
	var b strings.Builder
	b.WriteString("name: every element\nvariables: {v: \"v1 &\", v2: two}\ngroups:\n")
	for _, c := range cases {
		group := strings.NewReplacer("ADDR", addr, "FILES/", "").Replace(strings.Trim(c.group, "\n"))
		fmt.Fprintf(&b, "- name: %s\n  %s\n", c.name, strings.ReplaceAll(group, "\n", "\n  "))
	}
	return b.String()
}

// Run runs a plan that has to be run to its end.
func Run(t *testing.T, r jmeter.Runner, plan *jmeter.Plan, o jmeter.RunOptions) *jmeter.Results {
	t.Helper()
	results, _, err := jmeter.Run(t.Context(), r, plan, o, jmeter.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// traceparent is that of the run run-7.
var traceparent = regexp.MustCompile(`^00-` + jmeter.TracePrefix("run-7") + `[0-9a-f]{20}-[0-9a-f]{16}-01$`)

func check(t *testing.T, c testCase, records []Record, results *jmeter.Results) {
	var got []string
	traces := map[string]bool{}
	for _, r := range records {
		got = append(got, show(r, c.headers))
		trace := r.Header.Get("Traceparent")
		if r.Header.Get("X-Clover-Run-Id") != "run-7" || !traceparent.MatchString(trace) {
			t.Errorf("%s %s: run %q, traceparent %q", r.Method, r.URI, r.Header.Get("X-Clover-Run-Id"), trace)
		}
		if traces[trace] && !strings.HasSuffix(r.URI, "/target") {
			t.Errorf("%s %s: the trace of another request", r.Method, r.URI)
		}
		traces[trace] = true
	}
	want := c.want
	if c.name == "control" { // which iteration of two the half is does not matter
		got, want = withoutHalf(t, got), withoutHalf(t, want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for _, s := range results.Labels() {
		if n, ok := c.samples[s.Label]; ok && s.Count != n {
			t.Errorf("%d samples of %s, want %d", s.Count, s.Label, n)
		}
		if n, ok := c.errors[s.Label]; ok && s.Errors != n {
			t.Errorf("%d errors of %s, want %d", s.Errors, s.Label, n)
		}
		if strings.HasPrefix(s.Label, "/"+c.name+"/") && s.Errors > 0 {
			t.Errorf("%d errors of %s: %v", s.Errors, s.Label, s.Failures)
		}
	}
	for label := range c.errors {
		if results.Label(label) == nil {
			t.Errorf("no results of %s", label)
		}
	}
	if s := results.Label("ok"); c.name == "assert" && (s == nil || s.Errors > 0) {
		t.Errorf("ok: %+v", s)
	}
}

func withoutHalf(t *testing.T, list []string) []string {
	n := len(list)
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "GET /control/half" })
	if n-len(list) != 1 {
		t.Errorf("half of two iterations are %d", n-len(list))
	}
	return list
}

// show writes a request as testCase.want has it.
func show(r Record, headers []string) string {
	s := r.Method + " " + r.URI
	for _, h := range headers {
		if v := r.Header.Get(h); v != "" && v != "keep-alive" { // which is the default
			if h == "Content-Type" {
				v, _, _ = strings.Cut(v, ";")
			}
			s += " " + h + "=" + v
		}
	}
	if body := showBody(r); body != "" {
		s += " " + body
	}
	return s
}

// showBody shows what a multipart body has without its boundaries.
func showBody(r Record) string {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return r.Body
	}
	form, err := multipart.NewReader(strings.NewReader(r.Body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for name, values := range form.Value {
		parts = append(parts, name+"="+values[0])
	}
	for name, list := range form.File {
		f, err := list[0].Open()
		if err != nil {
			return err.Error()
		}
		data := make([]byte, list[0].Size)
		_, _ = f.Read(data)
		parts = append(parts, fmt.Sprintf("%s=%s %s %s", name, list[0].Filename, list[0].Header.Get("Content-Type"), data))
	}
	return strings.Join(parts, "; ")
}

// load holds that users, loops, durations and rates are as the plan says.
func load(t *testing.T, r jmeter.Runner) {
	recorder := &Recorder{}
	server := httptest.NewServer(recorder)
	defer server.Close()
	plan, err := jmeter.ParsePlan([]byte(strings.ReplaceAll(`
correlation: false
groups:
- name: loops
  load_spec: {num_threads: 4, loops: 25}
  url_list: [{name: l1, url: "ADDR/loops/1"}, {name: l2, url: "ADDR/loops/2"}]
- name: forever
  load_spec: {num_threads: 2, loops: 0, duration: 2, think_time: 20ms}
  url_list: [{name: forever, url: "ADDR/forever/a"}]
- name: ramp
  load_spec: {num_threads: 4, loops: 1, ramp_time: 5}
  url_list: [{name: ramp, url: "ADDR/ramp/a"}]
- name: rate
  load_spec: {rate: 50, duration: 2}
  url_list: [{name: rate, url: "ADDR/rate/slow"}]
`, "ADDR", server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	results := Run(t, r, plan, jmeter.RunOptions{})
	for _, label := range []string{"l1", "l2"} {
		if s := results.Label(label); s == nil || s.Count != 100 || s.Errors > 0 {
			t.Errorf("%s: %+v, want 100 without errors", label, s)
		}
	}
	if n := len(recorder.Take("loops")); n != 200 {
		t.Errorf("%d requests of loops, want 200", n)
	}
	if s := results.Label("forever"); s == nil || s.Last.Sub(s.First) > 8*time.Second {
		t.Errorf("forever: %+v, want two seconds full", s)
	}
	if s := results.Label("ramp"); s == nil || s.Count != 4 || s.Last.Sub(s.First) < 500*time.Millisecond { // users that were due in a stall begin at once
		t.Errorf("ramp: %+v, want 4 over 3.75s", s)
	}
	// Each waits 300 ms for its answer; a rate does not. On a machine that is
	// busy some are cut off at the end, and are errors.
	if s := results.Label("rate"); s == nil || s.Count+results.Missed < 95 || s.Count+results.Missed > 105 {
		t.Errorf("rate: %+v, want 100 in 2s", s)
	}
	t.Logf("%s took %v", r.Name(), time.Since(began).Round(10*time.Millisecond))
}

// stop holds that a run can be ended gently, and that what was measured is
// given.
func stop(t *testing.T, r jmeter.Runner) {
	recorder := &Recorder{}
	server := httptest.NewServer(recorder)
	defer server.Close()
	plan, err := jmeter.ParsePlan([]byte(strings.ReplaceAll(`
load_spec: {num_threads: 3, loops: 0, duration: 10m}
url_list: [{name: a, url: "ADDR/stop/slow"}]
`, "ADDR", server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	quit := make(chan struct{})
	n := int64(0)
	results, _, err := jmeter.Run(t.Context(), r, plan, jmeter.RunOptions{Stop: quit, Sink: func(*jmeter.Sample) error {
		if n++; n == 6 {
			close(quit)
		}
		return nil
	}}, jmeter.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(len(recorder.Take("stop"))); got != results.All.Count || results.All.Errors > 0 || n != got {
		t.Errorf("%d requests arrived, %d measured, %d given, %d errors", got, results.All.Count, n, results.All.Errors)
	}
}
