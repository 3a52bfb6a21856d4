// Package server serves Clover's visibility API: gRPC, and REST on top of it
// by grpc-gateway, with server-sent events for streams.
//
// [NewLocal] answers from a collector and its store in this process;
// [NewForwarder] passes every call on to another process. [Server] serves
// either.
package server
