// Package idsbench measures package ids beside gonids, a rule parser for Go.
// It is a module of its own, so that nothing else depends on gonids.
package idsbench
