// Package agent serves the control of what it stands beside: a load balancer,
// proxy or web server by nginx.Controller ([Nginx]), an intrusion detection
// engine by snort.Controller ([Snort]).
//
// Give it to a grpc.Server that asks clients for certificates: who can call an
// agent can change all that it controls.
package agent
