package clovisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
	clovertest "github.com/opnfv/clover/internal/testutil"
)

// TestTracer traces a real server in a network namespace, whose targets and
// ports change while requests are made.
func TestTracer(t *testing.T) {
	ns := clovertest.Namespace(t)
	serve(t, ns.Listen(8080))
	serve(t, ns.Listen(8081))
	url := func(port int, path string) string { return fmt.Sprintf("http://%s:%d%s", ns.Addr, port, path) }
	sink, source := &seen{}, newSettable(target.Set{Targets: []target.Target{pod(ns, httpPort(8080))}})
	tracer, end := run(t, Options{Source: source, Sinks: []Sink{sink}})

	get(t, url(8080, "/a"), url(8080, "/status/503"))
	get(t, url(8081, "/not-traced"))
	sink.shows(t, "GET "+url(8080, "/a")+" 200 paired", "GET "+url(8080, "/status/503")+" 503 paired")
	if p := sink.places[0]; p.Pod != ns.Name || p.Service != "web-service" || p.Workload != "web" || p.Kind != "Deployment" || p.Node != "node-1" {
		t.Errorf("place %+v", p)
	}
	source.sets <- target.Set{Targets: []target.Target{pod(ns, httpPort(8081))}}
	// Of a request that is under way then only the response would be seen.
	clovertest.Eventually(t, limit, func() (bool, string) {
		ports := tracer.targets.tracedPorts()
		return slices.Equal(ports, []uint16{8081}), fmt.Sprintf("ports %d are traced", ports)
	})
	get(t, url(8081, "/now"))
	sink.shows(t, "GET "+url(8081, "/now")+" 200 paired")
	source.sets <- target.Set{Problems: []target.Problem{{Workload: target.Workload{Pod: "p"}, Reason: "r"}}}
	clovertest.Eventually(t, limit, func() (bool, string) {
		l := tracer.Ledger()
		return len(l.Problems) == 1 && tracer.targets.attached() == 0, fmt.Sprintf("%+v", l)
	})
	get(t, url(8081, "/gone"))
	end()
	if got := strings.Join(sink.lines(), "\n"); strings.Contains(got, "/gone") {
		t.Errorf("traced though it is gone:\n%s", got)
	}
	l := tracer.Ledger()
	total := l.Total()
	if n := int64(len(sink.lines())); total.Sessions != n || total.Outcomes[session.Paired] != n || total.Balance() != 0 || total.Completeness != 100 {
		t.Errorf("ledger %+v, %d sessions were seen", total, n)
	}
	if e := l.Entries[0]; e.Pod != ns.Name || e.Protocol != "http" || e.Workload != "web" {
		t.Errorf("entries %+v", l.Entries)
	}
	for _, e := range l.Entries[1:] { // the ends of connections that began before their port was traced
		if e.Pod != ns.Name || e.Connections != 0 || e.Sessions != 0 {
			t.Errorf("entry %+v", e)
		}
	}
	if err := tracer.Ready(); err == nil {
		t.Error("ready though it has ended")
	}
}

// tracedPorts are the ports of all that is attached.
func (a *attachments) tracedPorts() (ports []uint16) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, at := range a.byKey {
		for _, p := range at.target.Ports {
			ports = append(ports, p.Number)
		}
	}
	return ports
}

// TestMetricsAreTheLedger has Prometheus's own linter read the metrics.
func TestMetricsAreTheLedger(t *testing.T) {
	ns := clovertest.Namespace(t)
	serve(t, ns.Listen(8080))
	sink := &seen{}
	tracer, _ := run(t, Options{Source: Static{pod(ns, httpPort(8080))}, Sinks: []Sink{sink}})
	get(t, fmt.Sprintf("http://%s:8080/a", ns.Addr))
	sink.shows(t, "/a 200")
	problems, err := testutil.CollectAndLint(tracer)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := fmt.Sprintf(`# HELP clovisor_sessions_began_total Sessions that began.
# TYPE clovisor_sessions_began_total counter
clovisor_sessions_began_total{interface=%q,namespace="default",pod=%q,protocol="http"} 1
`, ns.HostInterface, ns.Name)
	if err := testutil.CollectAndCompare(tracer, strings.NewReader(want), "clovisor_sessions_began_total"); err != nil {
		t.Error(err)
	}
}

// TestTargetsThatAreNotThere says what is wrong, and attaches when it is
// there.
func TestTargetsThatAreNotThere(t *testing.T) {
	ns := clovertest.Namespace(t)
	wrong := pod(ns, httpPort(8080))
	wrong.Interface = "nonesuch"
	source := newSettable(target.Set{Targets: []target.Target{wrong}})
	tracer, _ := run(t, Options{Source: source})
	l := tracer.Ledger()
	if len(l.Problems) != 1 || l.Problems[0].Pod != ns.Name || !strings.Contains(l.Problems[0].Reason, "nonesuch") {
		t.Errorf("problems %+v", l.Problems)
	}
	source.sets <- target.Set{Targets: []target.Target{pod(ns, httpPort(8080))}}
	clovertest.Eventually(t, limit, func() (bool, string) {
		l := tracer.Ledger()
		return len(l.Problems) == 0 && tracer.targets.attached() == 1, fmt.Sprintf("%+v", l)
	})
}

// failing is a sink that cannot take anything.
type failing struct{ err error }

func (f failing) Session(*session.Session, export.Place) error { return f.err }

// TestSinkFails ends a Tracer whose sink does not work.
func TestSinkFails(t *testing.T) {
	ns := clovertest.Namespace(t)
	serve(t, ns.Listen(8080))
	broken := errors.New("broken pipe")
	o := Options{Source: Static{pod(ns, httpPort(8080))}, Sinks: []Sink{failing{broken}}, Logger: clovertest.Logger(t)}
	o.Kernel.Name = fmt.Sprintf("sink-fails-%d", os.Getpid())
	tracer, err := New(o)
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- tracer.Run(t.Context()) }()
	clovertest.Eventually(t, limit, func() (bool, string) { return tracer.targets.attached() == 1, "" })
	get(t, fmt.Sprintf("http://%s:8080/a", ns.Addr))
	if err := <-done; !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
