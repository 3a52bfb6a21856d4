// Package proxy is Clover's own reverse proxy, on the standard library alone:
// HTTP/1.1, HTTP/2 with and without TLS, gRPC and WebSocket, changed in memory
// while requests run.
//
// A [Proxy] is a [loadbalancer.Driver] with listeners of its own while
// [Proxy.Run] runs, and an [net/http.Handler] for programs that listen
// themselves.
//
// # Changes
//
// A configuration is compiled into a value that never changes, and Apply
// replaces one such value by the next in one step. A request keeps the one it
// began with. So no request fails because of a change, and the change is in
// effect when Apply returns. What is known of servers (requests under way,
// failures, health) lives on for as long as a group keeps their address.
//
// # Requests
//
// A request for which no route is found gets 404, one from a client that is
// not let in 403. 503 says that no server can take it (all are down or full),
// 502 that the server's connection failed, 504 that its answer did not come in
// time. A request is sent to another server only as long as none can have
// begun to act on it, or if it is idempotent and has no body. CONNECT gets 405.
//
// Each piece of a response has a minute to come from the server and to go to a
// client of a listener. Then both connections end, of HTTP/2 the stream. Streams
// of gRPC and WebSockets may be silent.
//
// # Three ways
//
// Speed comes from doing less for requests that need less. A plain GET or HEAD
// on a connection without TLS is read and passed on as the bytes that it came
// in (rawConn). GET, HEAD and OPTIONS without a body that came through
// net/http skip http.Transport (sendQuick). All else, with bodies, upgrades,
// HTTP/2 to servers or trailers, goes through httputil.ReverseProxy. What a
// parser could understand in more than one way always goes to net/http, but
// for a Content-Length beside Transfer-Encoding, which gets 400. On a connection
// that net/http has already, it reads the chunks, and no length is passed on.
package proxy
