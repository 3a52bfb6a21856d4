// Package storetest is the conformance suite that every visibility.Store
// passes, and a naive store in memory that shows what is expected.
//
// A store's test opens it in a Fixture and hands it to [Run]:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Fixture { … })
//	}
//
// What the suite asks for, beyond the comments of visibility.Store:
//
//   - Rollups reflect everything that was written when Write returned, in
//     whatever order, batches and repetitions it came. A client's side counts
//     as a request until its server's side comes; a server's side has the
//     source visibility.Unknown until its caller comes.
//   - What was settled and then met its other side is counted right all the
//     same. Only Min and Max may become approximate, which Inexact says, and
//     the source of a settled server's side may stay Unknown. Coverage.Late
//     counts such spans.
//   - Counts, sums, bytes and errors are equal to those of the spans, never
//     about equal.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Options say how a test wants its store. A fixture that cannot honour one
// skips the test.
type Options struct {
	// Clock is the store's time. The suite never passes nil; for
	// [NewReference] nil means time.Now.
	Clock func() time.Time
	// Retention is the age at which spans are rejected and go. 0: a week or
	// more.
	Retention time.Duration
	// Rows is the number of distinct rollup rows above which further ones
	// are folded into visibility.Other. 0: 10,000 or more.
	Rows int
	// Values is the number of distinct values of one dimension above which
	// further ones are folded likewise. 0: 1,000 or more. NewReference does
	// not fold by it.
	Values int
}

// Fixture is an open store with what a test does to it from outside. The
// fixture closes the store when the test ends.
type Fixture struct {
	Store visibility.Store
	// Reopen closes the store and opens it again with the same data.
	Reopen func() (visibility.Store, error)
	// Settle counts for good every request that waits for its other side.
	Settle func(ctx context.Context) error
	// Retain drops what is older than the retention by the clock.
	Retain func(ctx context.Context) error
}

// OpenFunc opens an empty store.
type OpenFunc func(t *testing.T, o Options) Fixture

// Run runs the suite, each test on a store of its own.
func Run(t *testing.T, open OpenFunc) {
	for _, test := range []struct {
		name string
		run  func(*kit)
		opts Options
	}{
		{name: "Hops", run: testHops},
		{name: "LateSides", run: testLateSides},
		{name: "HopAcrossHours", run: testHopAcrossHours},
		{name: "LongTraces", run: testLongTraces},
		{name: "Idempotence", run: testIdempotence},
		{name: "Identity", run: testIdentity},
		{name: "Rejects", run: testRejects, opts: Options{Retention: 24 * time.Hour}},
		{name: "EmptyBatch", run: testEmptyBatch},
		{name: "Dimensions", run: testDimensions},
		{name: "Buckets", run: testBuckets},
		{name: "YieldError", run: testYieldError},
		{name: "Random", run: testRandom},
		{name: "RandomWithReopenAndSettle", run: testRandomReopen},
		{name: "Chaos", run: testChaos},
		{name: "ConcurrentWriters", run: testConcurrentWriters},
		{name: "ReadersSeeWholeBatches", run: testReadersSeeWholeBatches},
		{name: "Overflow", run: testOverflow, opts: Options{Rows: 40}},
		{name: "OverflowRandom", run: testOverflowRandom, opts: Options{Rows: 60, Values: 3}},
		{name: "Ledger", run: testLedger},
		{name: "LedgerOverReopen", run: testLedgerReopen},
		{name: "Trace", run: testTrace},
		{name: "TraceSearch", run: testTraceSearch},
		{name: "TracePaging", run: testTracePaging},
		{name: "SearchRandom", run: testSearchRandom},
		{name: "SearchBounds", run: testSearchBounds},
		{name: "Metrics", run: testMetrics},
		{name: "State", run: testState},
		{name: "SwapState", run: testSwapState},
		{name: "Stats", run: testStats},
		{name: "Clear", run: testClear},
		{name: "Retention", run: testRetention, opts: Options{Retention: 24 * time.Hour}},
		{name: "HostileSpans", run: testHostileSpans},
		{name: "HostileNumbers", run: testHostileNumbers},
		{name: "HostileNames", run: testHostileNames},
		{name: "HostileCursors", run: testHostileCursors},
		{name: "TooLarge", run: testTooLarge},
		{name: "ClearWhileWriting", run: testClearWhileWriting},
		{name: "RollingRetention", run: testRollingRetention, opts: Options{Retention: 24 * time.Hour}},
		{name: "OldRanges", run: testOldRanges},
		{name: "Cancellation", run: testCancellation},
		{name: "Closed", run: testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(newKit(t, open, test.opts))
		})
	}
}
