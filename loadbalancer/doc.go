// Package loadbalancer describes load balancers as plain values and changes
// them while they run.
//
// A [Config] is the whole of what a load balancer does: where it listens,
// which servers it has in which groups, how it chooses one, which path goes
// where, what is copied to whom, and who is let in. [Config.Validate] checks
// it, [Diff] compares two. The files that users of Clover have (lbv2.yaml,
// server.yaml, the fields of the proxy) are changes of a Config: see
// [ReadBalancer], [ReadServer] and [ReadProxy].
//
// A [Driver] makes something real do what a Config says. The folders below
// hold the drivers: proxy is Clover's own reverse proxy, nginx and envoy
// drive those programs. All pass the suite in drivertest, and say by
// [Description] what they cannot do and what a change costs their clients.
//
// An [Agent] stands before a Driver: it numbers the changes, refuses those
// that are based on an old version, shows what a change would do, keeps a
// history, undoes, and comes back with the last configuration after a
// restart.
//
// # Errors
//
// Faults of a configuration are [*FieldError] and match [ErrInvalid], several
// are joined. What a driver cannot do is an [*UnsupportedError], a change
// based on an old version a [*ConflictError], and a program that refuses a
// change an [*ApplyError] with the program's own words. After any error of
// Apply, what was in effect before still is.
package loadbalancer
