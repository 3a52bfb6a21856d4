package tracing_test

import (
	"context"
	"fmt"
	"time"

	"github.com/opnfv/clover/tracing"
)

func ExampleNormalize() {
	s := tracing.NewSpan()
	s.Attributes = []tracing.Attribute{
		{Key: "upstream_cluster.name", Value: "outbound|9180||http-lb.default.svc.cluster.local;"},
		{Key: "http.url", Value: "http://http-lb:9180/orders/17?debug=1"},
		{Key: "http.status_code", Value: "503"},
		{Key: "response_flags", Value: "UF"},
		{Key: "zone", Value: "eu-1"},
	}
	tracing.Normalize(&s)
	fmt.Println(s.Side(), "->", s.Destination())
	fmt.Println(s.URLTemplate, s.StatusCode, s.ResponseFlags, "error:", s.Error)
	fmt.Println(s.Attributes)
	// Output:
	// client -> http-lb.default
	// /orders/{id} 503 UF error: true
	// [{zone eu-1 0}]
}

func ExampleTemplate() {
	fmt.Println(tracing.Template("http://shop/users/6f1c2d3e-0000-4000-8000-aabbccddeeff/2026-11-24?x=1"))
	fmt.Println(tracing.Template("/img/0000000001.png"))
	// Output:
	// /users/{id}/{date}
	// /img/{id}.png
}

// A receiver on a free port, and an exporter that sends a span to it.
func ExampleReceiver() {
	sink := tracing.SinkFunc(func(_ context.Context, source string, spans []tracing.Span, _ []tracing.Rejection) error {
		for _, s := range spans {
			fmt.Println(source, s.Service, s.Method, s.URL, s.Duration)
		}
		return nil // the sender now forgets them
	})
	receiver, err := tracing.NewReceiver(sink, tracing.ReceiverOptions{GRPCAddr: "127.0.0.1:0", HTTPAddr: "-"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- receiver.Run(ctx) }()
	<-receiver.Ready()
	addr, _ := receiver.Addrs()

	exporter, err := tracing.NewExporter(addr.String(), tracing.ExporterOptions{DrainTimeout: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tracing.NewSpan()
	s.TraceID, s.SpanID = tracing.TraceID{1}, tracing.SpanID{1}
	s.Service, s.Kind, s.Method, s.URL = "web", tracing.KindServer, "GET", "http://web/hello"
	s.Start, s.Duration = time.Now(), 12*time.Millisecond
	exporter.Export(s)
	flush, stop := context.WithCancel(ctx)
	stop() // send what is queued, then end
	if err := exporter.Run(flush); err != nil {
		fmt.Println(err)
	}
	fmt.Println("exported:", exporter.Stats().Exported)
	cancel()
	if err := <-ended; err != nil {
		fmt.Println(err)
	}
	// Output:
	// otlp/grpc web GET http://web/hello 12ms
	// exported: 1
}
