package blocklist

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Defaults of a Policy.
const (
	DefaultFor        = 10 * time.Minute
	DefaultMaxEntries = 10_000
	DefaultMaxNearby  = 16
)

// Networks that count as near each other: addresses of one of them often
// belong to the same people.
const (
	nearby4 = 24
	nearby6 = 48
)

// Policy says which alerts keep their source out. The zero value blocks the
// single address behind each alert for ten minutes.
type Policy struct {
	// For is how long an alert keeps its source out. A further alert begins
	// the time anew. 0: DefaultFor; below 0: alerts do not block.
	For time.Duration
	// MaxPriority is the priority up to which alerts block, 1 being the most
	// severe. 0: every one.
	MaxPriority int
	// SignatureIDs block whatever their priority; given at all with
	// OnlySignatures, no others do.
	SignatureIDs   []uint32
	OnlySignatures bool
	// IgnoreSignatureIDs never block.
	IgnoreSignatureIDs []uint32
	// After is how many alerts a source is allowed before it is kept out,
	// within For. 0: the first alert blocks; 2: the third.
	After int
	// Never are networks that are not kept out.
	Never []netip.Prefix
	// Shared are addresses that many clients share, such as the gateway of a
	// NAT. Alerts do not block them unless BlockShared is set.
	Shared      []netip.Prefix
	BlockShared bool
	// MaxEntries bounds the entries. Alerts beyond it do not block. 0:
	// DefaultMaxEntries.
	MaxEntries int
	// MaxNearby bounds the addresses of one /24 (IPv6: /48) that alerts keep
	// out, so that forged sources cannot lock a whole network out. 0:
	// DefaultMaxNearby; below 0: no bound.
	MaxNearby int
	// DryRun records what would be kept out, and lets it through.
	DryRun bool
}

func (p Policy) withDefaults() (Policy, error) {
	if p.For == 0 {
		p.For = DefaultFor
	}
	if p.MaxEntries == 0 {
		p.MaxEntries = DefaultMaxEntries
	}
	if p.MaxNearby == 0 {
		p.MaxNearby = DefaultMaxNearby
	}
	if p.MaxEntries < 0 || p.MaxPriority < 0 || p.After < 0 {
		return p, fmt.Errorf("%w policy: MaxEntries %d, MaxPriority %d and After %d must not be below 0",
			ErrInvalid, p.MaxEntries, p.MaxPriority, p.After)
	}
	p.Never, p.Shared = slices.Clone(p.Never), slices.Clone(p.Shared)
	for _, list := range [][]netip.Prefix{p.Never, p.Shared} {
		for i := range list {
			var err error
			if list[i], err = clean(list[i]); err != nil {
				return p, fmt.Errorf("policy: %w", err)
			}
		}
	}
	return p, nil
}

// around returns the network of an address's neighbours.
func around(a netip.Addr) netip.Prefix {
	bits := nearby6
	if a.Is4() {
		bits = nearby4
	}
	return netip.PrefixFrom(a, bits).Masked()
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (p *Policy) never(a netip.Addr) bool { return contains(p.Never, a) }

// overlapsNever returns a network that is never kept out and that a network
// has addresses of.
func (p *Policy) overlapsNever(q netip.Prefix) netip.Prefix {
	for _, n := range p.Never {
		if n.Overlaps(q) {
			return n
		}
	}
	return netip.Prefix{}
}

// passes says why an alert does not block, "" if it may.
func (p *Policy) passes(a Alert) Reason {
	switch {
	case p.For < 0:
		return NotBlocking
	case slices.Contains(p.IgnoreSignatureIDs, a.SignatureID):
		return SignatureIgnored
	case slices.Contains(p.SignatureIDs, a.SignatureID):
	case p.OnlySignatures:
		return SignatureIgnored
	case p.MaxPriority > 0 && (a.Priority == 0 || a.Priority > p.MaxPriority):
		return PriorityTooLow
	}
	switch {
	case p.never(a.Source):
		return NeverBlocked
	case !p.BlockShared && contains(p.Shared, a.Source):
		return SharedAddress
	}
	return ""
}
