// Package nginx drives a real nginx.
//
// A [Driver] owns a folder and the nginx that runs from it. Each change is a
// whole new configuration: built as a tree (package conf), so that no value
// of a user can become syntax; tested by "nginx -t"; put in place by a rename;
// taken over by a reload; and believed only when the workers themselves say
// so. If a step fails, the old configuration is put back, and the error has
// nginx's own words.
//
// # How the workers are asked
//
// Every configuration listens on a Unix socket of its own, its door, named by
// the number of the generation. When the new door answers, new workers run.
// When the old door refuses connections, no process accepts any that would be
// answered by the old configuration: the last worker that could has closed
// its sockets.
//
// # What a reload costs clients
//
// A reload lets requests under way end in the old workers, but closes
// keep-alive connections that are idle at that moment, and a request that is
// on its way just then is lost. How the driver keeps clients from that
// depends on the version of nginx:
//
//   - 1.27.4 and newer have keepalive_min_timeout: idle connections of old
//     workers stay open for [Options.KeepAlive] and close after their next
//     response. No request is lost. One on such a connection is answered by
//     the old configuration, so a change waits for [Options.DrainTime] after
//     the reload.
//   - Older ones are drained first: for DrainTime the old workers end each
//     connection after its next response, and only then comes the reload. If
//     DrainTime is at least KeepAlive, no connection can be idle by then and
//     nothing is lost; with less, only a connection that was idle for longer
//     than DrainTime can lose the request that crosses its end.
//
// [Driver.Describe] and each result say which of these holds.
package nginx
