package plugin_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// given is a parser of lines that counts what it is given of requests.
type given struct {
	lines
	bytes int
}

func (g *given) Parse(key string, isReq bool, data []byte) ([]byte, map[string]string) {
	if isReq {
		g.bytes += len(data)
	}
	return g.lines.Parse(key, isReq, data)
}

// handOver has lines of a length come in segments of a size, and returns what
// the plug-in was given for each byte.
func handOver(t testing.TB, line, mss int) float64 {
	t.Helper()
	const batches, batch = 2, 64 << 10
	c := sessiontest.Open(client, server)
	for range batches {
		c.MSS = mss
		c.Client(strings.Repeat(strings.Repeat("x", line-1)+"\n", batch/line))
		c.MSS = 1460
		c.Server(strings.Repeat("yes\n", batch/line))
	}
	c.Close()
	g := &given{}
	h := host(t, plugin.Options{})
	h.Register("test", g)
	got, _ := sessiontest.Run(session.Options{
		Protocol: h.Protocol, Port: func(uint32, netip.AddrPort) string { return "test" },
	}, c.Segments)
	paired := 0
	for i := range got {
		if got[i].Outcome == session.Paired {
			paired++
		}
	}
	if want := batches * (batch / line); paired < want {
		t.Errorf("lines of %d in segments of %d: %d paired, want %d", line, mss, paired, want)
	}
	return float64(g.bytes) / float64(batches*(batch/line)*line)
}

// TestHandOver bounds what a plug-in is given of a byte, however messages and
// segments are cut.
func TestHandOver(t *testing.T) {
	for _, c := range []struct {
		line, mss int
		most      float64
	}{
		{60 << 10, 1, 45}, {60 << 10, 7, 45}, {60 << 10, 100, 45}, {60 << 10, 1460, 25}, {60 << 10, 64 << 10, 5},
		{8 << 10, 1, 52}, {1 << 10, 1, 110}, {256, 64 << 10, 18}, {64, 64 << 10, 66},
	} {
		if got := handOver(t, c.line, c.mss); got > c.most {
			t.Errorf("lines of %d in segments of %d: given %.0f times, at most %.0f", c.line, c.mss, got, c.most)
		}
	}
}

// BenchmarkHandOver reports what a plug-in is given for each byte.
func BenchmarkHandOver(b *testing.B) {
	for _, line := range []int{256, 8 << 10, 60 << 10} {
		for _, mss := range []int{1, 100, 1460, 64 << 10} {
			b.Run(fmt.Sprintf("line=%d/segment=%d", line, mss), func(b *testing.B) {
				times := 0.0
				for b.Loop() {
					times = handOver(b, line, mss)
				}
				b.ReportMetric(times, "given/byte")
			})
		}
	}
}
