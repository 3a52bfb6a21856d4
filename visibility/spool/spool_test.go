package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	testkit "github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestDirectWhileTheStoreTakesIt(t *testing.T) {
	store := newFaulty(t)
	dir := t.TempDir()
	s := open(t, store, Options{Dir: dir})
	if r := write(t, s, batch("a", 0, 5)); r.Kept != 5 || r.Spooled != 0 {
		t.Errorf("receipt %+v, want 5 kept", r)
	}
	if files := segments(t, dir); len(files) != 0 {
		t.Errorf("on the disk: %v", files)
	}
	store.wantTally(map[string]int{"a": 5})
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOrderAndAccount(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{})
	const batches = 30
	for n := range batches {
		if r := write(t, s, batch("a", 10*n, 10*n+10)); r.Spooled != 10 {
			t.Fatalf("receipt %+v, want 10 spooled", r)
		}
	}
	st := s.Status()
	if st.Waiting != 10*batches || st.Spooled != 10*batches || st.Bytes == 0 || st.Oldest.IsZero() {
		t.Errorf("status %+v", st)
	}
	if out := st.Output(); out.State == visibility.StateOK || !strings.Contains(out.Error, "300 spans wait on disk") {
		t.Errorf("output %+v", out)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	if err := testutil.GatherAndCompare(registry, strings.NewReader("# HELP clover_spool_spans Spans that wait on disk for the store.\n# TYPE clover_spool_spans gauge\nclover_spool_spans 300\n"), "clover_spool_spans"); err != nil {
		t.Error(err)
	}
	store.away(0, 0)
	waitEmpty(t, s)
	store.wantTally(map[string]int{"a": 10 * batches})
	if st := s.Status(); st.Delivered != 10*batches || st.Waiting != 0 || st.Dropped != 0 || !st.Oldest.IsZero() {
		t.Errorf("status %+v", st)
	}
	if store.writes > batches/2 {
		t.Errorf("%d batches came in %d writes", batches, store.writes)
	}
	if r := write(t, s, batch("a", 300, 301)); r.Kept != 1 {
		t.Errorf("receipt %+v, want it in the store", r)
	}
}

// TestSteadyStream holds that the spool gets empty although batches never
// cease to come.
func TestSteadyStream(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{})
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for _, source := range []string{"a", "b", "c", "d"} {
		writing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					write(t, s, batch(source, n, n+1))
				}
			}
		})
	}
	testkit.Eventually(t, time.Minute, func() (bool, string) { return s.Status().Waiting > 50, "nothing waits" })
	store.away(0, 0)
	waitEmpty(t, s)
	close(stop)
	writing.Wait()
	waitEmpty(t, s)
}

func TestFull(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{MaxBytes: 20 << 10})
	n := 0
	for {
		_, err := s.Write(t.Context(), batch("a", n, n+10))
		if err != nil {
			if !errors.Is(err, visibility.ErrUnavailable) || !strings.Contains(err.Error(), "full") {
				t.Errorf("write: %v, want ErrUnavailable that says full", err)
			}
			break
		}
		if n += 10; n > 10_000 {
			t.Fatal("it is not bounded")
		}
	}
	if st := s.Status(); st.Refused != 1 || st.Bytes > 20<<10 || st.Waiting != int64(n) {
		t.Errorf("%d spans: status %+v", n, st)
	}
	store.away(0, 0)
	waitEmpty(t, s)
	store.wantTally(map[string]int{"a": n})
}

// TestPatience holds that a store that does not answer keeps only those
// waiting that asked it first.
func TestPatience(t *testing.T) {
	store := newFaulty(t)
	store.hold = make(chan struct{})
	s := open(t, store, Options{Patience: 20 * time.Millisecond})
	first := make(chan visibility.Receipt, 1)
	go func() { first <- write(t, s, batch("a", 0, 1)) }()
	waitSilent(t, s)
	if r := write(t, s, batch("b", 0, 1)); r.Spooled != 1 {
		t.Errorf("receipt %+v, want it spooled", r)
	}
	close(store.hold)
	if r := <-first; r.Kept != 1 {
		t.Errorf("the first: receipt %+v, want it kept", r)
	}
	waitEmpty(t, s)
	store.wantTally(map[string]int{"a": 1, "b": 1})
}

// TestRefusedForGood holds that one batch that the store will never take does
// not hold up the others, and is in the ledger.
func TestRefusedForGood(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{})
	for n := range 9 {
		b := batch("a", n, n+1)
		b.Watermarks = nil
		write(t, s, b)
	}
	poison := span("a", 4).SpanID
	store.mu.Lock()
	store.before, store.fail = 0, func(b *visibility.Batch) error {
		for i := range b.Spans {
			if b.Spans[i].SpanID == poison {
				return fmt.Errorf("a span that nobody can read: %w", visibility.ErrInvalid)
			}
		}
		return nil
	}
	store.mu.Unlock()
	waitEmpty(t, s)
	entries, err := store.Ledger(t.Context())
	if err != nil || len(entries) != 1 {
		t.Fatalf("ledger %+v, %v", entries, err)
	}
	if e := entries[0]; e.Kept != 8 || e.Dropped[DropRefused] != 1 || e.Balance() != 0 {
		t.Errorf("ledger %+v", e)
	}
	if st := s.Status(); st.Dropped != 1 || st.Delivered != 8 {
		t.Errorf("status %+v", st)
	}
	if _, err := s.Write(t.Context(), batch("a", 4, 5)); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("written directly: %v, want ErrInvalid", err)
	}
}

