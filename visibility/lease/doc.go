// Package lease shares work among processes that have a store in common, such
// as the services of a source among collectors.
//
// Each member of a [Group] renews its lease in one small state of the store.
// The work is divided among those whose leases hold by rendezvous hashing
// (Thaler and Ravishankar, 1998): each piece belongs to exactly one of them,
// all of them agree on which without talking about it, and when a member comes
// or goes only its own share moves.
//
// A lease is for dividing work, not for keeping others out: for the moments in
// which members have different views, a piece has two owners or none. What
// they do has to bear that, as collecting does: a span is counted once however
// often it is read, and a watermark is stored together with the spans before
// it.
package lease
