package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/storetest"
)

// full is a store with everything that is to be moved.
func full(t *testing.T) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	now := time.Now()
	b := &visibility.Batch{
		Source: "jaeger", Spans: storetest.RandomSpans(7, 250, now.Add(-150*time.Minute), 150*time.Minute),
		Ledger:     []visibility.Loss{{Service: "web", Fate: visibility.FateTruncated, Count: 7}, {Service: "web", Fate: visibility.FateDropped, Reason: "gone", Count: 2}},
		Watermarks: map[string]time.Time{"web": now.Add(-time.Hour).Truncate(time.Second).UTC()},
	}
	b.Spans[3].StatusMessage, b.Spans[3].Attributes = "w\xff", []tracing.Attribute{{Key: "n", Value: "1", Type: tracing.TypeInt}}
	for i := range 100 {
		for _, service := range []string{"a_b", "a-b", ""} { // the first two are alike to a query
			b.Metrics = append(b.Metrics, visibility.MetricPoint{
				Name: "up", Service: service, Time: now.Add(-time.Duration(i) * time.Second).Truncate(time.Millisecond).UTC(), Value: float64(i) / 3,
			})
		}
	}
	receipt, err := s.Write(t.Context(), b)
	if err != nil || receipt.Kept != len(b.Spans) {
		t.Fatalf("%+v, %v", receipt, err)
	}
	return s
}

// content is what a store has, in an order of its own.
type content struct {
	spans   map[tracing.Identity]tracing.Span
	metrics []visibility.MetricSeries
	losses  map[string]int64
	stats   string
	counts  string
}

func contentOf(t *testing.T, s visibility.Store) (c content) {
	t.Helper()
	c.spans, c.losses = map[tracing.Identity]tracing.Span{}, map[string]int64{}
	r := visibility.Range{From: time.Now().Add(-24 * time.Hour), To: time.Now().Add(time.Hour)}
	for q := (visibility.TraceQuery{Range: r, Limit: visibility.MaxLimit}); ; {
		page, err := s.Traces(t.Context(), q) // a store may end a page early, for what it has cost
		check(t, err)
		for _, trace := range page.Traces {
			spans, err := s.Trace(t.Context(), trace.TraceID)
			check(t, err)
			for _, span := range spans {
				c.spans[span.Identity()] = span
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	var err error
	c.metrics, err = s.Metrics(t.Context(), visibility.MetricQuery{Limit: visibility.MaxLimit})
	check(t, err)
	entries, err := s.Ledger(t.Context())
	check(t, err)
	for _, e := range entries {
		if e.Balance() != 0 {
			t.Errorf("%s %s does not balance: %+v", e.Source, e.Service, e)
		}
		if n := e.Truncated + e.Dropped["gone"]; n > 0 {
			c.losses[strings.TrimPrefix(e.Source, "import:")+" "+e.Service] += n
		}
		if !e.Watermark.IsZero() {
			c.losses[e.Source+" "+e.Service+" read to"] = e.Watermark.Unix()
		}
	}
	stats, err := s.Stats(t.Context())
	check(t, err)
	c.stats = fmt.Sprint(stats.Spans, stats.Traces, stats.Metrics)
	a, err := visibility.NewAnalytics(s, visibility.AnalyticsOptions{})
	check(t, err)
	res, err := a.Query(t.Context(), visibility.Query{
		Range: r, GroupBy: []visibility.Dimension{visibility.Service, visibility.Status, visibility.Source}, Limit: visibility.MaxLimit,
	})
	check(t, err)
	var lines []string
	for i := range res.Groups {
		g := &res.Groups[i]
		lines = append(lines, fmt.Sprintf("%q %d %d %v", g.Values, g.Aggregate.Count, g.Aggregate.Errors, g.Aggregate.Sum))
	}
	slices.Sort(lines)
	c.counts = strings.Join(lines, "\n")
	return c
}

func empty(t *testing.T) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	return s
}

// sameContent holds that nothing is lost and nothing is counted twice.
func sameContent(t *testing.T, got, want content) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the stores differ:\n%d spans %s %v\n%s\n%d spans %s %v\n%s",
			len(got.spans), got.stats, got.losses, got.counts, len(want.spans), want.stats, want.losses, want.counts)
	}
}

