package diagnose

import (
	"fmt"
	"strings"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// sources checks Jaeger, Prometheus and what is pushed, by what the collector
// says of them.
func sources(st *v1.GetStatusResponse) []Check {
	pushed := st.GetIngest().GetSpans() > 0
	out := sourcesOf(st, "traces", "Jaeger", pushed)
	out = append(out, sourcesOf(st, "metrics", "Prometheus", true)...)
	if in := st.GetIngest(); pushed || in.GetDropped() > 0 {
		c := Check{Name: "OTLP", State: OK, Detail: fmt.Sprintf("%d spans in %d deliveries", in.GetSpans(), in.GetDeliveries())}
		if in.GetDropped() > 0 {
			c.State = Failed
			c.Detail += fmt.Sprintf(", %d dropped: %s", in.GetDropped(), in.GetLastError())
			c.Remedy = "See 'cloverctl get visibility ledger' for the reason"
		}
		out = append(out, c)
	}
	return append(out, outputs(st)...)
}

// outputs checks Redis, the spool and the files, where there are such.
func outputs(st *v1.GetStatusResponse) []Check {
	var out []Check
	for _, s := range st.GetSources() {
		c := Check{State: OK, Detail: s.GetTarget()}
		switch s.GetKind() {
		case "results":
			c.Name, c.Remedy = "Redis has the results", "Is Redis there, and may the collector write to it? docs/guide-redis.md says what to do by the error"
			if s.GetState() == "standby" {
				c.Detail += ": another collector writes them"
			}
		case "spool":
			c.Name, c.Detail = "store takes what arrives", "nothing waits on the collector's disk"
			c.Remedy = "What waits is safe on the collector's disk; see that the store answers: 'cloverctl get visibility status'"
		case "files":
			c.Name, c.Remedy = "spans become files", "Has the folder room, and may the collector write to it? What is missing follows by itself; docs/guide-spark.md"
			if s.GetDetail() != "" {
				c.Detail += ": " + s.GetDetail()
			}
		case "jobs":
			c.Name, c.Remedy = "Spark's jobs succeed", "A job that fails is run again, and counts once; 'kubectl -n clover-system logs deploy/clover-spark-submit' has more"
			if s.GetDetail() != "" {
				c.Detail += ": " + s.GetDetail()
			}
		default:
			continue
		}
		if s.GetError() == "" {
			c.Remedy = ""
		} else {
			c.State, c.Detail = Failed, strings.TrimPrefix(s.GetTarget()+": "+s.GetError(), ": ")
		}
		out = append(out, c)
	}
	return out
}

// sourcesOf checks the sources of a kind. Where optional is set, having none
// is no fault.
func sourcesOf(st *v1.GetStatusResponse, kind, name string, optional bool) []Check {
	var out []Check
	for _, s := range st.GetSources() {
		if s.GetKind() != kind {
			continue
		}
		c := Check{Name: name + " answers", State: OK, Detail: s.GetTarget()}
		switch {
		case s.GetError() != "":
			c.State, c.Detail = Failed, s.GetTarget()+": "+s.GetError()
			c.Remedy = fmt.Sprintf("Is %s there, and is its address right? Name another with 'cloverctl start visibility -f'", name)
		case !st.GetCollecting():
			c.State, c.Detail = Skipped, s.GetTarget()+": collecting is stopped"
		default:
			c.Detail += fmt.Sprintf(", %v behind", s.GetLag().AsDuration().Round(time.Millisecond))
		}
		out = append(out, c)
	}
	if len(out) > 0 {
		return out
	}
	c := Check{Name: name + " answers", State: Skipped, Detail: "none is configured"}
	if !st.GetCollecting() {
		c.Detail = "collecting is stopped; 'cloverctl start visibility' starts it"
		return []Check{c}
	}
	if !optional {
		c.State = Failed
		c.Remedy = fmt.Sprintf("Name %s with 'cloverctl start visibility -f start_visibility.yaml' (t_host, t_port), or send OTLP to clover-collector:4317", name)
	}
	return []Check{c}
}