// TestDamaged holds that what the disk has lost is counted, and the rest
// arrives.
func TestDamaged(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b []byte) []byte
		one    bool // batch is lost, else several
	}{
		{"Byte", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, true},
		{"Hole", func(b []byte) []byte { clear(b[len(b)/2:]); return b }, false},
		{"End", func(b []byte) []byte { return b[:len(b)/2] }, false},
		{"All", func([]byte) []byte { return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := newFaulty(t)
			store.away(1, 0)
			o := Options{Dir: t.TempDir(), MaxBytes: 1 << 20}
			first := open(t, store, o)
			n := 0
			for len(segments(t, o.Dir)) < 3 {
				b := batch("a", n, n+100)
				b.Watermarks = nil
				write(t, first, b)
				n += 100
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			second := segments(t, o.Dir)[1]
			data, err := os.ReadFile(second)
			if err == nil {
				err = os.WriteFile(second, c.damage(data), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			store.away(0, 0)
			store.Reopen()
			s := open(t, store, o)
			waitEmpty(t, s)
			st := s.Status()
			if st.Delivered+st.Dropped != int64(n) || st.Dropped < 100 || st.Dropped >= int64(n) || c.one != (st.Dropped == 100) {
				t.Errorf("of %d spans: %+v", n, st)
			}
			entries, err := store.Ledger(t.Context())
			if err != nil || len(entries) != 2 {
				t.Fatalf("ledger %+v, %v", entries, err)
			}
			if a, lost := entries[0], entries[1]; a.Kept != st.Delivered || lost.Dropped[DropDamaged] != st.Dropped || lost.Source != "spool" {
				t.Errorf("ledger %+v", entries)
			}
		})
	}
}

func TestClear(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{})
	write(t, s, batch("a", 0, 5))
	write(t, s, batch("b", 0, 3))
	write(t, s, batch("a", 5, 7))
	store.mu.Lock()
	store.landed["a"] = map[tracing.SpanID]bool{} // of which the watermarks tell
	store.landed["b"] = map[tracing.SpanID]bool{}
	for n := range 7 {
		store.landed["a"][span("a", n).SpanID], store.landed["b"][span("b", n).SpanID] = true, true
	}
	store.mu.Unlock()
	if err := s.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.away(0, 0)
	waitEmpty(t, s)
	stats, err := store.Stats(t.Context())
	if err != nil || stats.Spans != 0 {
		t.Errorf("%d spans, %v, want none", stats.Spans, err)
	}
	entries, err := store.Ledger(t.Context())
	if err != nil || len(entries) != 2 || !entries[0].Watermark.Equal(epoch.Add(7*time.Millisecond)) {
		t.Errorf("ledger %+v, %v: want the watermarks", entries, err)
	}
}

func TestSenderGone(t *testing.T) {
	store := newFaulty(t)
	store.away(1, 0)
	s := open(t, store, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Write(ctx, batch("a", 0, 1)); err == nil {
		t.Error("acknowledged to nobody")
	}
	if st := s.Status(); st.Spooled != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestOneProcess(t *testing.T) {
	s := open(t, newFaulty(t), Options{})
	other, err := Open(newFaulty(t), Options{Dir: s.opt.Dir})
	if other != nil {
		_ = other.Close()
	}
	if !errors.Is(err, visibility.ErrLocked) {
		t.Errorf("opened twice: %v, want ErrLocked", err)
	}
	if _, err := Open(newFaulty(t), Options{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("without a folder: %v, want ErrInvalid", err)
	}
}

// TestWholeBatch holds that every field of a batch comes back.
func TestWholeBatch(t *testing.T) {
	b := batch("a", 0, 2)
	b.Metrics = []visibility.MetricPoint{{Name: "m", Service: "s", Time: epoch, Value: 1.5}}
	b.Ledger = []visibility.Loss{{Service: "s", Fate: visibility.FateDropped, Reason: "r", Count: 3}}
	fill(reflect.ValueOf(&b.Spans[0]).Elem())
	data, err := encodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	h, got, err := decodeRecord(joinRecord(header{first: 7, spans: 2, added: epoch}, data))
	if err != nil || h.first != 7 || !h.added.Equal(epoch) || !reflect.DeepEqual(got, b) {
		t.Errorf("%+v, %v:\n%+v, want\n%+v", h, err, got, b)
	}
}

// fill sets each field of a value to something.
func fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(epoch.Add(time.Nanosecond)))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case v.CanInt():
		v.SetInt(-3)
	case v.CanUint():
		v.SetUint(3)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("text\x00é")
	}
}

func FuzzRecord(f *testing.F) {
	data, err := encodeBatch(batch("a", 0, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(joinRecord(header{first: 1, spans: 2, added: epoch}, data))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := splitRecord(b)
		if err != nil {
			return
		}
		again, batch, err := splitRecord(joinRecord(h, rest))
		if err != nil || again != h || !bytes.Equal(batch, rest) {
			t.Errorf("%+v, %v, want %+v", again, err, h)
		}
		if _, b, err := decodeRecord(b); err == nil && uint64(len(b.Spans)) != h.spans {
			t.Errorf("%d spans, want %d", len(b.Spans), h.spans)
		}
	})
}
