package storekit

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestMain(m *testing.M) { leak.Main(m) }

func batchOf(spans int) *visibility.Batch {
	return &visibility.Batch{Spans: make([]tracing.Span, spans)}
}

// joined waits for the next request and returns it with those behind it.
func joined(q *Queue, spans int) ([]Request, *Request) { return q.Join(<-q.requests, spans) }

func TestQueueJoinsBatchesUpToACommand(t *testing.T) {
	q := NewQueue(10_000)
	for _, r := range []Request{{Batch: batchOf(3)}, {Batch: batchOf(4)}, {Command: func(context.Context) error { return nil }}, {Batch: batchOf(5)}, {Batch: batchOf(1)}} {
		r.done = make(chan result, 1)
		q.requests <- r
	}
	group, next := joined(q, 100)
	if len(group) != 2 || next == nil || next.Command == nil {
		t.Fatalf("got %d batches and the command %v, want both batches and the command behind them", len(group), next)
	}
	group, next = joined(q, 5)
	if len(group) != 1 || next != nil {
		t.Fatalf("got %d batches and %v, want one, which is as many spans as asked for", len(group), next)
	}
}

func TestQueueAnswers(t *testing.T) {
	q := NewQueue(SlotSpans) // one slot: a second batch has to wait
	refused := errors.New("refused")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer q.Stopped()
		q.Run(time.Hour, func(first Request) {
			group, next := q.Join(first, 1)
			for i := range group {
				r := &group[i]
				r.Receipt.Kept = len(r.Batch.Spans)
				if len(r.Batch.Spans) == 2 {
					q.Answer(r, refused)
				} else {
					q.Answer(r, nil)
				}
			}
			if next != nil {
				q.Answer(next, next.Command(t.Context()))
			}
		}, func() {})
	}()
	for range 10 { // more than there are slots: each is given back
		if receipt, err := q.Write(t.Context(), batchOf(3)); err != nil || receipt.Kept != 3 {
			t.Fatalf("write: %+v, %v", receipt, err)
		}
		if receipt, err := q.Write(t.Context(), batchOf(2)); !errors.Is(err, refused) || receipt.Kept != 0 {
			t.Fatalf("refused write: %+v, %v", receipt, err)
		}
		if err := q.Do(t.Context(), func(context.Context) error { return refused }); !errors.Is(err, refused) {
			t.Fatalf("command: %v", err)
		}
	}
	q.Close()
	<-done
	if _, err := q.Write(t.Context(), batchOf(1)); !errors.Is(err, visibility.ErrUnavailable) {
		t.Fatalf("write after the end: %v", err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := NewQueue(2 * SlotSpans)
	q.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Write(ctx, batchOf(2*SlotSpans)); !errors.Is(err, context.Canceled) {
		t.Fatalf("a batch for which there is no room: %v", err)
	}
	if len(q.slots) != 1 || len(q.requests) != 0 {
		t.Fatalf("%d slots and %d requests are taken, want those of before: 1 and 0", len(q.slots), len(q.requests))
	}
}

func TestCounters(t *testing.T) {
	a := Counters{}
	a.Add("seen", 3)
	a.Add("^last", -9)
	a.Add("^last", -12)
	b := Counters{"seen": 4, "^last": -7, "dropped:queue": 1}
	want := Counters{"seen": 7, "^last": -7, "dropped:queue": 1}
	if err := a.Merge(b.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(a, want) {
		t.Errorf("got %v, want %v", a, want)
	}
	encoded := a.Append(nil)
	if err := (Counters{}).Merge(encoded[:len(encoded)-1]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cut off: %v", err)
	}
	ledger := Ledger{}
	ledger.Set(Account{"b", "s"}, a)
	ledger.Entry(Account{"a", "s"}).Kept = 1
	list := ledger.List()
	if len(list) != 2 || list[0].Source != "a" || list[1].Seen != 7 || list[1].Dropped["queue"] != 1 {
		t.Errorf("ledger: %+v", list)
	}
}

// TestCover holds that the pieces are the range, in order and without a gap,
// in buckets of the levels that the scope allows.
func TestCover(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_800_000_000, 0)
	for range 5000 {
		from := now.Add(-time.Duration(rnd.Int64N(int64(100 * time.Hour))))
		r := visibility.Range{From: from, To: from.Add(1 + time.Duration(rnd.Int64N(int64(50*time.Hour))))}
		width := []time.Duration{0, 10 * time.Second, 5 * time.Minute, time.Hour}[rnd.IntN(4)]
		s := ScopeOf(r, width, now, []time.Duration{0, 24 * time.Hour}[rnd.IntN(2)])
		if s.Range.From.After(r.From) || s.Range.To.Before(r.To) || r.From.Sub(s.Range.From) >= Levels[s.Lowest].Width() || s.Range.To.Sub(r.To) >= Levels[s.Lowest].Width() {
			t.Fatalf("%v became %+v", r, s)
		}
		at := s.Range.From.Unix()
		for _, p := range s.Cover(at) {
			if p.From != at || p.To <= p.From || p.Level < s.Lowest || p.Level > s.Highest || p.From%int64(Levels[p.Level]) != 0 || p.To%int64(Levels[p.Level]) != 0 {
				t.Fatalf("%+v has the piece %+v, after %d", s, p, at)
			}
			at = p.To
		}
		if at != s.Range.To.Unix() {
			t.Fatalf("%+v is covered up to %d", s, at)
		}
	}
}

func FuzzReader(f *testing.F) {
	list := []tracing.Attribute{{Key: "a", Value: "b", Type: 2}, {Key: "", Value: "\xff"}}
	f.Add(AppendAttributes(AppendString(nil, "x"), list))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Reader{B: b}
		name, read := r.String(), r.Attributes(nil)
		if r.Err != nil {
			return
		}
		again := Reader{B: AppendAttributes(AppendString(nil, name), read)}
		if again.String() != name || !slices.Equal(again.Attributes(nil), read) || again.Err != nil || len(again.B) != 0 {
			t.Fatalf("%q %v became %+v", name, read, again)
		}
	})
}
