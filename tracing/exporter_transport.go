package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// grpcTransport sends by OTLP/gRPC.
type grpcTransport struct {
	conn    *grpc.ClientConn
	headers metadata.MD
	options []grpc.CallOption
}

func dialGRPC(address string, secure bool, o ExporterOptions) (transport, error) {
	creds := insecure.NewCredentials()
	if secure {
		config := o.TLS
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, err
	}
	t := &grpcTransport{conn: conn, headers: metadata.New(o.Headers)}
	t.options = []grpc.CallOption{grpc.StaticMethod(), grpc.ForceCodecV2(readyCodec{encoding.GetCodecV2(grpcproto.Name)})}
	if !o.NoCompression {
		t.options = append(t.options, grpc.UseCompressor(grpcgzip.Name))
	}
	return t, nil
}

func (t *grpcTransport) close() error { return t.conn.Close() }

// readyCodec is gRPC's codec for protobuf, but for requests that are encoded
// already.
type readyCodec struct{ encoding.CodecV2 }

// Marshal copies the bytes: gRPC may still hold them when a call has ended.
func (c readyCodec) Marshal(v any) (mem.BufferSlice, error) {
	if req, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.Copy(req, mem.DefaultBufferPool())}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (t *grpcTransport) send(ctx context.Context, req []byte) (*coltracepb.ExportTraceServiceResponse, error) {
	if len(t.headers) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, t.headers)
	}
	resp := &coltracepb.ExportTraceServiceResponse{}
	err := t.conn.Invoke(ctx, coltracepb.TraceService_Export_FullMethodName, req, resp, t.options...)
	if err == nil {
		return resp, nil
	}
	st := status.Convert(err)
	after, ok := retryDelay(st)
	kind := KindOfCode(st.Code())
	if st.Code() == codes.ResourceExhausted && !ok {
		kind = ErrorPermanent // OTLP: only with RetryInfo is it worth repeating
	}
	return nil, &Error{Op: "export spans", Target: t.conn.Target(), Kind: kind, Err: err, RetryAfter: after}
}

// httpTransport sends by OTLP/HTTP with protobuf.
type httpTransport struct {
	url     string
	headers map[string]string
	gzip    *gzip.Writer // nil: no compression
	base    *http.Transport
	client  *http.Client
}

// tracesURL adds OTLP's path to a URL without one.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	if u.Host == "" {
		return "", errors.New("no host")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = TracesPath
	}
	return u.String(), nil
}

func dialHTTP(url string, o ExporterOptions) transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = o.TLS
	t := &httpTransport{
		url: url, headers: o.Headers, base: base,
		client: &http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a POST does not survive being redirected
		}},
	}
	if !o.NoCompression {
		t.gzip = gzip.NewWriter(io.Discard)
	}
	return t
}

func (t *httpTransport) close() error {
	t.base.CloseIdleConnections()
	return nil
}

// maxAnswerBytes is more than any answer of OTLP's needs.
const maxAnswerBytes = 1 << 20

func (t *httpTransport) send(ctx context.Context, req []byte) (*coltracepb.ExportTraceServiceResponse, error) {
	fail := func(kind ErrorKind, err error) (*coltracepb.ExportTraceServiceResponse, error) {
		return nil, &Error{Op: "export spans", Target: t.url, Kind: kind, Err: err}
	}
	body, err := t.encode(req)
	if err != nil {
		return fail(ErrorInvalid, err)
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return fail(ErrorInvalid, err)
	}
	for k, v := range t.headers {
		post.Header.Set(k, v)
	}
	post.Header.Set("Content-Type", typeProtobuf)
	if t.gzip != nil {
		post.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := t.client.Do(post)
	if err != nil {
		return fail(ErrorTemporary, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if answer.StatusCode/100 != 2 {
		return nil, t.failure(answer, text)
	}
	if err != nil {
		return fail(ErrorTemporary, err) // perhaps taken; OTLP is at least once
	}
	resp := &coltracepb.ExportTraceServiceResponse{}
	if err := proto.Unmarshal(text, resp); err != nil {
		return fail(ErrorPermanent, fmt.Errorf("answer: %w", err))
	}
	return resp, nil
}

// encode returns a body of its own: net/http may still read it when a call
// has ended.
func (t *httpTransport) encode(plain []byte) ([]byte, error) {
	if t.gzip == nil {
		return bytes.Clone(plain), nil
	}
	var b bytes.Buffer
	t.gzip.Reset(&b)
	if _, err := t.gzip.Write(plain); err != nil {
		return nil, err
	}
	if err := t.gzip.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// failure reads an answer that is no success. OTLP/HTTP has a
// google.rpc.Status as body; only 429, 502, 503 and 504 are to be repeated.
func (t *httpTransport) failure(answer *http.Response, text []byte) error {
	kind := KindOfHTTPStatus(answer.StatusCode)
	if kind == ErrorUnknown || answer.StatusCode == http.StatusRequestTimeout {
		kind = ErrorPermanent
	}
	message := answer.Status
	var st spb.Status
	if answer.Header.Get("Content-Type") == typeProtobuf && proto.Unmarshal(text, &st) == nil && st.Message != "" {
		message += ": " + st.Message
	}
	return &Error{Op: "export spans", Target: t.url, Kind: kind, Err: errors.New(message),
		RetryAfter: retryAfter(answer.Header.Get("Retry-After"), time.Now())}
}

// retryAfter reads HTTP's Retry-After, in seconds or as a date; 0 if there is
// none that makes sense.
func retryAfter(v string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(v); err == nil {
		return time.Duration(max(min(seconds, 3600), 0)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
