// Package loadtest serves the control of load tests by jmeter.Controller, for
// a master of package jmeter/master.
//
// Give it to a grpc.Server that asks clients for certificates: who can call it
// can make it send requests to all targets that its master allows.
package loadtest
