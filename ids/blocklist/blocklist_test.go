package blocklist_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/ids/blocklist"
)

// clock is a time that only the test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func open(t *testing.T, path string, p blocklist.Policy) (*blocklist.List, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	return openAt(t, path, p, c), c
}

func openAt(t *testing.T, path string, p blocklist.Policy, c *clock) *blocklist.List {
	t.Helper()
	l, err := blocklist.Open(blocklist.Options{Path: path, Policy: p, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		p, err := blocklist.ParsePrefix(text)
		if err != nil {
			panic(err)
		}
		list = append(list, p)
	}
	return list
}

func from(text string) blocklist.Alert {
	return blocklist.Alert{Source: addr(text), SignatureID: 7, Signature: "a scan", Priority: 2}
}

func TestAlertBlocksOneAddressForAWhile(t *testing.T) {
	l, c := open(t, "", blocklist.Policy{})
	v := l.Alert(from("::ffff:192.0.2.1"))
	if !v.Blocked || !v.New || v.String() != "blocked 192.0.2.1 until 2026-11-01T12:10:00Z" {
		t.Fatalf("%+v: %s", v, v)
	}
	for text, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.2": false, "::1": false,
	} {
		if got := l.Blocked(addr(text)); got != want {
			t.Errorf("%s blocked: %v", text, got)
		}
	}
	c.Time = c.Add(9 * time.Minute)
	if v := l.Alert(from("192.0.2.1")); !v.Blocked || v.New || v.Entry.Alerts != 2 {
		t.Errorf("again: %+v", v)
	}
	c.Time = c.Add(10*time.Minute - 1)
	if !l.Blocked(addr("192.0.2.1")) {
		t.Error("a further alert did not prolong the block")
	}
	c.Time = c.Add(1)
	if l.Blocked(addr("192.0.2.1")) || len(l.Entries()) != 0 {
		t.Error("still blocked when it is over")
	}
	if s := l.Stats(); s.Alerts != 2 || s.Blocked != 2 || s.Expired != 1 {
		t.Errorf("ledger: %+v", s)
	}
}

func TestPolicy(t *testing.T) {
	low := from("192.0.2.1")
	low.Priority = 3
	for name, test := range map[string]struct {
		policy blocklist.Policy
		alert  blocklist.Alert
		want   blocklist.Reason
	}{
		"no source":              {alert: blocklist.Alert{}, want: blocklist.NoSource},
		"unspecified source":     {alert: from("0.0.0.0"), want: blocklist.NoSource},
		"turned off":             {blocklist.Policy{For: -1}, low, blocklist.NotBlocking},
		"severe enough":          {blocklist.Policy{MaxPriority: 3}, low, ""},
		"not severe enough":      {blocklist.Policy{MaxPriority: 2}, low, blocklist.PriorityTooLow},
		"unknown priority":       {blocklist.Policy{MaxPriority: 2}, blocklist.Alert{Source: addr("192.0.2.1")}, blocklist.PriorityTooLow},
		"signature named":        {blocklist.Policy{MaxPriority: 2, SignatureIDs: []uint32{7}}, low, ""},
		"only others":            {blocklist.Policy{OnlySignatures: true, SignatureIDs: []uint32{8}}, low, blocklist.SignatureIgnored},
		"signature ignored":      {blocklist.Policy{SignatureIDs: []uint32{7}, IgnoreSignatureIDs: []uint32{7}}, low, blocklist.SignatureIgnored},
		"never":                  {blocklist.Policy{Never: prefixes("192.0.2.0/24")}, low, blocklist.NeverBlocked},
		"never, as IPv6 has it":  {blocklist.Policy{Never: []netip.Prefix{netip.MustParsePrefix("::ffff:192.0.2.0/120")}}, low, blocklist.NeverBlocked},
		"behind a NAT":           {blocklist.Policy{Shared: prefixes("192.0.2.1")}, low, blocklist.SharedAddress},
		"behind a NAT and asked": {blocklist.Policy{Shared: prefixes("192.0.2.1"), BlockShared: true}, low, ""},
		"dry run":                {blocklist.Policy{DryRun: true}, low, blocklist.Recorded},
		"first of three":         {blocklist.Policy{After: 2}, low, blocklist.TooFewAlerts},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := open(t, "", test.policy)
			v := l.Alert(test.alert)
			if v.Reason != test.want || v.Blocked != (test.want == "") || v.Blocked != l.Blocked(test.alert.Source) {
				t.Errorf("%+v", v)
			}
			s := l.Stats()
			if s.Alerts != 1 || s.Alerts != s.Blocked+s.NotBlocked[test.want] {
				t.Errorf("ledger: %+v", s)
			}
		})
	}
}

