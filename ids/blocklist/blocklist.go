// Package blocklist keeps clients out that an intrusion detection system has
// raised alerts about.
//
// A [Policy] says which alerts block, for how long, and whom never. A [List]
// holds who is kept out now; it answers for each request, forgets by itself
// what is over, and keeps its entries in a file over restarts.
package blocklist

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors of a List, to match with errors.Is.
var (
	// ErrNever: the address is one that the policy never blocks.
	ErrNever = errors.New("never blocked")
	// ErrFull: as many entries as may be are there.
	ErrFull = errors.New("the blocklist is full")
	// ErrNotFound: there is no such entry.
	ErrNotFound = errors.New("not in the blocklist")
	// ErrInvalid: what was asked for makes no sense.
	ErrInvalid = errors.New("invalid")
)

// Origin says who has made an entry.
type Origin string

// The origins of entries.
const (
	ByAlert  Origin = "alert"
	ByPerson Origin = "person"
)

// Entry is a network that is kept out; of alerts always a single address.
type Entry struct {
	Prefix netip.Prefix `json:"prefix"`
	Origin Origin       `json:"origin"`
	// Reason is for people: what the signature says, or why somebody asked.
	Reason string `json:"reason,omitempty"`
	// SignatureID is that of the newest alert; 0: none.
	SignatureID uint32 `json:"signature_id,omitempty"`
	// Alerts counts the alerts that came of it, LastAlert is the newest one's
	// identity.
	Alerts    int       `json:"alerts,omitempty"`
	LastAlert string    `json:"last_alert,omitempty"`
	Since     time.Time `json:"since"`
	// Until is when it is over; zero: never.
	Until time.Time `json:"until,omitzero"`
	// DryRun: it is only recorded that it would be kept out.
	DryRun bool `json:"dry_run,omitempty"`
}

// over reports whether an entry no longer counts.
func (e Entry) over(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// Options of a List. The zero value works.
type Options struct {
	// Path is the file that keeps the entries; its folder must be there.
	// "": they end with the process.
	Path string
	// Policy says what alerts do.
	Policy Policy
	// Logger hears of what could not be written. nil: silence.
	Logger *slog.Logger
	// Now tells the time. nil: time.Now.
	Now func() time.Time
}

// List is who is kept out. Methods may be called concurrently. It must be
// closed.
type List struct {
	policy Policy
	logger *slog.Logger
	now    func() time.Time

	mu      sync.RWMutex
	entries map[netip.Prefix]Entry
	// lengths counts the entries by family and prefix length, so that a
	// lookup tries only the lengths that are there.
	lengths map[length]int
	// nearby counts the entries of alerts by the network around them.
	nearby  map[netip.Prefix]int
	strikes strikes
	journal *journal // nil: entries are not kept
	stats   Stats
	// tidying is held while the journal is written anew; it is taken before mu.
	tidying sync.Mutex
}

// length is a family and a number of bits.
type length struct {
	is4  bool
	bits int
}

func lengthOf(p netip.Prefix) length { return length{p.Addr().Is4(), p.Bits()} }

// Open reads a list, or begins one.
func Open(o Options) (*List, error) {
	policy, err := o.Policy.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("blocklist: %w", err)
	}
	l := &List{
		policy: policy, logger: o.Logger, now: o.Now,
		entries: map[netip.Prefix]Entry{}, lengths: map[length]int{}, nearby: map[netip.Prefix]int{},
		strikes: newStrikes(policy.MaxEntries),
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	if o.Path == "" {
		return l, nil
	}
	kept, journal, err := openJournal(o.Path)
	if err != nil {
		return nil, fmt.Errorf("blocklist: %w", err)
	}
	now := l.now()
	for _, e := range kept {
		if !e.over(now) && !l.exempt(e) {
			e.DryRun = e.Origin == ByAlert && policy.DryRun
			l.set(e)
		}
	}
	l.journal = journal
	return l, nil
}

// exempt reports whether a policy that has changed lets an entry through. What
// a dry run has recorded never blocks.
func (l *List) exempt(e Entry) bool {
	return e.Origin == ByAlert && (l.policy.never(e.Prefix.Addr()) || e.DryRun && !l.policy.DryRun)
}

// Close writes the entries to the disk for good.
func (l *List) Close() error {
	l.tidying.Lock()
	defer l.tidying.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal == nil {
		return nil
	}
	l.expire()
	journal := l.journal
	l.journal = nil
	return errors.Join(journal.compact(l.sorted()), journal.close())
}

// Blocked reports whether requests of an address are refused.
func (l *List) Blocked(a netip.Addr) bool {
	e, ok := l.Lookup(a)
	return ok && !e.DryRun
}

// Lookup returns the entry that an address falls under: the narrowest that
// refuses, else the narrowest that only records. An invalid address is not
// blocked.
func (l *List) Lookup(a netip.Addr) (found Entry, ok bool) {
	a = a.Unmap().WithZone("")
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.entries) == 0 || !a.IsValid() {
		return Entry{}, false
	}
	now := l.now()
	for n := range l.lengths {
		if n.is4 != a.Is4() {
			continue
		}
		p, err := a.Prefix(n.bits)
		if err != nil {
			continue
		}
		e, there := l.entries[p]
		if there && !e.over(now) && (!ok || better(e, found)) {
			found, ok = e, true
		}
	}
	return found, ok
}

