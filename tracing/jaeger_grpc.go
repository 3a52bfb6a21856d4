package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const jaegerService = "/jaeger.api_v3.QueryService/"

// jaegerGRPC is api_v3 over gRPC. The answers' spans are OTLP's own messages;
// what little else there is, jaeger_wire.go reads and writes, since Jaeger's
// generated code needs the retired gogo/protobuf.
type jaegerGRPC struct {
	conn     *grpc.ClientConn
	addr     string
	auth     jaegerAuth
	timeout  time.Duration
	maxBytes int64
}

func newJaegerGRPC(addr string, tlsConfig *tls.Config, auth jaegerAuth, o JaegerOptions) (*jaegerGRPC, error) {
	creds := insecure.NewCredentials()
	if tlsConfig != nil {
		creds = credentials.NewTLS(tlsConfig)
	}
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(wireCodec{}),
			grpc.MaxCallRecvMsgSize(int(min(o.MaxResponseBytes, math.MaxInt32))),
		))
	if err != nil {
		return nil, err
	}
	return &jaegerGRPC{conn: conn, addr: addr, auth: auth, timeout: o.Timeout, maxBytes: o.MaxResponseBytes}, nil
}

// wireCodec passes messages through: requests are encoded already, answers
// are decoded by whoever asked.
type wireCodec struct{}

func (wireCodec) Name() string { return "proto" }

func (wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	body, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*body)}, nil
}

func (wireCodec) Unmarshal(data mem.BufferSlice, v any) error {
	body, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive a %T", v)
	}
	*body = data.Materialize()
	return nil
}

// context adds the headers and the time limit to a call's context.
func (j *jaegerGRPC) context(ctx context.Context) (context.Context, context.CancelFunc, error) {
	headers := metadata.MD{}
	if err := j.auth.apply(func(name, value string) { headers.Set(name, value) }); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, headers), j.timeout)
	return ctx, cancel, nil
}

// unary calls a method that has one answer.
func (j *jaegerGRPC) unary(ctx context.Context, op, method string, request []byte, decode func([]byte) error) error {
	ctx, cancel, err := j.context(ctx)
	if err != nil {
		return j.fail(op, ErrorInvalid, err)
	}
	defer cancel()
	var answer []byte
	if err := j.conn.Invoke(ctx, jaegerService+method, &request, &answer); err != nil {
		return j.failed(op, err)
	}
	if err := decode(answer); err != nil {
		return j.fail(op, ErrorPermanent, err)
	}
	return nil
}

// traces calls a method that answers with a stream of TracesData.
func (j *jaegerGRPC) traces(ctx context.Context, op, method string, request []byte, into *jaegerAnswer) error {
	ctx, cancel, err := j.context(ctx)
	if err != nil {
		return j.fail(op, ErrorInvalid, err)
	}
	defer cancel() // ends the stream when its end was not reached
	stream, err := j.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, jaegerService+method)
	if err != nil {
		return j.failed(op, err)
	}
	// After an error in sending, RecvMsg says why.
	if err := stream.SendMsg(&request); err != nil && !errors.Is(err, io.EOF) {
		return j.failed(op, err)
	}
	if err := stream.CloseSend(); err != nil {
		return j.failed(op, err)
	}
	for left := j.maxBytes; ; {
		var chunk []byte
		switch err := stream.RecvMsg(&chunk); {
		case errors.Is(err, io.EOF):
			return nil
		case isNotFound(err):
			return nil
		case err != nil:
			return j.failed(op, err)
		}
		if left -= int64(len(chunk)); left < 0 {
			return j.fail(op, ErrorPermanent, errTooLarge)
		}
		var data tracepb.TracesData
		if err := proto.Unmarshal(chunk, &data); err != nil {
			return j.fail(op, ErrorPermanent, err)
		}
		into.addOTLP(data.ResourceSpans)
	}
}

// isNotFound recognises that Jaeger does not have a trace; for some storages
// it says so by the text only.
func isNotFound(err error) bool {
	st, ok := status.FromError(err)
	return ok && (st.Code() == codes.NotFound || st.Code() == codes.Unknown && st.Message() == "trace not found")
}

func (j *jaegerGRPC) fail(op string, kind ErrorKind, err error) error {
	return &Error{Op: op, Target: j.addr, Kind: kind, Err: err}
}

// failed classifies an error of gRPC. Jaeger answers Unknown when its storage
// fails; gRPC answers Unavailable for certificates that are not trusted, too.
func (j *jaegerGRPC) failed(op string, err error) error {
	st := status.Convert(err)
	kind := KindOfCode(st.Code())
	switch message := st.Message(); st.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		return j.fail(op, ErrorPermanent, fmt.Errorf("%w: %w", errRefused, err))
	case codes.ResourceExhausted:
		if strings.Contains(message, "larger than max") {
			return j.fail(op, ErrorPermanent, fmt.Errorf("%w: %w", errTooLarge, err))
		}
	case codes.Unavailable:
		if strings.Contains(message, "x509:") || strings.Contains(message, "tls:") {
			kind = ErrorPermanent
		}
		return j.fail(op, kind, fmt.Errorf("%w: %w", errUnreachable, err))
	case codes.Unknown, codes.Internal:
		kind = ErrorTemporary
		if strings.Contains(message, jaegerDepthMessage) {
			return j.fail(op, ErrorInvalid, fmt.Errorf("%w: %w", errDepth, err))
		}
		if strings.Contains(message, "unexpected HTTP status code") || strings.Contains(message, "content-type") {
			kind = ErrorUnsupported
		}
	case codes.Canceled:
		kind = Classify(context.Canceled)
		err = errors.Join(context.Canceled, err)
	}
	return j.fail(op, kind, err)
}

func (j *jaegerGRPC) services(ctx context.Context) (list []string, err error) {
	err = j.unary(ctx, "list services", "GetServices", nil, func(answer []byte) error {
		list, err = decodeServices(answer)
		return err
	})
	return list, err
}

func (j *jaegerGRPC) operations(ctx context.Context, service string) (list []Operation, err error) {
	err = j.unary(ctx, "list operations", "GetOperations", encodeGetOperations(service), func(answer []byte) error {
		list, err = decodeOperations(answer)
		return err
	})
	return list, err
}

func (j *jaegerGRPC) trace(ctx context.Context, id TraceID, into *jaegerAnswer) error {
	return j.traces(ctx, "read trace", "GetTrace", encodeGetTrace(id), into)
}

func (j *jaegerGRPC) search(ctx context.Context, q jaegerQuery, into *jaegerAnswer) error {
	return j.traces(ctx, opSearch, "FindTraces", encodeFindTraces(q), into)
}
