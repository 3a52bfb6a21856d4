package e2e

import (
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
)

// TestJaegerGoesAwayAndComesBack reads the sample mesh through a real Jaeger
// of each generation, takes it away for a while, and checks that everything
// is counted once afterwards, without a restart.
func TestJaegerGoesAwayAndComesBack(t *testing.T) {
	for _, version := range testutil.JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			jaeger := testutil.Jaeger(t, testutil.JaegerOptions{Version: version, BadgerDir: filepath.Join(t.TempDir(), "badger")})
			c := clover(t, node.Options{JaegerURLs: []string{jaeger.QueryHTTP}, SampleInterval: 300 * time.Millisecond})

			first := sdcLoad(t, jaeger.OTLPGRPC, 60, 1)
			waitForTally(t, c, first)

			jaeger.Stop()
			testutil.Eventually(t, time.Minute, func() (bool, string) {
				st, err := c.GetStatus(t.Context(), &v1.GetStatusRequest{})
				check(t, err)
				for _, s := range st.GetSources() {
					if s.GetKind() == "traces" && s.GetError() != "" && s.GetFailures() >= 2 {
						return true, ""
					}
				}
				return false, st.String()
			})
			res, err := c.GetStats(t.Context(), &v1.GetStatsRequest{})
			check(t, err)
			if res.GetCompleteness().GetComplete() {
				t.Error("answers do not say that Jaeger is down")
			}

			jaeger.Restart()
			second := sdcLoad(t, jaeger.OTLPGRPC, 60, 2)
			waitForTally(t, c, add(first, second))
		})
	}
}
