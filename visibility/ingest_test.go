package visibility_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func newIngest(t *testing.T, store visibility.Store, opt visibility.IngestOptions) *visibility.Ingest {
	t.Helper()
	in, err := visibility.NewIngest(store, opt)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func pushed(n int) []tracing.Span {
	spans := make([]tracing.Span, n)
	for i := range spans {
		spans[i] = tracing.Span{TraceID: tracing.TraceID{15: 1}, SpanID: tracing.SpanID{7: byte(i + 1)}, Service: "a", Start: time.Now()}
	}
	return spans
}

func TestIngestStoresAndAccounts(t *testing.T) {
	store, hub := newMemStore(), &visibility.Hub{}
	in := newIngest(t, store, visibility.IngestOptions{Hub: hub})
	live := hub.Subscribe(t.Context(), nil, 0)
	rejected := []tracing.Rejection{{Service: "a", Reason: tracing.ReasonNoTraceID, Count: 3}}
	if err := in.ConsumeSpans(t.Context(), "otlp/http", pushed(5), rejected); err != nil {
		t.Fatal(err)
	}
	if err := in.ConsumeSpans(t.Context(), "", pushed(6), nil); err != nil {
		t.Fatal(err)
	}
	if err := in.ConsumeSpans(t.Context(), "", nil, nil); err != nil {
		t.Fatal(err)
	}
	sum := store.mustBalance(t)
	if sum.Seen != 5+3+6 || sum.Kept != 6 || sum.Duplicate != 5 {
		t.Errorf("ledger %+v", sum)
	}
	if e := store.entry("otlp/http", "a"); e.Rejected[tracing.ReasonNoTraceID] != 3 || e.Kept != 5 {
		t.Errorf("entry %+v", e)
	}
	if e := store.entry("otlp", "a"); e.Kept != 1 || e.Duplicate != 5 {
		t.Errorf("entry %+v", e)
	}
	if st := in.Status(); st.Deliveries != 2 || st.Spans != 11 || st.Receipt.Kept != 6 || st.Receipt.Duplicates != 5 || st.InFlight != 0 {
		t.Errorf("status %+v", st)
	}
	if len(live) != 11 {
		t.Errorf("%d spans live, want 11", len(live))
	}
}

func TestIngestSaysWhetherToSendAgain(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want tracing.ErrorKind
	}{
		{fmt.Errorf("disk: %w", visibility.ErrUnavailable), tracing.ErrorTemporary},
		{errors.New("no space left on device"), tracing.ErrorTemporary},
		{context.DeadlineExceeded, tracing.ErrorTemporary},
		{fmt.Errorf("batch: %w", visibility.ErrInvalid), tracing.ErrorInvalid},
		{visibility.ErrLimit, tracing.ErrorInvalid},
		{visibility.ErrUnsupported, tracing.ErrorUnsupported},
	} {
		store := newMemStore()
		store.failWith(tc.err)
		in := newIngest(t, store, visibility.IngestOptions{})
		err := in.ConsumeSpans(t.Context(), "otlp", pushed(1), nil)
		if kind := tracing.Classify(err); kind != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%v is answered as %v: %v", tc.err, kind, err)
		}
		if st := in.Status(); st.Failures != 1 || st.LastError == "" || st.Deliveries != 0 || store.count() != 0 {
			t.Errorf("status %+v", st)
		}
		store.failWith(nil)
		if err := in.ConsumeSpans(t.Context(), "otlp", pushed(1), nil); err != nil || store.count() != 1 {
			t.Errorf("sent again: %v", err)
		}
	}
}

func TestIngestHoldsBackWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		release := make(chan struct{})
		store.before = func(ctx context.Context, _ *visibility.Batch) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		in := newIngest(t, store, visibility.IngestOptions{MaxInFlight: 2, MaxWait: 5 * time.Second})
		errs := make(chan error, 5)
		for i := range 5 {
			go func() { errs <- in.ConsumeSpans(t.Context(), "otlp", pushed(i+1), nil) }()
		}
		synctest.Wait()
		if n := in.Status().InFlight; n != 2 {
			t.Errorf("%d deliveries at the store, want 2", n)
		}
		time.Sleep(5*time.Second + 1)
		synctest.Wait()
		for range 5 {
			if err := <-errs; !errors.Is(err, tracing.ErrTemporary) {
				t.Errorf("after MaxWait: %v", err)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		go func() { errs <- in.ConsumeSpans(gone, "otlp", pushed(1), nil) }()
		synctest.Wait()
		cancel()
		if err := <-errs; tracing.Classify(err) != tracing.ErrorPermanent {
			t.Errorf("for a sender that has gone: %v", err)
		}
		close(release)
		if err := in.ConsumeSpans(t.Context(), "otlp", pushed(5), nil); err != nil || store.count() != 5 {
			t.Errorf("after the store works again: %v, %d spans", err, store.count())
		}
	})
}

func TestIngestCountsWhatComesDuringAPause(t *testing.T) {
	store, paused := newMemStore(), true
	in := newIngest(t, store, visibility.IngestOptions{Paused: func() bool { return paused }})
	if err := in.ConsumeSpans(t.Context(), "otlp", pushed(4), []tracing.Rejection{{Service: "a", Reason: "x", Count: 1}}); err != nil {
		t.Fatal(err)
	}
	store.mustBalance(t)
	e := store.entry("otlp", "a")
	if e.Seen != 5 || e.Dropped[visibility.DropPaused] != 4 || e.Rejected["x"] != 1 || store.count() != 0 || in.Status().Dropped != 4 {
		t.Errorf("entry %+v, status %+v", e, in.Status())
	}
	paused = false
	if err := in.ConsumeSpans(t.Context(), "otlp", pushed(4), nil); err != nil || store.count() != 4 {
		t.Errorf("%v, %d spans", err, store.count())
	}
	if _, err := visibility.NewIngest(nil, visibility.IngestOptions{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("without a store: %v", err)
	}
}
