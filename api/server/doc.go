// Package server serves Clover's visibility API: gRPC, and REST on top of it
// by grpc-gateway, with server-sent events for streams.
//
// [NewLocal] answers from a collector and its store in this process;
// [NewForwarder] passes every call on to another process. [Server] serves
// either.
//
// On addresses other than loopback a server needs TLS and an
// auth.Authenticator. Who calls is found out once, at the door that the
// request comes in by; what they may do is decided for each gRPC method, also
// for REST, by one table. See packages auth, certfile and kubeauth.
package server