// run is ctl that must succeed.
func run(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	code, out, errs := ctl(t, "", args...)
	if code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// TestMove takes everything from one store to another and back, through real
// servers. Exports and imports that are done twice change nothing.
func TestMove(t *testing.T) {
	first, second, dir := full(t), empty(t), filepath.Join(t.TempDir(), "spans")
	want := contentOf(t, first)
	a, b := controllerOf(t, first), controllerOf(t, second)
	run(t, "--controller", a, "set", "visibility", "-f", configYAML(t))
	for range 2 {
		out := run(t, "-q", "--controller", a, "export", "visibility", "--to", dir, "-o", "json")
		var done exported
		check(t, json.Unmarshal([]byte(out), &done))
		if done.Spans != int64(len(want.spans)) || done.Metrics != 300 || done.Store != "embedded" {
			t.Errorf("exported %+v", done)
		}
	}
	run(t, "--controller", b, "import", "visibility", dir, "--config")
	sameContent(t, contentOf(t, second), want)
	if out := run(t, "--controller", b, "get", "visibility", "--conf", "services"); !strings.Contains(out, "proxy_access_control") {
		t.Errorf("the configuration: %s", out)
	}
	out := run(t, "--controller", b, "import", "visibility", dir)
	if want := fmt.Sprintf("0 spans are new, %d were there", len(want.spans)); !strings.Contains(out, want) {
		t.Errorf("the second import: %s", out)
	}
	sameContent(t, contentOf(t, second), want)
	back := filepath.Join(t.TempDir(), "back")
	run(t, "--controller", b, "export", "visibility", "--to", back)
	run(t, "--controller", a, "import", "visibility", back)
	sameContent(t, contentOf(t, first), want)
}

func configYAML(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "set.yaml")
	check(t, os.WriteFile(path, []byte("services: [{name: proxy_access_control}]\n"), 0o600))
	return path
}

// flaky passes requests on to a controller, as many as it is given.
func flaky(t *testing.T, controller, path string, left int64) (address string, give func(int64)) {
	t.Helper()
	target, err := url.Parse(controller)
	check(t, err)
	var n atomic.Int64
	n.Store(left)
	proxy := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = target.Host
		if strings.HasSuffix(r.URL.Path, path) && n.Add(-1) < 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"code": 13, "message": "broken off"}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, n.Store
}

// TestBrokenOff ends an export and an import early. What is done again counts
// once.
func TestBrokenOff(t *testing.T) {
	first, second, dir := full(t), empty(t), filepath.Join(t.TempDir(), "spans")
	want := contentOf(t, first)
	from, giveFrom := flaky(t, controllerOf(t, first), "/export", 2)
	into, giveInto := flaky(t, controllerOf(t, second), "/import", 2)
	code, _, errs := ctl(t, "", "--controller", from, "export", "visibility", "--to", dir)
	if code != exitFailure || !strings.Contains(errs, "broken off") || !strings.Contains(errs, "goes on from there") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	giveFrom(1000)
	run(t, "--controller", from, "export", "visibility", "--to", dir)
	code, _, errs = ctl(t, "", "--controller", into, "import", "visibility", dir)
	if code != exitFailure || !strings.Contains(errs, "broken off") || !strings.Contains(errs, "not counted again") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if n := len(contentOf(t, second).spans); n == 0 || n == len(want.spans) {
		t.Errorf("%d of %d spans were imported before the end", n, len(want.spans))
	}
	giveInto(1000)
	run(t, "--controller", into, "import", "visibility", dir)
	sameContent(t, contentOf(t, second), want)
}

func TestTransferRefuses(t *testing.T) {
	address, _ := controller(t)
	nothing, newer, damaged, old := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	check(t, os.WriteFile(filepath.Join(newer, "_clover.json"), []byte(`{"version": 2}`), 0o600))
	check(t, os.WriteFile(filepath.Join(damaged, "x.parquet"), []byte("PAR1 but no more"), 0o600))
	s := storetest.RandomSpans(1, 5, time.Now().Add(-2*time.Hour), time.Second)
	s[0].Start = time.Now().Add(30 * 24 * time.Hour)
	data, err := parquet.Encode(s)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(old, "x.parquet"), data, 0o600))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"export", "visibility"}, exitUsage, "--to FOLDER is needed"},
		{[]string{"export", "visibility", "--to", nothing, "-o", "xml"}, exitUsage, "want text or json"},
		{[]string{"import", "visibility"}, exitUsage, "want one folder"},
		{[]string{"import", "visibility", "absent"}, exitUsage, "absent"},
		{[]string{"import", "visibility", nothing}, exitUsage, "has no Parquet files"},
		{[]string{"import", "visibility", newer}, exitUsage, "newer than this program"},
		{[]string{"import", "visibility", damaged}, exitFailure, "x.parquet"},
		{[]string{"import", "visibility", old, "--config"}, exitUsage, "_config.json"},
		{[]string{"import", "visibility", old}, exitFailure, "1 later than the collector's clock"},
		{[]string{"export", "visibility", "--to", nothing, "--controller", "http://127.0.0.1:1"}, exitUnreachable, "does not answer"},
	} {
		code, out, errs := ctl(t, "", append([]string{"--controller", address}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%q: exit %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
}
