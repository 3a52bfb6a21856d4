package mesh

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// connected makes a proxy as istiod reports it.
func connected(id, clusters, routesSent, routesAcked, refusal string) proxy {
	return proxy{ID: id, Resources: map[string]xdsSync{
		clusterType: {Sent: clusters, Acked: clusters, LastError: refusal},
		"type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {Sent: routesSent, Acked: routesAcked},
		// Not what routes requests; istiod may leave it unacknowledged.
		"type.googleapis.com/istio.networking.nds.v1.NameTable": {Sent: "x"},
	}}
}

func TestLagging(t *testing.T) {
	before := map[string]string{"a.default": "1", "b.default": "1"}
	for name, c := range map[string]struct {
		proxies []proxy
		want    string
	}{
		"all have it": {[]proxy{connected("a.default", "2", "r", "r", ""), connected("new.default", "2", "r", "r", "")}, ""},
		"not sent":    {[]proxy{connected("a.default", "2", "r", "r", ""), connected("b.default", "1", "r", "r", "")}, "1 of 2 proxies lag: b.default"},
		"not acked":   {[]proxy{connected("a.default", "2", "s", "r", "")}, "1 of 1 proxies lag: a.default"},
		"nobody":      {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lagging(c.proxies, before); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	begin := time.Unix(1, 0)
	at := func(clusters, reason string) []proxy {
		return []proxy{connected("a.default", "2", "r", "r", ""), connected("b.default", clusters, "r", "r", reason)}
	}
	r := newRefusals(at("1", "no such filter"))
	for i, c := range []struct {
		after    time.Duration
		clusters string
		reason   string
		lasts    bool
	}{
		{time.Hour, "1", "no such filter", false},                      // what was sent before the push
		{time.Hour, "2", "no such filter", false},                      // not answered yet
		{time.Hour + refusalLimit, "2", "", false},                     // taken
		{time.Hour + refusalLimit + 1, "3", "no such filter", false},   // the next one is not answered yet
		{time.Hour + 2*refusalLimit + 1, "3", "no such filter", false}, // nor now
		{time.Hour + 2*refusalLimit + 2, "3", "no such filter", true},  // and it will not be
	} {
		err := r.lasting(at(c.clusters, c.reason), begin.Add(c.after))
		if !c.lasts {
			if err != nil {
				t.Errorf("step %d: %v", i, err)
			}
			continue
		}
		if !errors.Is(err, ErrInvalid) || err.Error() != "wait proxy b.default: it refuses its configuration: Cluster: no such filter" {
			t.Errorf("step %d: error is %v", i, err)
		}
	}
}

func TestBusy(t *testing.T) {
	const idle = "cluster_manager.warming_clusters: 0\nlistener_manager.total_listeners_warming: 0\n"
	for name, c := range map[string]struct {
		stats string
		drain bool
		want  string
	}{
		"idle":                {idle, true, ""},
		"warming":             {idle + "listener_manager.total_listeners_warming: 1\n", false, "listener_manager.total_listeners_warming is 1"},
		"draining":            {idle + "listener_manager.total_filter_chains_draining: 2\n", true, "listener_manager.total_filter_chains_draining is 2"},
		"draining in peace":   {idle + "listener_manager.total_filter_chains_draining: 2\n", false, ""},
		"nothing that we ask": {"", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := busy(c.stats, c.drain); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestPollSaysWhoLags(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := poll(ctx, "istio-system/istiod-1", func() (string, error) { return "1 of 3 proxies lag: a.default", nil })
	if !errors.Is(err, ErrTemporary) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "wait istio-system/istiod-1: 1 of 3 proxies lag: a.default") {
		t.Errorf("error is %v", err)
	}
}
