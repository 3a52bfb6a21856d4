package visibility_test

import (
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

func TestLedgerBalance(t *testing.T) {
	e := visibility.LedgerEntry{
		Seen: 21, Kept: 1, Duplicate: 2, Truncated: 3,
		Rejected: map[string]int64{"a": 4, "b": 5}, Dropped: map[string]int64{"c": 6},
	}
	if e.Balance() != 0 {
		t.Errorf("balance %d, want 0", e.Balance())
	}
	e.Seen++
	if e.Balance() != 1 {
		t.Errorf("balance %d, want 1 that is not accounted for", e.Balance())
	}
}

func TestLedgerLag(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var e visibility.LedgerEntry
	if e.Lag(now) != 0 {
		t.Errorf("nothing known: %v", e.Lag(now))
	}
	e.LastArrival = now.Add(-time.Minute)
	if e.Lag(now) != time.Minute {
		t.Errorf("pushed: %v", e.Lag(now))
	}
	e.Watermark = now.Add(-time.Hour)
	if e.Lag(now) != time.Hour {
		t.Errorf("pulled: %v", e.Lag(now))
	}
}

func TestFateNames(t *testing.T) {
	want := []string{"kept", "duplicate", "rejected", "truncated", "dropped"}
	for i, name := range want {
		if got := visibility.Fate(i).String(); got != name {
			t.Errorf("fate %d: %q, want %q", i, got, name)
		}
	}
}
