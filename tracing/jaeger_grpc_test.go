package tracing

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// grpcServer serves every method with answer, which gets the request and
// sends what it likes.
func grpcServer(t *testing.T, creds credentials.TransportCredentials, answer func(method string, stream grpc.ServerStream) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(wireCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			return answer(strings.TrimPrefix(method, jaegerService), stream)
		}),
	}
	if creds != nil {
		options = append(options, grpc.Creds(creds))
	}
	server := grpc.NewServer(options...)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestJaegerGRPCErrors(t *testing.T) {
	web := strings.TrimPrefix(answering(t, 200, "text/html", "<html>"), "http://")
	for _, test := range []struct {
		name string
		err  error
		kind ErrorKind
		is   error
	}{
		{"storage", errors.New("disk is on fire"), ErrorTemporary, nil},
		{"token", status.Error(codes.Unauthenticated, "no"), ErrorPermanent, errRefused},
		{"rights", status.Error(codes.PermissionDenied, "no"), ErrorPermanent, errRefused},
		{"old", status.Error(codes.Unimplemented, "no"), ErrorUnsupported, nil},
		{"down", status.Error(codes.Unavailable, "no"), ErrorTemporary, errUnreachable},
		{"depth", errors.New(jaegerDepthMessage + " less"), ErrorInvalid, errDepth},
		{"query", status.Error(codes.InvalidArgument, "no"), ErrorInvalid, nil},
	} {
		addr := grpcServer(t, nil, func(string, grpc.ServerStream) error { return test.err })
		j := newTestJaeger(t, JaegerOptions{GRPCAddr: addr, Protocol: JaegerAPIv3GRPC})
		_, err := j.Services(t.Context())
		if Classify(err) != test.kind || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %s: %v", test.name, Classify(err), err)
		}
		_, err = j.Trace(t.Context(), TraceID{1})
		if Classify(err) != test.kind {
			t.Errorf("%s in a stream: %s: %v", test.name, Classify(err), err)
		}
	}
	addr := grpcServer(t, nil, func(string, grpc.ServerStream) error { return status.Error(codes.NotFound, "trace not found") })
	j := newTestJaeger(t, JaegerOptions{GRPCAddr: addr})
	if _, err := j.api(JaegerAPIv3GRPC).services(t.Context()); !errors.Is(err, ErrInvalid) {
		t.Errorf("not found: %v", err)
	}
	j = newTestJaeger(t, JaegerOptions{GRPCAddr: web})
	if _, err := j.Services(t.Context()); err == nil {
		t.Error("took a web page for gRPC")
	}
	addr = grpcServer(t, nil, func(_ string, stream grpc.ServerStream) error {
		garbage := []byte{0xff}
		return stream.SendMsg(&garbage)
	})
	j = newTestJaeger(t, JaegerOptions{GRPCAddr: addr, Protocol: JaegerAPIv3GRPC})
	if _, err := j.Services(t.Context()); !errors.Is(err, ErrPermanent) {
		t.Errorf("garbage: %v", err)
	}
	if _, err := j.Trace(t.Context(), TraceID{1}); !errors.Is(err, ErrPermanent) {
		t.Errorf("garbage in a stream: %v", err)
	}
}

func TestJaegerGRPCAnswerTooLarge(t *testing.T) {
	trace := &tracepb.TracesData{ResourceSpans: ToOTLP(shopTraces(1, func(int) time.Time { return fakeEpoch }))}
	chunk, err := proto.Marshal(trace)
	if err != nil {
		t.Fatal(err)
	}
	addr := grpcServer(t, nil, func(_ string, stream grpc.ServerStream) error {
		for range 100 {
			if err := stream.SendMsg(&chunk); err != nil {
				return err
			}
		}
		return nil
	})
	for _, limit := range []int64{int64(len(chunk)) - 1, 10 * int64(len(chunk))} {
		j := newTestJaeger(t, JaegerOptions{GRPCAddr: addr, Protocol: JaegerAPIv3GRPC, MaxResponseBytes: limit})
		if _, err := j.Trace(t.Context(), TraceID{1}); !errors.Is(err, errTooLarge) || !errors.Is(err, ErrPermanent) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestJaegerGRPCCredentials(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.StartTLS() // for its certificate
	defer web.Close()
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	creds := credentials.NewTLS(&tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"h2"}})
	addr := grpcServer(t, creds, func(_ string, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		if strings.Join(md["authorization"], ",") != "Bearer hush" || strings.Join(md["x-tenant"], ",") != "acme" {
			return status.Error(codes.Unauthenticated, "who?")
		}
		answer := appendText(appendText(nil, 1, "b"), 1, "a")
		return stream.SendMsg(&answer)
	})
	o := JaegerOptions{URL: "grpcs://" + addr, TLS: JaegerTLS{CAFile: caFile}, BearerToken: "hush", Headers: map[string]string{"X-Tenant": "acme"}}
	services, err := newTestJaeger(t, o).Services(t.Context())
	if err != nil || strings.Join(services, ",") != "a,b" {
		t.Errorf("%v, %v", services, err)
	}
	wrong := o
	wrong.BearerToken = "guess"
	if _, err := newTestJaeger(t, wrong).Services(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("wrong token: %v", err)
	}
	wrong = o
	wrong.TLS = JaegerTLS{}
	if _, err := newTestJaeger(t, wrong).Services(t.Context()); !errors.Is(err, ErrPermanent) {
		t.Errorf("unknown CA: %v", err)
	}
}

