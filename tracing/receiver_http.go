package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// TracesPath is OTLP/HTTP's path for traces.
const TracesPath = "/v1/traces"

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// httpError is an answer that is no success.
type httpError struct {
	code int
	st   *status.Status
}

func refuse(code int, grpcCode codes.Code, format string, args ...any) *httpError {
	return &httpError{code: code, st: status.New(grpcCode, valid(fmt.Sprintf(format, args...)))}
}

// ServeHTTP is OTLP/HTTP: POST of /v1/traces with protobuf or JSON, identity,
// gzip or zstd. Errors have a google.rpc.Status in the request's encoding as
// their body.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.requests.Add(1)
	mediaType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	encoding := typeJSON
	if mediaType == typeProtobuf {
		encoding = typeProtobuf
	}
	var failure *httpError
	switch {
	case req.URL.Path != TracesPath:
		failure = refuse(http.StatusNotFound, codes.NotFound, "this is an OTLP receiver of traces, at %s", TracesPath)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		failure = refuse(http.StatusMethodNotAllowed, codes.Unimplemented, "method %s: use POST", req.Method)
	case err != nil || mediaType != typeProtobuf && mediaType != typeJSON:
		failure = refuse(http.StatusUnsupportedMediaType, codes.InvalidArgument,
			"content type %q: use %s or %s", req.Header.Get("Content-Type"), typeProtobuf, typeJSON)
	default:
		var resp *coltracepb.ExportTraceServiceResponse
		if resp, failure = r.post(w, req, encoding); failure == nil {
			r.answer(w, http.StatusOK, encoding, resp)
			return
		}
	}
	if failure.code < http.StatusInternalServerError && failure.code != http.StatusTooManyRequests {
		r.invalid.Add(1)
	}
	if after, ok := retryDelay(failure.st); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	r.answer(w, failure.code, encoding, failure.st.Proto())
}

func (r *Receiver) answer(w http.ResponseWriter, code int, encoding string, m proto.Message) {
	marshal := proto.Marshal
	if encoding == typeJSON {
		marshal = protojson.Marshal
	}
	body, err := marshal(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", encoding)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		r.o.Logger.Debug("answer not sent", "error", err)
	}
}

// post reads a request and hands it on.
func (r *Receiver) post(w http.ResponseWriter, req *http.Request, encoding string) (*coltracepb.ExportTraceServiceResponse, *httpError) {
	ctx := req.Context()
	limit := int64(r.o.MaxBodyBytes)
	if req.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	// The size is known when the body is read; until then, what is declared.
	room, err := r.gate.enter(ctx, max(req.ContentLength, 64<<10))
	if err != nil {
		return nil, httpFailure(r.refusal(err))
	}
	defer room.leave()
	body, failure := readBody(http.MaxBytesReader(w, req.Body, limit), req.Header.Get("Content-Encoding"), limit)
	if failure != nil {
		return nil, failure
	}
	if err := room.grow(ctx, int64(len(body))); err != nil {
		return nil, httpFailure(r.refusal(err))
	}
	export := &coltracepb.ExportTraceServiceRequest{}
	if encoding == typeJSON {
		err = unmarshalJSON(body, export)
	} else {
		err = proto.Unmarshal(body, export)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, codes.InvalidArgument, "body is no ExportTraceServiceRequest: %v", err)
	}
	resp, st := r.consume(ctx, SourceOTLPHTTP, room, export)
	if st != nil {
		return nil, httpFailure(st)
	}
	return resp, nil
}

func tooLarge(limit int64) *httpError {
	return refuse(http.StatusRequestEntityTooLarge, codes.InvalidArgument, "body exceeds %d bytes", limit)
}

// httpFailure gives a gRPC status its HTTP status code (OTLP specification,
// "OTLP/HTTP Response").
func httpFailure(st *status.Status) *httpError {
	code := http.StatusInternalServerError
	switch st.Code() {
	case codes.ResourceExhausted:
		code = http.StatusTooManyRequests
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
		code = http.StatusServiceUnavailable
	case codes.InvalidArgument:
		code = http.StatusBadRequest
	case codes.Unimplemented:
		code = http.StatusNotImplemented
	}
	return &httpError{code: code, st: st}
}

// readBody reads and decompresses at most limit bytes.
func readBody(body io.Reader, encoding string, limit int64) ([]byte, *httpError) {
	reader, done, failure := decompressor(body, encoding, limit)
	if failure != nil {
		return nil, failure
	}
	defer done()
	data, err := io.ReadAll(io.LimitReader(reader, limit+1))
	var large *http.MaxBytesError
	switch {
	case int64(len(data)) > limit, errors.As(err, &large), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, tooLarge(limit)
	case errors.Is(err, context.Canceled):
		return nil, httpFailure(status.FromContextError(err))
	case err != nil:
		return nil, refuse(http.StatusBadRequest, codes.InvalidArgument, "read body: %v", err)
	}
	return data, nil
}

func decompressor(body io.Reader, encoding string, limit int64) (io.Reader, func(), *httpError) {
	var err error
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, func() {}, nil
	case "gzip":
		var z *gzip.Reader
		if z, err = gzip.NewReader(body); err == nil {
			return z, func() { _ = z.Close() }, nil
		}
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(uint64(limit)+1)); err == nil {
			return z, z.Close, nil
		}
	default:
		return nil, nil, refuse(http.StatusUnsupportedMediaType, codes.InvalidArgument,
			"content encoding %q: use gzip, zstd or identity", encoding)
	}
	return nil, nil, refuse(http.StatusBadRequest, codes.InvalidArgument, "read body: %v", fmt.Errorf("%s: %w", encoding, err))
}
