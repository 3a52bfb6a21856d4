package diagnose

import (
	"strings"
	"testing"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

func TestOutputs(t *testing.T) {
	for _, c := range []struct {
		source *v1.SourceStatus
		want   State
		detail string
	}{
		{&v1.SourceStatus{Kind: "results", Target: "redis:6379", State: "ok"}, OK, "redis:6379"},
		{&v1.SourceStatus{Kind: "results", Target: "redis:6379", State: "standby"}, OK, "another collector writes"},
		{&v1.SourceStatus{Kind: "results", Target: "redis:6379", State: "down", Error: "NOAUTH"}, Failed, "redis:6379: NOAUTH"},
		{&v1.SourceStatus{Kind: "spool", State: "ok"}, OK, "nothing waits"},
		{&v1.SourceStatus{Kind: "spool", Error: "12 spans wait"}, Failed, "12 spans wait"},
		{&v1.SourceStatus{Kind: "files", Target: "/spans", State: "ok", Detail: "3 files"}, OK, "/spans: 3 files"},
		{&v1.SourceStatus{Kind: "jobs", Target: "/results", State: "ok", Detail: "clover-spark ok"}, OK, "/results: clover-spark ok"},
		{&v1.SourceStatus{Kind: "jobs", Target: "/results", State: "down", Error: "clover-spark failed"}, Failed, "clover-spark failed"},
		{&v1.SourceStatus{Kind: "files", Target: "/spans", State: "down", Error: "behind since"}, Failed, "/spans: behind since"},
	} {
		got := outputs(&v1.GetStatusResponse{Sources: []*v1.SourceStatus{{Kind: "traces"}, c.source}})
		if len(got) != 1 || got[0].State != c.want || !strings.Contains(got[0].Detail, c.detail) || (got[0].Remedy == "") != (c.want == OK) {
			t.Errorf("%v: %+v", c.source, got)
		}
	}
	if got := outputs(&v1.GetStatusResponse{Sources: []*v1.SourceStatus{{Kind: "traces"}}}); len(got) > 0 {
		t.Errorf("without outputs: %+v", got)
	}
}