func TestDryRunRecords(t *testing.T) {
	l, _ := open(t, "", blocklist.Policy{DryRun: true})
	l.Alert(from("192.0.2.1"))
	e, ok := l.Lookup(addr("192.0.2.1"))
	if !ok || !e.DryRun || l.Blocked(addr("192.0.2.1")) {
		t.Errorf("%+v, %v", e, ok)
	}
	if _, err := l.Add(prefixes("192.0.2.0/24")[0], "by hand", 0); err != nil {
		t.Fatal(err)
	}
	if e, _ := l.Lookup(addr("192.0.2.1")); e.DryRun || !l.Blocked(addr("192.0.2.1")) {
		t.Errorf("what a person asks for is no dry run: %+v", e)
	}
}

// TestDryRunOverRestarts: what was recorded begins anew when the policy blocks,
// and what was blocked is only recorded when it does not any more.
func TestDryRunOverRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	recorded, c := open(t, path, blocklist.Policy{DryRun: true})
	recorded.Alert(from("192.0.2.1"))
	real := openAt(t, path, blocklist.Policy{}, c)
	if real.Blocked(addr("192.0.2.1")) || len(real.Entries()) != 0 {
		t.Error("what was only recorded blocks")
	}
	if v := real.Alert(from("192.0.2.1")); !v.Blocked || !real.Blocked(addr("192.0.2.1")) {
		t.Errorf("%+v", v)
	}
	dry := openAt(t, path, blocklist.Policy{DryRun: true}, c)
	if dry.Blocked(addr("192.0.2.1")) || len(dry.Entries()) != 1 {
		t.Errorf("a dry run blocks: %+v", dry.Entries())
	}
}

func TestAfterSeveralAlerts(t *testing.T) {
	l, c := open(t, "", blocklist.Policy{After: 2, For: time.Minute})
	l.Alert(from("192.0.2.1"))
	l.Alert(from("192.0.2.1"))
	c.Time = c.Add(time.Minute)
	for i, want := range []bool{false, false, true} {
		if v := l.Alert(from("192.0.2.1")); v.Blocked != want {
			t.Errorf("alert %d: %+v", i+1, v)
		}
	}
}

// TestAlertsThatComeLateOrAgain: delivery is at least once, and may have waited.
func TestAlertsThatComeLateOrAgain(t *testing.T) {
	l, c := open(t, "", blocklist.Policy{After: 1, For: time.Minute})
	again := from("192.0.2.1")
	again.ID = "one"
	for range 3 {
		if v := l.Alert(again); v.Blocked {
			t.Fatal("one alert that is told again counts as several")
		}
	}
	again.ID, again.Time = "two", c.Add(-20*time.Second)
	for range 2 {
		if v := l.Alert(again); !v.Blocked || v.Entry.Alerts != 1 || !v.Entry.Until.Equal(c.Add(40*time.Second)) {
			t.Errorf("%+v", v)
		}
	}
	old := from("192.0.2.2")
	old.Time = c.Add(-time.Minute)
	if v := l.Alert(old); v.Blocked || v.Reason != blocklist.TooOld {
		t.Errorf("an alert that waited for too long: %+v", v)
	}
}

