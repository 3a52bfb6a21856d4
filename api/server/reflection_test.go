package server_test

import (
	"testing"

	"google.golang.org/grpc"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

type reflectionStream = grpc.BidiStreamingClient[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]

func reflect(t *testing.T, stream reflectionStream, req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
	t.Helper()
	check(t, stream.Send(req))
	res, err := stream.Recv()
	check(t, err)
	return res
}

// services lists the services of a server.
func services(t *testing.T, stream reflectionStream) (names []string) {
	t.Helper()
	res := reflect(t, stream, &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	for _, s := range res.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names
}

// methodsOf lists the methods of a service.
func methodsOf(t *testing.T, stream reflectionStream, service string) []*descriptorpb.MethodDescriptorProto {
	t.Helper()
	res := reflect(t, stream, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	for _, raw := range res.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		check(t, proto.Unmarshal(raw, &file))
		for _, s := range file.GetService() {
			if file.GetPackage()+"."+s.GetName() == service {
				return s.GetMethod()
			}
		}
	}
	t.Fatalf("%s is not described", service)
	return nil
}
