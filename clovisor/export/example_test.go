package export_test

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
)

// A session becomes a span for tracing.Exporter, and a line for people.
func Example() {
	s := &session.Session{
		Client: netip.MustParseAddrPort("10.244.0.7:41234"), Server: netip.MustParseAddrPort("10.244.0.8:9180"),
		Direction: packet.Ingress, Transport: packet.TCP, RequestSeq: 1, ResponseSeq: 1,
	}
	s.Protocol, s.Method, s.Target, s.Host, s.Status = "HTTP/1.1", "GET", "/cart", "http-lb:9180", 200
	s.GRPCStatus, s.Outcome = -1, session.Paired
	s.Trace.TraceID, s.Trace.SpanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331" // of its traceparent
	s.Request.First = time.Now()
	s.Response.First = s.Request.First.Add(2 * time.Millisecond)
	place := export.Place{Namespace: "default", Pod: "http-lb-v1-5d", Service: "http-lb"}

	span := export.Span(s, place)
	fmt.Println(span.Kind, span.Service, span.URL, span.TraceID, span.ParentID)
	if err := export.NewLines(os.Stderr, export.LineOptions{}).Write(s, place); err != nil {
		fmt.Println(err)
	}
	// Output: server http-lb.default http://http-lb:9180/cart 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331
}