// TestForgedSourcesDoNotLockOutANetwork: who can forge sources gets no more
// than MaxNearby addresses of a network kept out, and MaxEntries in all.
func TestForgedSourcesDoNotLockOutANetwork(t *testing.T) {
	l, c := open(t, "", blocklist.Policy{MaxNearby: 3, MaxEntries: 5})
	blocked := func(format string) (n int) {
		for i := range 10 {
			if l.Alert(from(fmt.Sprintf(format, i+1))).Blocked {
				n++
			}
		}
		return n
	}
	if n := blocked("192.0.2.%d"); n != 3 {
		t.Errorf("%d of one /24", n)
	}
	if n := blocked("2001:db8:0:%d::1"); n != 2 {
		t.Errorf("%d more, where 2 are left in all", n)
	}
	if s := l.Stats(); s.NotBlocked[blocklist.TooManyNearby] != 7 || s.NotBlocked[blocklist.ListFull] != 8 {
		t.Errorf("ledger: %+v", s)
	}
	if _, err := l.Add(prefixes("198.51.100.1")[0], "", 0); !errors.Is(err, blocklist.ErrFull) {
		t.Errorf("by hand: %v", err)
	}
	c.Time = c.Add(blocklist.DefaultFor)
	if n := blocked("192.0.2.%d"); n != 3 {
		t.Errorf("%d when the others were over", n)
	}
}

func TestAddAndRemove(t *testing.T) {
	l, c := open(t, "", blocklist.Policy{Never: prefixes("10.0.0.0/8", "2001:db8::1")})
	for text, want := range map[string]error{
		"192.0.2.0/24":         nil,
		"2001:db8:1::/48":      nil,
		"10.1.2.3":             blocklist.ErrNever,
		"0.0.0.0/0":            blocklist.ErrNever,
		"2001:db8::/32":        blocklist.ErrNever,
		"::ffff:10.0.0.0/104":  blocklist.ErrNever,
		"::ffff:192.0.2.0/120": nil,
	} {
		if _, err := l.Add(netip.MustParsePrefix(slash(text)), "asked", 0); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := l.Add(prefixes("192.0.2.77")[0], "for a while", time.Minute); err != nil {
		t.Fatal(err)
	}
	if e, _ := l.Lookup(addr("192.0.2.77")); e.Reason != "for a while" {
		t.Errorf("the narrowest counts: %+v", e)
	}
	if !l.Blocked(addr("192.0.2.9")) || !l.Blocked(addr("2001:db8:1:2::3")) || l.Blocked(addr("2001:db8:2::")) {
		t.Error("networks are not blocked as they should be")
	}
	if err := l.Remove(prefixes("192.0.2.9")[0]); !errors.Is(err, blocklist.ErrNotFound) {
		t.Errorf("a part of an entry: %v", err)
	}
	c.Time = c.Add(time.Hour)
	if err := l.Remove(prefixes("192.0.2.77")[0]); !errors.Is(err, blocklist.ErrNotFound) {
		t.Errorf("what is over: %v", err)
	}
	if err := l.Remove(prefixes("192.0.2.0/24")[0]); err != nil || l.Blocked(addr("192.0.2.77")) {
		t.Errorf("removed: %v", err)
	}
	if got := texts(l.Entries()); !slices.Equal(got, []string{"2001:db8:1::/48"}) {
		t.Errorf("left: %v", got)
	}
}

func slash(text string) string {
	if strings.Contains(text, "/") {
		return text
	}
	return prefixes(text)[0].String()
}

func texts(entries []blocklist.Entry) (list []string) {
	for _, e := range entries {
		list = append(list, e.Prefix.String())
	}
	return list
}

func TestParsePrefix(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "192.0.2.1/24": "192.0.2.0/24", "2001:db8::1": "2001:db8::1/128",
		"::ffff:192.0.2.1": "192.0.2.1/32", "fe80::1%eth0": "fe80::1/128",
		"": "", "192.0.2": "", "192.0.2.1/33": "", "somewhere": "",
	} {
		p, err := blocklist.ParsePrefix(text)
		if want == "" && !errors.Is(err, blocklist.ErrInvalid) || want != "" && p.String() != want {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

func TestSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	policy := blocklist.Policy{For: time.Hour}
	first, c := open(t, path, policy)
	first.Alert(from("192.0.2.1"))
	first.Alert(from("192.0.2.2"))
	if _, err := first.Add(prefixes("198.51.100.0/24")[0], "asked", 0); err != nil {
		t.Fatal(err)
	}
	if err := first.Remove(prefixes("192.0.2.2")[0]); err != nil {
		t.Fatal(err)
	}
	// Not closed: the process was killed, in the middle of a line.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"entry":{"prefix":"203.0.`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	c.Time = c.Add(30 * time.Minute)
	second := openAt(t, path, policy, c)
	if got, want := texts(second.Entries()), []string{"192.0.2.1/32", "198.51.100.0/24"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	if e, _ := second.Lookup(addr("192.0.2.1")); e.Alerts != 1 || e.Reason != "a scan" || !e.Until.Equal(c.Add(30*time.Minute)) {
		t.Errorf("%+v", e)
	}
	c.Time = c.Add(30 * time.Minute)
	policy.Never = prefixes("192.0.2.0/24")
	if got := texts(openAt(t, path, policy, c).Entries()); !slices.Equal(got, []string{"198.51.100.0/24"}) {
		t.Errorf("over, and exempt: %v", got)
	}
}

func TestBrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	if err := os.WriteFile(path, []byte("{}\n{nonsense}\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := blocklist.Open(blocklist.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), path+":2:") || !strings.Contains(err.Error(), "remove the line") {
		t.Errorf("%v", err)
	}
	if _, err := blocklist.Open(blocklist.Options{Path: filepath.Join(path, "in-a-file")}); err == nil {
		t.Error("a file in a file")
	}
}

// TestLongWordsAreCutShort: what callers say cannot keep the list from being
// read again.
func TestLongWordsAreCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	l, c := open(t, path, blocklist.Policy{})
	if _, err := l.Add(prefixes("198.51.100.1")[0], strings.Repeat("ü", 100_000), 0); err != nil {
		t.Fatal(err)
	}
	long := from("192.0.2.1")
	long.Signature = strings.Repeat("x", 1<<20)
	l.Alert(long)
	if got := openAt(t, path, blocklist.Policy{}, c).Entries(); len(got) != 2 || len(got[0].Reason) > 1<<10 || len(got[1].Reason) > 1<<10 {
		t.Errorf("%d entries", len(got))
	}
}

// TestFileStaysShort: what is prolonged again and again does not fill the disk.
func TestFileStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	l, _ := open(t, path, blocklist.Policy{})
	for range 5000 {
		l.Alert(from("192.0.2.1"))
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), "\n") > 1001 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if got := l.Entries(); len(got) != 1 || got[0].Alerts != 5000 {
		t.Errorf("%+v", got)
	}
}