// better reports whether a is the entry to tell of, of two that match.
func better(a, b Entry) bool {
	if a.DryRun != b.DryRun {
		return b.DryRun
	}
	return a.Prefix.Bits() > b.Prefix.Bits()
}

// Entries returns what is kept out now, in the order of addresses.
func (l *List) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	return l.sorted()
}

func (l *List) sorted() []Entry {
	return slices.SortedFunc(maps.Values(l.entries), func(a, b Entry) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
}

// Add keeps a network out because somebody asks for it, for a while or with 0
// until it is removed. It replaces an entry for the same network.
func (l *List) Add(p netip.Prefix, reason string, d time.Duration) (Entry, error) {
	p, err := clean(p)
	if err != nil {
		return Entry{}, err
	}
	if d < 0 {
		return Entry{}, fmt.Errorf("%w: blocking %s for %s", ErrInvalid, p, d)
	}
	if n := l.policy.overlapsNever(p); n.IsValid() {
		return Entry{}, fmt.Errorf("%s: %w: it would lock out %s", p, ErrNever, n)
	}
	e, err := l.add(p, reason, d)
	return e, l.tidy(err)
}

func (l *List) add(p netip.Prefix, reason string, d time.Duration) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := Entry{Prefix: p, Origin: ByPerson, Reason: bounded(reason), Since: l.now()}
	if d > 0 {
		e.Until = e.Since.Add(d)
	}
	if before, there := l.entries[p]; there {
		e.Alerts, e.SignatureID = before.Alerts, before.SignatureID
	} else if !l.room() {
		return Entry{}, fmt.Errorf("%s: %w: %d entries", p, ErrFull, len(l.entries))
	}
	return e, l.put(e)
}

// maxReason bounds the words of an entry, in bytes.
const maxReason = 1 << 10

// bounded takes what is too long off a text.
func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// Remove lets a network through again. It removes the entry for exactly this
// network.
func (l *List) Remove(p netip.Prefix) error {
	p, err := clean(p)
	if err != nil {
		return err
	}
	return l.tidy(l.remove(p))
}

func (l *List) remove(p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	if _, there := l.entries[p]; !there {
		return fmt.Errorf("%s: %w", p, ErrNotFound)
	}
	l.drop(p)
	l.strikes.forget(p.Addr())
	return l.write(record{Removed: p})
}

// clean returns the network that a prefix lies in, IPv4 as such.
func clean(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("%w: not an address or a network", ErrInvalid)
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// ParsePrefix reads an address or a network.
func ParsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%w: %q is not an IP address or a network such as 192.0.2.0/24", ErrInvalid, text)
	}
	return clean(p)
}

// put stores an entry and writes it down. mu is held.
func (l *List) put(e Entry) error {
	l.set(e)
	return l.write(record{Entry: &e})
}

// set stores an entry. mu is held.
func (l *List) set(e Entry) {
	if _, there := l.entries[e.Prefix]; there {
		l.drop(e.Prefix)
	}
	l.entries[e.Prefix] = e
	l.lengths[lengthOf(e.Prefix)]++
	if e.Origin == ByAlert {
		l.nearby[around(e.Prefix.Addr())]++
	}
}

// drop removes an entry that is there. mu is held.
func (l *List) drop(p netip.Prefix) {
	e := l.entries[p]
	delete(l.entries, p)
	decrement(l.lengths, lengthOf(p))
	if e.Origin == ByAlert {
		decrement(l.nearby, around(p.Addr()))
	}
}

func decrement[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] == 0 {
		delete(counts, k)
	}
}

// expire removes what is over. mu is held.
func (l *List) expire() {
	now := l.now()
	for p, e := range l.entries {
		if e.over(now) {
			l.drop(p)
			l.stats.Expired++
		}
	}
}

// room reports whether one more entry fits. mu is held.
func (l *List) room() bool {
	if len(l.entries) >= l.policy.MaxEntries {
		l.expire()
	}
	return len(l.entries) < l.policy.MaxEntries
}
