package export_test

import (
	"net/netip"
	"testing"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/tracing"
)

// TestSeenTwice gives the engine a connection as two interfaces see it: the
// client's, before the address of the service is translated, and the server's.
// Each request is one trace and one span id with two kinds, however the
// connection is cut into segments, and a second look at it gives the same.
func TestSeenTwice(t *testing.T) {
	client := netip.MustParseAddrPort("10.244.0.7:41000")
	at := func(server string, mss int, direction packet.Direction) []tracing.Span {
		c := sessiontest.Open(client, netip.MustParseAddrPort(server))
		c.MSS = mss
		for _, h := range []sessiontest.HTTP{
			{Method: "GET", Target: "/a", Status: 200, Reply: "hello"},
			{Method: "POST", Target: "/b", Body: "body", Status: 404, Reply: "no"},
			{Method: "GET", Target: "/a", Status: 200, Reply: "hello"},
		} {
			c.Client(h.Request())
			c.Server(h.Response())
		}
		c.Close()
		for i := range c.Segments {
			if direction == packet.Egress {
				c.Segments[i].Direction = packet.Ingress + packet.Egress - c.Segments[i].Direction
			}
		}
		got, _ := sessiontest.Run(session.Options{}, c.Segments)
		spans := make([]tracing.Span, len(got))
		for i := range got {
			spans[i] = export.Span(&got[i], export.Place{Workload: "shop"})
		}
		return spans
	}
	atServer, again, atClient := at("10.244.0.8:80", 7, packet.Ingress), at("10.244.0.8:80", 1460, packet.Ingress), at("10.96.0.1:80", 1460, packet.Egress)
	if len(atServer) != 3 || len(again) != 3 || len(atClient) != 3 {
		t.Fatalf("%d, %d and %d sessions", len(atServer), len(again), len(atClient))
	}
	seen := map[tracing.SpanID]bool{}
	for i, s := range atServer {
		if s.Identity() != again[i].Identity() {
			t.Errorf("%d: %v, and when seen again %v", i, s.Identity(), again[i].Identity())
		}
		if c := atClient[i]; c.TraceID != s.TraceID || c.SpanID != s.SpanID || c.Kind != tracing.KindClient || s.Kind != tracing.KindServer {
			t.Errorf("%d: %v at the server, %v at the client", i, s.Identity(), c.Identity())
		}
		if seen[s.SpanID] {
			t.Errorf("%d has the id of another request", i)
		}
		seen[s.SpanID] = true
	}
}

// TestIdentities holds that in each case of the corpus, and in any cutting of
// it, every session has ids of its own.
func TestIdentities(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		got, _ := sessiontest.Run(session.Options{}, c.Segments)
		seen := map[tracing.SpanID]int{}
		for i := range got {
			span := export.Span(&got[i], pod)
			if at, ok := seen[span.SpanID]; ok {
				t.Errorf("%s: sessions %d and %d of %d have one id:\n%+v\n%+v", c.Name, at, i, len(got), got[at], got[i])
			}
			seen[span.SpanID] = i
			readsBack(t, &span)
		}
	}
}
