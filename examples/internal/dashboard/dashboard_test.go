package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/browser"
	"github.com/opnfv/clover/tracing"
)

// requests is how many the load generator sends before browsers look.
const requests = 400

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEachViewShowsWhatTheAPIAnswers compares what a browser shows with what
// the API answers and with what the load generator counted, in every view. With
// CLOVER_STRICT it goes through each by keyboard, and magnified, too.
func TestEachViewShowsWhatTheAPIAnswers(t *testing.T) {
	b := browser.New(t, repository)
	c := start(t, withMetrics(t))
	began := time.Now()
	for i, ago := range history() {
		check(t, c.send(t.Context(), 40+i%7*5, time.Since(began)+ago))
	}
	check(t, c.send(t.Context(), requests, 0))
	c.trackMetrics()
	b.Isolate(t, c.addrs.REST)
	env := map[string]string{"CLOVER_URL": c.url(), "CLOVER_CONTROL": c.control().URL, "CLOVER_PICTURES": pictures(t)}
	scripts := []string{"figures", "handling", "views", "moving", "answers"}
	if os.Getenv("CLOVER_STRICT") != "" {
		scripts = append(scripts, "access")
	}
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) { b.Run(t, script+".test.mjs", env) })
	}
}

// history is how long ago requests were sent besides those of now: for
// pictures, little in the second last quarter of an hour and more in the last.
func history() (ago []time.Duration) {
	if os.Getenv("CLOVER_PICTURES") == "" {
		return nil
	}
	for at := 29 * time.Minute; at > 0; at -= 10 * time.Second {
		if at > 15*time.Minute {
			at -= 50 * time.Second
		}
		ago = append(ago, at)
	}
	return ago
}

// TestHostileTextsRunNothing has names, URLs and user agents that would be
// scripts if the page took them for more than texts.
func TestHostileTextsRunNothing(t *testing.T) {
	b := browser.New(t, repository)
	c := start(t, node.Options{})
	check(t, c.export(t.Context(), func(report func(...tracing.Span) int) error {
		report(hostileSpans(time.Now())...)
		return nil
	}))
	b.Isolate(t, c.addrs.REST)
	b.Run(t, "safety.test.mjs", map[string]string{"CLOVER_URL": c.url()})
}

// TestPeopleSignIn has a browser sign in with tokens.
func TestPeopleSignIn(t *testing.T) {
	b := browser.New(t, repository)
	c := start(t, guarded(t))
	check(t, c.send(t.Context(), 50, 0))
	b.Isolate(t, c.addrs.REST)
	b.Run(t, "signin.test.mjs", map[string]string{"CLOVER_URL": c.url()})
}

// withMetrics are the options of a Clover that reads a real Prometheus, which
// scrapes what a proxy of 2019 exposes.
func withMetrics(t *testing.T) node.Options {
	t.Helper()
	var scrapes atomic.Int64 // one that takes too long is given up, and goes on beside the next
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked := int(scrapes.Add(1))
		for i := 1; i <= 2; i++ {
			for j, class := range []string{"2xx", "5xx"} {
				fmt.Fprintf(w, "envoy_cluster_outbound_9180__clover_server%d_default_svc_cluster_local_upstream_rq_%s %d\n", i, class, (100*i+j)*asked)
			}
		}
		fmt.Fprintf(w, "envoy_tracing_zipkin_spans_sent %d\n", 7*asked)
	}))
	t.Cleanup(proxy.Close)
	prometheus := testutil.Prometheus(t, testutil.PrometheusOptions{
		ScrapeConfigs: []testutil.ScrapeConfig{{Job: "envoy", Targets: []string{proxy.Listener.Addr().String()}}}, Interval: 2 * time.Second, // which is also what a scrape may take
	})
	return node.Options{PrometheusURL: prometheus.URL, SampleInterval: 500 * time.Millisecond}
}

// trackMetrics selects metrics by service, prefix and suffix, and one by its
// name, and waits until there are some points of each.
func (c *clover) trackMetrics() {
	t := c.t
	t.Helper()
	conn, err := grpc.NewClient(c.addrs.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer conn.Close()
	api := v1.NewVisibilityServiceClient(conn)
	list := func(items ...string) *v1.StringList { return &v1.StringList{Items: items} }
	_, err = api.UpdateConfig(t.Context(), &v1.UpdateConfigRequest{Change: &v1.ConfigChange{
		Services: list("clover_server1", "clover_server2"), MetricPrefixes: list("envoy_cluster_outbound_9180__"),
		MetricSuffixes: list("_default_svc_cluster_local_upstream_rq_2xx", "_default_svc_cluster_local_upstream_rq_5xx"),
		CustomMetrics:  list("envoy_tracing_zipkin_spans_sent"),
	}})
	check(t, err)
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		res, err := api.GetMetrics(t.Context(), &v1.GetMetricsRequest{})
		if err != nil {
			return false, err.Error()
		}
		enough := len(res.GetSeries()) == 5
		for _, s := range res.GetSeries() {
			enough = enough && len(s.GetPoints()) >= 3
		}
		return enough, fmt.Sprint(res)
	})
}
