package visibility_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/visibility"
)

func TestCollectorPullsAtOnceAndEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "a", now.Add(-time.Minute), now, time.Second)
		b.source.add(1, 2, "b", now.Add(-time.Minute), now, time.Millisecond)
		b.source.add(2, 1, "a", now.Add(-20*time.Minute), now, time.Second) // before Lookback
		b.run()
		b.wantSpans(2)
		b.source.add(3, 1, "a", now, now, time.Second)
		b.after(900 * time.Millisecond)
		b.wantSpans(2)
		b.after(200 * time.Millisecond)
		b.wantSpans(3)
		// A new service is read with the next pull.
		b.source.add(4, 1, "new", now.Add(-30*time.Second), now, time.Second)
		b.after(time.Second)
		b.wantSpans(4)

		st := b.status()
		if st.State != visibility.StateOK || st.Error != "" || len(st.Services) != 3 || st.Kept != 4 {
			t.Errorf("status %+v", st)
		}
		if st.Lag > time.Second || !st.NextTry.After(time.Now()) {
			t.Errorf("lag %v, next try %v, now %v", st.Lag, st.NextTry, time.Now())
		}
		sum := b.store.mustBalance(t)
		if sum.Duplicate == 0 {
			t.Errorf("overlapping pulls are not accounted for: %+v", sum)
		}
	})
}

func TestCollectorWritesWhatIsNewOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		for i := range byte(10) {
			b.source.add(i, 1, "a", now, now, time.Second)
			b.source.add(i, 2, "b", now, now, time.Second)
		}
		b.run()
		b.after(20 * time.Second)
		sum := b.store.mustBalance(t)
		if st := b.status(); st.Delivered != 20 || st.Kept != 20 {
			t.Errorf("the store was given %d spans, kept %d; want 20", st.Delivered, st.Kept)
		}
		if sum.Kept != 20 || sum.Duplicate < 20*20 {
			t.Errorf("ledger %+v", sum)
		}
	})
}

func TestCollectorFindsLateSpans(t *testing.T) {
	for name, tc := range map[string]struct{ late, duration time.Duration }{
		"within the overlap":      {25 * time.Second, time.Second},
		"long":                    {5 * time.Minute, 5 * time.Minute},
		"from a clock far behind": {7 * time.Minute, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				now := time.Now()
				b.source.add(1, 1, "a", now, now, time.Second)
				b.run()
				start := now.Add(10 * time.Second)
				b.source.add(2, 1, "a", start, start.Add(tc.late), tc.duration)
				b.after(10*time.Second + tc.late + 2*time.Minute + time.Second)
				b.wantSpans(2)
				b.store.mustBalance(t)
			})
		})
	}
}

func TestCollectorCatchesUpAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *visibility.CollectorOptions) { o.BatchSpans = 7 })
		begin := time.Now()
		spans := 0
		add := func(at time.Time) {
			spans++
			trace := byte(spans)
			b.source.add(trace, 1, "a", at, at, time.Second)
			b.source.add(trace, 2, "b", at, at, time.Second)
		}
		add(begin.Add(-time.Second))
		b.run()
		b.wantSpans(2)

		b.source.set(func(f *fakeSource) { f.err = errDown })
		for i := range 100 {
			add(begin.Add(time.Duration(i+1) * time.Minute))
		}
		b.after(100 * time.Minute)
		b.wantSpans(2)
		st := b.status()
		if st.State != visibility.StateDown || !strings.Contains(st.Error, "connection refused") || st.Failures < 100 {
			t.Errorf("status of a source that is down: %+v", st)
		}
		if st.Lag < 99*time.Minute {
			t.Errorf("lag %v during an outage of 100 minutes", st.Lag)
		}

		b.source.set(func(f *fakeSource) { f.err, f.reads = nil, nil })
		b.after(31 * time.Second) // the longest pause
		b.wantSpans(2 * spans)
		sum := b.store.mustBalance(t)
		if int(sum.Kept) != 2*spans {
			t.Errorf("kept %d of %d", sum.Kept, 2*spans)
		}
		st = b.status()
		if st.State != visibility.StateOK || st.Error != "" || !strings.Contains(st.LastError, "connection refused") || st.Lag > 2*time.Second {
			t.Errorf("status after the outage: %+v", st)
		}
		oldestFirst(t, b.source.reads["a"])
	})
}

// oldestFirst checks that windows are bounded, follow each other without a
// gap and lead from old to new.
func oldestFirst(t *testing.T, reads []visibility.Range) {
	t.Helper()
	if len(reads) < 3 {
		t.Errorf("an outage of 100 minutes is read in %d windows", len(reads))
	}
	for i, r := range reads {
		if r.To.Sub(r.From) > time.Hour+11*time.Minute {
			t.Errorf("window %d is %v long", i, r.To.Sub(r.From))
		}
		if i > 0 && (r.To.Before(reads[i-1].To) || r.From.After(reads[i-1].To)) {
			t.Errorf("window %d, %v, does not follow %v", i, r, reads[i-1])
		}
	}
}

func TestCollectorGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		begin := time.Now()
		b.source.add(1, 1, "a", begin.Add(-time.Second), begin, time.Second)
		b.run()
		b.wantSpans(1)
		b.stop()
		b.source.reads = nil
		for i := range byte(60) {
			at := begin.Add(time.Duration(i+1) * time.Minute)
			b.source.add(10+i, 1, "a", at, at, time.Second)
			b.source.add(10+i, 2, "began meanwhile", at, at, time.Second)
		}
		time.Sleep(time.Hour)
		b.restart()
		b.run()
		b.after(time.Second)
		b.wantSpans(1 + 120)
		b.store.mustBalance(t)
		if from := b.source.reads["a"][0].From; from.Before(begin.Add(-11 * time.Minute)) {
			t.Errorf("the second run begins at %v, the first ended at %v", from, begin)
		}
	})
}

func TestCollectorBacksOffAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.err = errDown
		b.run()
		if st := b.status(); st.State != visibility.StateBackingOff || st.Failures != 1 || time.Until(st.NextTry) > 500*time.Millisecond {
			t.Errorf("after one failure: %+v", st)
		}
		b.after(10 * time.Minute)
		st := b.status()
		if st.Pulls < 20 || st.Pulls > 50 {
			t.Errorf("%d tries in ten minutes with pauses up to 30 s", st.Pulls)
		}
		if st.State != visibility.StateDown || st.Errors != st.Pulls || !st.LastSuccess.IsZero() {
			t.Errorf("status %+v", st)
		}
		now := time.Now()
		b.source.set(func(f *fakeSource) { f.err = nil })
		b.source.add(1, 1, "a", now, now, time.Second)
		b.after(31 * time.Second)
		b.wantSpans(1)
	})
}

func TestCollectorToleratesOneBadService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "good", now, now, time.Second)
		b.source.add(2, 1, "bad", now, now, time.Second)
		b.source.failing = map[string]error{"bad": errors.New("cannot decode trace")}
		b.run()
		b.after(time.Minute)
		b.wantSpans(1)
		st := b.status()
		if st.State != visibility.StateDegraded || !strings.Contains(st.LastError, "read service bad: cannot decode trace") {
			t.Errorf("status %+v", st)
		}
		for _, s := range st.Services {
			lagging := time.Since(s.Watermark) > 10*time.Second
			if lagging != (s.Service == "bad") || (s.Error != "") != (s.Service == "bad") {
				t.Errorf("progress %+v", s)
			}
		}
		b.source.set(func(f *fakeSource) { f.failing = nil })
		b.after(time.Minute)
		b.wantSpans(2)
		if st := b.status(); st.State != visibility.StateOK {
			t.Errorf("status after repair %+v", st)
		}
		b.store.mustBalance(t)
	})
}

func TestCollectorGivesUpOnASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.hang = true
		b.run()
		b.after(31 * time.Second)
		if st := b.status(); !strings.Contains(st.Error, "list services: no answer for 30s") {
			t.Errorf("status %+v", st)
		}
		before := time.Now()
		b.stop() // while a call hangs
		if d := time.Since(before); d > 0 {
			t.Errorf("Run took %v to end", d)
		}
	})
}

func TestCollectorTakesSmallerWindowsFromASlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *visibility.CollectorOptions) {
			o.Lookback, o.Again = time.Hour, []time.Duration{time.Minute}
		})
		begin := time.Now()
		for i := range byte(60) {
			at := begin.Add(-time.Duration(i) * time.Minute)
			b.source.add(i, 1, "a", at, begin, time.Second)
		}
		b.source.slower = 4 * time.Minute
		b.run()
		b.after(30 * time.Minute)
		b.wantSpans(60)
		b.store.mustBalance(t)
	})
}

func TestCollectorCountsEachTruncationOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "a", now, now, time.Second)
		at := now.Add(-5 * time.Second)
		loss := func(from time.Time, n int64) visibility.SourceLoss {
			return visibility.SourceLoss{
				Loss:  visibility.Loss{Service: "a", Fate: visibility.FateTruncated, Count: n},
				Range: visibility.Range{From: from, To: from.Add(time.Microsecond)},
			}
		}
		b.source.losses = map[string][]visibility.SourceLoss{"a": {loss(at, 3), loss(at.Add(time.Microsecond), 4), loss(at, 3)}}
		b.run()
		b.after(20 * time.Second)
		if sum := b.store.mustBalance(t); sum.Truncated != 7 || sum.Kept != 1 {
			t.Errorf("ledger %+v; want 7 truncated, 1 kept", sum)
		}
	})
}