func TestPolicyIsChecked(t *testing.T) {
	for _, p := range []blocklist.Policy{{MaxEntries: -1}, {After: -1}, {MaxPriority: -1}, {Never: make([]netip.Prefix, 1)}} {
		if _, err := blocklist.Open(blocklist.Options{Policy: p}); !errors.Is(err, blocklist.ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	l, err := blocklist.Open(blocklist.Options{Path: filepath.Join(t.TempDir(), "blocklist.jsonl"), Policy: blocklist.Policy{For: time.Nanosecond, MaxNearby: -1}})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			for i := range 200 {
				a := netip.AddrFrom4([4]byte{192, 0, byte(worker), byte(i)})
				l.Alert(blocklist.Alert{Source: a})
				l.Blocked(a)
				if _, err := l.Add(netip.PrefixFrom(a, 32), "", 0); err != nil {
					t.Error(err)
				}
				if err := l.Remove(netip.PrefixFrom(a, 32)); err != nil {
					t.Error(err)
				}
				l.Entries()
			}
		})
	}
	work.Wait()
	if got := l.Entries(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkBlocked(b *testing.B) {
	l, err := blocklist.Open(blocklist.Options{Policy: blocklist.Policy{MaxNearby: -1}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		l.Alert(blocklist.Alert{Source: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
	}
	a := addr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		l.Blocked(a)
	}
}

func Example() {
	list, err := blocklist.Open(blocklist.Options{Policy: blocklist.Policy{
		MaxPriority: 2,
		Never:       []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer list.Close()
	alert := blocklist.Alert{Source: netip.MustParseAddr("203.0.113.9"), SignatureID: 10000003, Signature: "a scan", Priority: 1}
	fmt.Println(list.Alert(alert).Blocked, list.Blocked(alert.Source))
	alert.Source = netip.MustParseAddr("10.1.2.3")
	fmt.Println(list.Alert(alert))
	// Output:
	// true true
	// not blocked: its source is never blocked
}
