package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// memorySink keeps what it is given.
type memorySink struct {
	mu       sync.Mutex
	spans    []Span
	rejected []Rejection
	sources  map[string]int
	before   func(ctx context.Context) error // asked first, if set
}

func (m *memorySink) ConsumeSpans(ctx context.Context, source string, spans []Span, rejected []Rejection) error {
	if m.before != nil {
		if err := m.before(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sources == nil {
		m.sources = map[string]int{}
	}
	m.sources[source] += len(spans)
	m.spans = append(m.spans, spans...)
	m.rejected = append(m.rejected, rejected...)
	return nil
}

func (m *memorySink) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.spans)
}

// startReceiver runs a receiver on free ports until the test ends.
func startReceiver(t testing.TB, sink Sink, o ReceiverOptions) (r *Receiver, grpcAddr, url string) {
	t.Helper()
	setDefault(&o.GRPCAddr, "127.0.0.1:0")
	setDefault(&o.HTTPAddr, "127.0.0.1:0")
	setDefault(&o.DrainTimeout, 2*time.Minute) // the machine may be busy
	r, err := NewReceiver(sink, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	grpcLis, httpLis := r.Addrs()
	if httpLis != nil {
		url = "http://" + httpLis.String() + TracesPath
	}
	return r, grpcLis.String(), url
}

// oneGoodOneBad has a valid span and one without ids.
func oneGoodOneBad() *coltracepb.ExportTraceServiceRequest {
	s := NewSpan()
	s.TraceID[0], s.SpanID[0], s.Service = 1, 1, "web"
	s.Start, s.Kind = time.Unix(1, 0), KindServer
	rs := ToOTLP([]Span{s})
	scope := rs[0].ScopeSpans[0]
	scope.Spans = append(scope.Spans, &tracepb.Span{Name: "bad"})
	return &coltracepb.ExportTraceServiceRequest{ResourceSpans: rs}
}

func grpcClient(t testing.TB, addr string) coltracepb.TraceServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return coltracepb.NewTraceServiceClient(conn)
}

func post(t testing.TB, url, contentType, encoding string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReceiverProtocols(t *testing.T) {
	sink := &memorySink{}
	r, addr, url := startReceiver(t, sink, ReceiverOptions{})
	wire, err := proto.Marshal(oneGoodOneBad())
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	const wantMessage = `1 of service "web": ` + ReasonNoTraceID

	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor("gzip")}} {
		resp, err := grpcClient(t, addr).Export(t.Context(), oneGoodOneBad(), options...)
		if err != nil {
			t.Fatal(err)
		}
		if p := resp.GetPartialSuccess(); p.GetRejectedSpans() != 1 || p.GetErrorMessage() != wantMessage {
			t.Errorf("gRPC: partial success %v", p)
		}
	}
	for encoding, body := range map[string][]byte{"": wire, "gzip": gzipped(t, wire), "zstd": encoder.EncodeAll(wire, nil)} {
		answer, text := post(t, url, typeProtobuf, encoding, body)
		var resp coltracepb.ExportTraceServiceResponse
		if err := proto.Unmarshal(text, &resp); err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != typeProtobuf {
			t.Fatalf("%s %q: %v", answer.Status, text, err)
		}
		if p := resp.GetPartialSuccess(); p.GetRejectedSpans() != 1 || p.GetErrorMessage() != wantMessage {
			t.Errorf("HTTP %s: partial success %v", encoding, p)
		}
	}
	const jsonBody = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01000000000000000000000000000000",
		"spanId":"0100000000000000","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`
	answer, text := post(t, url, "application/json; charset=utf-8", "gzip", gzipped(t, []byte(jsonBody)))
	if answer.StatusCode != 200 || string(text) != "{}" {
		t.Errorf("JSON: %s %s", answer.Status, text)
	}
	if got := r.Stats(); got != (ReceiverStats{Requests: 6, Spans: 6, Rejected: 5}) {
		t.Errorf("stats %+v", got)
	}
	if sink.sources[SourceOTLPGRPC] != 2 || sink.sources[SourceOTLPHTTP] != 4 || len(sink.rejected) != 5 {
		t.Errorf("sources %v, rejected %v", sink.sources, sink.rejected)
	}
}

