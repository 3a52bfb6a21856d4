package blocklist

import (
	"fmt"
	"net/netip"
	"time"
)

// Alert is what a List needs to know of an alert.
type Alert struct {
	// ID tells alerts apart, so that one that is told again counts once. "":
	// each counts.
	ID string
	// Time is when it was raised, which the block lasts from. Zero, or in the
	// future: now.
	Time        time.Time
	Source      netip.Addr
	SignatureID uint32
	// Signature is what the signature says, for people.
	Signature string
	// Priority is that of the signature, 1 being the most severe; 0: unknown.
	Priority int
}

// Reason says why an alert did not block.
type Reason string

// Reasons of verdicts.
const (
	NotBlocking      Reason = "alerts do not block here"
	SignatureIgnored Reason = "its signature does not block"
	PriorityTooLow   Reason = "its priority is too low to block"
	NeverBlocked     Reason = "its source is never blocked"
	SharedAddress    Reason = "its source is shared by many clients"
	TooFewAlerts     Reason = "its source has not raised enough alerts yet"
	TooManyNearby    Reason = "too many addresses near its source are blocked"
	ListFull         Reason = "the blocklist is full"
	TooOld           Reason = "it is older than a block lasts"
	Recorded         Reason = "recorded only: the policy is a dry run"
	NoSource         Reason = "it has no usable source address"
)

// Verdict is what came of an alert.
type Verdict struct {
	// Blocked: the source is kept out.
	Blocked bool
	// New: it was not, before.
	New bool
	// Entry is the one for the source, if there is one.
	Entry Entry
	// Reason says why it is not blocked; "" if it is.
	Reason Reason
}

// String says it to people.
func (v Verdict) String() string {
	switch {
	case !v.Blocked:
		return "not blocked: " + string(v.Reason)
	case v.Entry.Until.IsZero():
		return fmt.Sprintf("blocked %s", v.Entry.Prefix.Addr())
	default:
		return fmt.Sprintf("blocked %s until %s", v.Entry.Prefix.Addr(), v.Entry.Until.UTC().Format(time.RFC3339))
	}
}

// Stats is the ledger of alerts: Alerts is the sum of Blocked and of all that
// NotBlocked counts.
type Stats struct {
	Alerts     uint64
	Blocked    uint64
	NotBlocked map[Reason]uint64
	// Expired counts the entries that were over.
	Expired uint64
}

// Stats returns the ledger.
func (l *List) Stats() Stats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.stats
	s.NotBlocked = make(map[Reason]uint64, len(l.stats.NotBlocked))
	for reason, n := range l.stats.NotBlocked {
		s.NotBlocked[reason] = n
	}
	return s
}

// Alert judges an alert by the policy. The same alert may come again: it
// prolongs the block. The verdict is in force when Alert returns.
func (l *List) Alert(a Alert) Verdict {
	a.Source = a.Source.Unmap().WithZone("")
	v, err := l.count(a)
	if err := l.tidy(err); err != nil {
		l.logger.Error("blocklist: "+v.Entry.Prefix.String(), "error", err)
	}
	return v
}

// count judges an alert and counts the verdict. The error is that of writing
// it down.
func (l *List) count(a Alert) (Verdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, err := l.judge(a)
	l.stats.Alerts++
	if v.Blocked {
		l.stats.Blocked++
		return v, err
	}
	if l.stats.NotBlocked == nil {
		l.stats.NotBlocked = map[Reason]uint64{}
	}
	l.stats.NotBlocked[v.Reason]++
	return v, err
}

// judge decides and acts. mu is held.
func (l *List) judge(a Alert) (Verdict, error) {
	if !a.Source.IsValid() || a.Source.IsUnspecified() {
		return Verdict{Reason: NoSource}, nil
	}
	if reason := l.policy.passes(a); reason != "" {
		return Verdict{Reason: reason}, nil
	}
	now := l.now()
	from := now
	if !a.Time.IsZero() && a.Time.Before(now) {
		from = a.Time
	}
	if now.Sub(from) >= l.policy.For {
		return Verdict{Reason: TooOld}, nil
	}
	p := netip.PrefixFrom(a.Source, a.Source.BitLen())
	e, there := l.entries[p]
	if there && e.over(now) {
		l.drop(p)
		l.stats.Expired++
		there, e = false, Entry{}
	}
	if !there {
		if reason := l.mayBegin(a, now); reason != "" {
			return Verdict{Reason: reason}, nil
		}
		e = Entry{Prefix: p, Origin: ByAlert, Since: now, DryRun: l.policy.DryRun}
	}
	return l.prolong(e, a, from, !there)
}

// mayBegin says why a source that is not kept out stays so. mu is held.
func (l *List) mayBegin(a Alert, now time.Time) Reason {
	switch {
	case l.strikes.count(a, now, l.policy.For) <= l.policy.After:
		return TooFewAlerts
	case !l.room():
		return ListFull
	case !l.roomNear(a.Source):
		return TooManyNearby
	}
	return ""
}

// prolong counts an alert to an entry and begins its time anew. mu is held.
func (l *List) prolong(e Entry, a Alert, from time.Time, isNew bool) (Verdict, error) {
	if a.ID == "" || a.ID != e.LastAlert {
		e.Alerts++
	}
	e.SignatureID, e.LastAlert = a.SignatureID, bounded(a.ID)
	if until := from.Add(l.policy.For); e.Origin == ByAlert && until.After(e.Until) {
		e.Reason, e.Until = bounded(a.Signature), until
	}
	err := l.put(e)
	if e.DryRun {
		return Verdict{Entry: e, Reason: Recorded, New: isNew}, err
	}
	return Verdict{Blocked: true, New: isNew, Entry: e}, err
}

// roomNear reports whether one more address of a neighbourhood may be kept
// out. mu is held.
func (l *List) roomNear(a netip.Addr) bool {
	bound := l.policy.MaxNearby
	if bound > 0 && l.nearby[around(a)] >= bound {
		l.expire()
	}
	return bound < 0 || l.nearby[around(a)] < bound
}