// findTracesMessage describes FindTracesRequest's query as Jaeger's
// specification has it.
func findTracesMessage(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, typeName string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if typeName != "" {
			f.TypeName = &typeName
		}
		return f
	}
	const (
		text    = descriptorpb.FieldDescriptorProto_TYPE_STRING
		message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	attributes := field("attributes", 3, message, ".Query.AttributesEntry")
	attributes.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("query.proto"), Syntax: proto.String("proto3"),
		Dependency: []string{timestamppb.File_google_protobuf_timestamp_proto.Path(), durationpb.File_google_protobuf_duration_proto.Path()},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Query"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field("service_name", 1, text, ""), field("operation_name", 2, text, ""), attributes,
				field("start_time_min", 4, message, ".google.protobuf.Timestamp"), field("start_time_max", 5, message, ".google.protobuf.Timestamp"),
				field("duration_min", 6, message, ".google.protobuf.Duration"), field("duration_max", 7, message, ".google.protobuf.Duration"),
				field("search_depth", 8, descriptorpb.FieldDescriptorProto_TYPE_INT32, ""), field("raw_traces", 9, descriptorpb.FieldDescriptorProto_TYPE_BOOL, ""),
			},
			NestedType: []*descriptorpb.DescriptorProto{{
				Name:    proto.String("AttributesEntry"),
				Field:   []*descriptorpb.FieldDescriptorProto{field("key", 1, text, ""), field("value", 2, text, "")},
				Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
			}},
		}, {
			Name:  proto.String("FindTracesRequest"),
			Field: []*descriptorpb.FieldDescriptorProto{field("query", 1, message, ".Query")},
		}},
	}, fileResolver{timestamppb.File_google_protobuf_timestamp_proto, durationpb.File_google_protobuf_duration_proto})
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("FindTracesRequest")
}

type fileResolver []protoreflect.FileDescriptor

func (r fileResolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	for _, file := range r {
		if file.Path() == path {
			return file, nil
		}
	}
	return nil, os.ErrNotExist
}

func (r fileResolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for _, file := range r {
		if d := file.Messages().ByName(name.Name()); d != nil && d.FullName() == name {
			return d, nil
		}
	}
	return nil, os.ErrNotExist
}

// TestJaegerWireRequest has protobuf itself read what encodeFindTraces wrote.
func TestJaegerWireRequest(t *testing.T) {
	q := jaegerQuery{limit: 300, SearchQuery: SearchQuery{
		Service: "shop", Operation: "GET", Tags: map[string]string{"a": "1", "b": ""},
		From: time.Unix(1795468080, 123456789), To: time.Unix(1795468081, 0),
		MinDuration: 1500 * time.Millisecond, MaxDuration: time.Hour,
	}}
	got := dynamicpb.NewMessage(findTracesMessage(t))
	if err := proto.Unmarshal(encodeFindTraces(q), got); err != nil {
		t.Fatal(err)
	}
	query := got.Get(got.Descriptor().Fields().ByName("query")).Message()
	if len(query.GetUnknown()) > 0 || len(got.GetUnknown()) > 0 {
		t.Error("unknown fields")
	}
	value := func(name string) protoreflect.Value {
		return query.Get(query.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	part := func(name, part string) int64 {
		m := value(name).Message()
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(part))).Int()
	}
	tags := value("attributes").Map()
	for name, ok := range map[string]bool{
		"service":   value("service_name").String() == "shop",
		"operation": value("operation_name").String() == "GET",
		"tags":      tags.Len() == 2 && tags.Get(protoreflect.ValueOfString("a").MapKey()).String() == "1",
		"from":      part("start_time_min", "seconds") == 1795468080 && part("start_time_min", "nanos") == 123456789,
		"to":        part("start_time_max", "seconds") == 1795468081 && part("start_time_max", "nanos") == 0,
		"min":       part("duration_min", "seconds") == 1 && part("duration_min", "nanos") == 500000000,
		"max":       part("duration_max", "seconds") == 3600,
		"limit":     value("search_depth").Int() == 300,
		"raw":       value("raw_traces").Bool(),
	} {
		if !ok {
			t.Errorf("%s is wrong in %v", name, got)
		}
	}
}

func FuzzJaegerWire(f *testing.F) {
	f.Add(appendText(nil, 1, "shop"))
	f.Add(appendMessage(nil, 1, appendText(appendText(nil, 1, "GET"), 2, "server")))
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if services, err := decodeServices(b); err != nil && len(services) > len(b) {
			t.Errorf("%d services of %d bytes", len(services), len(b))
		}
		if operations, err := decodeOperations(b); err != nil && len(operations) > len(b) {
			t.Errorf("%d operations of %d bytes", len(operations), len(b))
		}
	})
}