func TestReceiverHTTPRefusals(t *testing.T) {
	_, _, url := startReceiver(t, &memorySink{}, ReceiverOptions{MaxBodyBytes: 1000})
	bomb := gzipped(t, make([]byte, 1<<20))
	tests := []struct {
		name, url, contentType, encoding string
		body                             []byte
		want                             int
	}{
		{"no protobuf", url, typeProtobuf, "", []byte{0xff}, 400},
		{"no JSON", url, typeJSON, "", []byte("[1]"), 400},
		{"no gzip", url, typeJSON, "gzip", []byte("{}"), 400},
		{"large", url, typeProtobuf, "", make([]byte, 1001), 413},
		{"bomb", url, typeProtobuf, "gzip", bomb[:min(len(bomb), 1000)], 413},
		{"text", url, "text/plain", "", []byte("{}"), 415},
		{"no type", url, "", "", []byte("{}"), 415},
		{"brotli", url, typeJSON, "br", []byte("{}"), 415},
		{"metrics", strings.TrimSuffix(url, TracesPath) + "/v1/metrics", typeJSON, "", []byte("{}"), 404},
	}
	for _, test := range tests {
		answer, text := post(t, test.url, test.contentType, test.encoding, test.body)
		if answer.StatusCode != test.want {
			t.Errorf("%s: %s %q, want %d", test.name, answer.Status, text, test.want)
		}
		var message string
		if test.contentType == typeProtobuf {
			var st spb.Status
			if err := proto.Unmarshal(text, &st); err != nil {
				t.Errorf("%s: body: %v", test.name, err)
			}
			message = st.Message
		} else {
			var st struct{ Message string }
			if err := json.Unmarshal(text, &st); err != nil {
				t.Errorf("%s: body: %v", test.name, err)
			}
			message = st.Message
		}
		if message == "" {
			t.Errorf("%s: no google.rpc.Status in %q", test.name, text)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 405 || answer.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s, Allow %q", answer.Status, answer.Header.Get("Allow"))
	}
}

func TestReceiverSinkErrors(t *testing.T) {
	for _, test := range []struct {
		err        error
		code       codes.Code
		http       int
		retryAfter string // "": none
	}{
		{&Error{Op: "store", Kind: ErrorTemporary, Err: errors.New("disk full"), RetryAfter: 2500 * time.Millisecond}, codes.Unavailable, 503, "3"},
		{errors.New("of unknown kind"), codes.Unavailable, 503, "1"},
		{context.DeadlineExceeded, codes.Unavailable, 503, "1"},
		{&Error{Op: "store", Kind: ErrorPermanent, Err: errors.New("closed")}, codes.Internal, 500, ""},
		{ErrInvalid, codes.InvalidArgument, 400, ""},
		{ErrUnsupported, codes.Unimplemented, 501, ""},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			sink := &memorySink{before: func(context.Context) error { return test.err }}
			r, addr, url := startReceiver(t, sink, ReceiverOptions{})
			_, err := grpcClient(t, addr).Export(t.Context(), oneGoodOneBad())
			st := status.Convert(err)
			if _, retry := retryDelay(st); st.Code() != test.code || retry != (test.retryAfter != "") {
				t.Errorf("gRPC: %v, details %v", err, st.Details())
			}
			wire, err := proto.Marshal(oneGoodOneBad())
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := post(t, url, typeProtobuf, "", wire)
			if answer.StatusCode != test.http || answer.Header.Get("Retry-After") != test.retryAfter {
				t.Errorf("HTTP: %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
			}
			if r.Stats().Failed != 2 || r.Stats().Spans != 0 {
				t.Errorf("stats %+v", r.Stats())
			}
		})
	}
}

func TestReceiverBackpressure(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 10)
	sink := &memorySink{before: func(context.Context) error {
		entered <- struct{}{}
		<-release
		return nil
	}}
	r, addr, url := startReceiver(t, sink, ReceiverOptions{MaxConcurrent: 1, MaxWait: time.Millisecond, RetryAfter: 4 * time.Second})
	first := make(chan error, 1)
	client := grpcClient(t, addr)
	go func() {
		_, err := client.Export(context.Background(), oneGoodOneBad())
		first <- err
	}()
	<-entered
	_, err := client.Export(t.Context(), oneGoodOneBad())
	if after, ok := retryDelay(status.Convert(err)); status.Code(err) != codes.ResourceExhausted || !ok || after != 4*time.Second {
		t.Errorf("gRPC without room: %v", err)
	}
	wire, err := proto.Marshal(oneGoodOneBad())
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := post(t, url, typeProtobuf, "", wire)
	if answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "4" {
		t.Errorf("HTTP without room: %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the request with room: %v", err)
	}
	if got := r.Stats(); got.Refused != 2 || got.Spans != 1 {
		t.Errorf("stats %+v", got)
	}
}

// A request under way when the context ends is still answered.
func TestReceiverDrains(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	sink := &memorySink{before: func(context.Context) error {
		entered <- struct{}{}
		<-release
		return nil
	}}
	r, err := NewReceiver(sink, ReceiverOptions{GRPCAddr: "127.0.0.1:0", HTTPAddr: "-", DrainTimeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-r.Ready()
	addr, httpAddr := r.Addrs()
	if httpAddr != nil {
		t.Errorf("HTTP listens at %v although it is off", httpAddr)
	}
	client, answered := grpcClient(t, addr.String()), make(chan error, 1)
	go func() {
		_, err := client.Export(context.Background(), oneGoodOneBad())
		answered <- err
	}()
	<-entered
	cancel()
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("request under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := r.Run(context.Background()); !errors.Is(err, ErrInvalid) {
		t.Errorf("second Run: %v", err)
	}
}

func TestReceiverPortInUse(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	r, err := NewReceiver(&memorySink{}, ReceiverOptions{GRPCAddr: "127.0.0.1:0", HTTPAddr: lis.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ReceiverOptions.HTTPAddr") || !strings.Contains(err.Error(), lis.Addr().String()) {
		t.Errorf("Run: %v", err)
	}
	if _, err := NewReceiver(nil, ReceiverOptions{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("no sink: %v", err)
	}
	if _, err := NewReceiver(&memorySink{}, ReceiverOptions{MaxWait: -1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("negative option: %v", err)
	}
}
