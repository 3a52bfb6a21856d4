package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testRandom delivers random traces in random order and compares every cell
// with the truth, and with the reference while sides are still missing.
func testRandom(k *kit) {
	for seed := range uint64(3) {
		k.Logf("seed %d", seed)
		k.clock.set(epoch.Add(2 * time.Hour))
		if err := k.Store.Clear(k.Context()); err != nil {
			k.Fatal(err)
		}
		m := newMesh(seed)
		m.traceMany(150, epoch, 90*time.Minute)
		reference := NewReference(Options{Clock: k.clock.time})
		batches := m.deliveries(60)
		for i, batch := range batches {
			k.compareReceipts(reference, batch)
			if i == len(batches)/3 || i == 2*len(batches)/3 {
				k.compareWith(reference)
			}
		}
		got, cov := k.read(everything, fine)
		k.wantCells(got, m.cells(nil))
		if cov.Late != 0 {
			k.Logf("%d spans had been counted before their other side came", cov.Late)
		}
		k.wantQuantiles(got, m)
		k.wantEveryWidth(m)
		if k.Failed() {
			return
		}
	}
}

// compareReceipts writes a batch to the store and to the reference.
func (k *kit) compareReceipts(reference *Memory, batch []tracing.Span) {
	k.Helper()
	got := k.write(batch...)
	want, err := reference.Write(k.Context(), &visibility.Batch{Source: source, Spans: batch})
	if err != nil {
		k.Fatal(err)
	}
	k.wantReceipt(got, want.Kept, want.Duplicates)
}

// compareWith compares the store's present answer with the reference's.
func (k *kit) compareWith(reference *Memory) {
	k.Helper()
	want, wantCov, err := readCells(k.Context(), reference, everything, fine)
	if err != nil {
		k.Fatal(err)
	}
	got, cov := k.read(everything, fine)
	k.wantCells(got, want)
	if cov.Open != wantCov.Open {
		k.Errorf("%d open hops, want %d", cov.Open, wantCov.Open)
	}
}

// wantQuantiles compares percentiles with those of the sorted durations.
func (k *kit) wantQuantiles(got cells, m *mesh) {
	k.Helper()
	durations := map[string][]time.Duration{}
	for i := range m.spans {
		if s := &m.spans[i]; s.want.role == visibility.RoleServer {
			durations[s.Service] = append(durations[s.Service], s.Duration)
		}
	}
	sums := map[string]*visibility.Aggregate{}
	for at, a := range got {
		if at.role == visibility.RoleServer {
			name := at.key[visibility.Service]
			if sums[name] == nil {
				sums[name] = &visibility.Aggregate{}
			}
			sums[name].Merge(a)
		}
	}
	for service, list := range durations {
		slices.Sort(list)
		for _, q := range []float64{0, .1, .5, .9, .95, .99, 1} {
			if g, w := sums[service].Quantile(q), quantile(list, q); !near(g, w, visibility.RelativeError) {
				k.Errorf("%s: quantile %v of %d is %v, want %v within %v", service, q, len(list), g, w, visibility.RelativeError)
			}
		}
	}
}

// wantEveryWidth reads ranges with every bucket width and compares them with
// the same spans, bucketed here.
func (k *kit) wantEveryWidth(m *mesh) {
	k.Helper()
	for _, width := range []time.Duration{fine, 30 * time.Second, time.Minute, 5 * time.Minute, 7 * time.Minute, time.Hour, 2 * time.Hour} {
		r := visibility.Range{From: epoch.Add(11 * time.Minute), To: epoch.Add(71*time.Minute + 10*time.Second)}
		want := cells{}
		for at, sum := range m.cells(func(s *meshSpan) bool { return inside(s.Start, r.From, r.To) }) {
			at.at -= at.at % int64(width/time.Second)
			want.add(at, sum)
		}
		got, _ := k.read(r, width)
		k.Logf("width %v", width)
		k.wantCells(got, want)
	}
}

// testRandomReopen does the same while the store is closed, opened and
// settled at random. Only what settling allows may differ.
func testRandomReopen(k *kit) {
	k.clock.set(epoch.Add(2 * time.Hour))
	m := newMesh(7)
	m.traceMany(150, epoch, 90*time.Minute)
	for i, batch := range m.deliveries(60) {
		k.write(batch...)
		switch i % 5 {
		case 2:
			k.reopen()
		case 4:
			k.settle()
		}
	}
	got, _ := k.read(everything, fine)
	k.wantCells(withoutSources(got), withoutSources(m.cells(nil)))
}

// testConcurrentWriters delivers overlapping batches from several goroutines
// while others read.
func testConcurrentWriters(k *kit) {
	const writers, readers = 4, 2
	k.clock.set(epoch.Add(2 * time.Hour))
	m := newMesh(11)
	m.traceMany(150, epoch, 90*time.Minute)
	var all [writers][][]tracing.Span
	for i := range all {
		all[i] = m.deliveries(80)
	}
	ctx := k.Context()
	var reading, writing sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := readCells(ctx, k.Store, everything, fine); err != nil {
					k.Errorf("read while writing: %v", err)
					return
				}
			}
		})
	}
	var mu sync.Mutex
	kept := 0
	for _, batches := range all {
		writing.Go(func() {
			for _, batch := range batches {
				r, err := k.Store.Write(ctx, &visibility.Batch{Source: source, Spans: batch})
				if err != nil {
					k.Errorf("write: %v", err)
					return
				}
				mu.Lock()
				kept += r.Kept
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	if kept != len(m.spans) {
		k.Errorf("%d spans kept, want %d", kept, len(m.spans))
	}
	got, _ := k.read(everything, fine)
	k.wantCells(got, m.cells(nil))
}

// testReadersSeeWholeBatches holds that a batch is visible as a whole: each
// is one trace with both sides of a hop, so that no reader may ever see more
// client's sides than server's sides or an open hop.
func testReadersSeeWholeBatches(k *kit) {
	const batches = 200
	ctx := k.Context()
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for i := range uint64(batches) {
			pair := inTrace(i, client("a.default", "b.default", 1, 0), server("b.default", 2, 1))
			if _, err := k.Store.Write(ctx, &visibility.Batch{Source: source, Spans: pair}); err != nil {
				k.Errorf("write: %v", err)
				return
			}
		}
	})
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		got, cov := k.read(everything, 0)
		spans, requests := got.total(visibility.CountSpans).Count, got.total(visibility.CountRequests).Count
		if spans != 2*requests || cov.Open != 0 {
			k.Errorf("%d spans, %d requests, %d open: part of a batch is visible", spans, requests, cov.Open)
			break
		}
	}
	writing.Wait()
	if got, _ := k.read(everything, 0); got.total(visibility.CountRequests).Count != batches {
		k.Errorf("%d requests, want %d", got.total(visibility.CountRequests).Count, batches)
	}
}
