package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

// Bounds of a page of an export.
const (
	defaultExported = 500  // traces
	maxExported     = 5000 // spans, unless one trace has more
)

// ExportTraces implements v1.VisibilityServiceServer.
func (l *Local) ExportTraces(ctx context.Context, req *v1.ExportTracesRequest) (*v1.ExportTracesResponse, error) {
	r, err := fromRange("range", req.GetRange(), l.deps.Clock())
	if err == nil && (r.From.IsZero() || !r.From.Before(r.To)) { // the clock of a span may be ahead
		r, err = l.deps.Analytics.ResolveRange(r)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	limit := int(req.GetPageSize())
	if limit < 0 || limit > visibility.MaxLimit {
		return nil, invalid(fmt.Sprintf("page_size: %d is not between 1 and %d", limit, visibility.MaxLimit))
	}
	def(&limit, defaultExported)
	q := visibility.TraceQuery{Range: r, Limit: limit, Cursor: req.GetPageToken()}
	spans, next, err := parquet.ReadPage(ctx, l.deps.Store, q, maxExported)
	if err != nil && req.GetPageToken() != "" {
		return nil, inField("page_token", err)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	data, err := parquet.Encode(spans)
	return &v1.ExportTracesResponse{Spans: data, NextPageToken: next}, asStatus(err)
}

// Import implements v1.VisibilityServiceServer. It is no matter of collecting:
// also while that is stopped.
func (l *Local) Import(ctx context.Context, req *v1.ImportRequest) (*v1.ImportResponse, error) {
	spans, err := parquet.Decode(req.GetSpans())
	if err != nil {
		return nil, inField("spans", err)
	}
	points, err := fromSeries(req.GetMetrics())
	if err != nil {
		return nil, err
	}
	receipt, err := l.deps.Store.Write(ctx, &visibility.Batch{Source: parquet.ImportSource, Spans: spans, Metrics: points})
	if err != nil {
		return nil, asStatus(err)
	}
	if len(req.GetLedger()) > 0 {
		if err := l.importLedger(ctx, req.GetLedger()); err != nil {
			return nil, asStatus(err)
		}
	}
	out := &v1.ImportResponse{
		Kept: int64(receipt.Kept), Duplicates: int64(receipt.Duplicates), Spooled: int64(receipt.Spooled),
		Rejected: map[string]int64{},
	}
	for reason, n := range receipt.Rejected {
		out.Rejected[reason] = int64(n)
	}
	return out, nil
}

func fromSeries(list []*v1.MetricSeries) (points []visibility.MetricPoint, err error) {
	for i, s := range list {
		if s.GetName() == "" {
			return nil, invalid(fmt.Sprintf("metrics[%d].name: a name is needed", i))
		}
		for j, p := range s.GetPoints() {
			if err := p.GetTime().CheckValid(); err != nil {
				return nil, invalid(fmt.Sprintf("metrics[%d].points[%d].time: %v", i, j, err))
			}
			points = append(points, visibility.MetricPoint{
				Name: s.GetName(), Service: s.GetService(), Time: p.GetTime().AsTime(), Value: p.GetValue(),
			})
		}
	}
	return points, nil
}

// importLedger takes over what the accounts of another store say of spans
// that it does not have, and how far it had read the sources that this one
// has not read yet.
func (l *Local) importLedger(ctx context.Context, entries []*v1.LedgerEntry) error {
	l.importing.Lock() // what is there is read and then added to
	defer l.importing.Unlock()
	have, err := l.deps.Store.Ledger(ctx)
	if err != nil {
		return err
	}
	for source, b := range ledgerToImport(entries, have) {
		b.Source = source
		if _, err := l.deps.Store.Write(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// importedPrefix is before the names of sources whose losses came from
// another store.
const importedPrefix = parquet.ImportSource + ":"

// fate names a number of an account: of whom, and what became of the spans.
type fate struct {
	source, service string
	visibility.Fate
	reason string
}

// ledgerToImport is what is to be written, by source. Losses keep apart from
// a store's own, so that those that were imported before are known and only
// what is more counts. Those that the other store has from a third one, which
// may be this one, do not count again where it has as many of its own.
func ledgerToImport(entries []*v1.LedgerEntry, have []visibility.LedgerEntry) map[string]*visibility.Batch {
	batches := map[string]*visibility.Batch{}
	batch := func(source string) *visibility.Batch {
		if batches[source] == nil {
			batches[source] = &visibility.Batch{Watermarks: map[string]time.Time{}}
		}
		return batches[source]
	}
	there, marked := map[fate]int64{}, map[[2]string]bool{}
	for i := range have {
		e := &have[i]
		marked[[2]string{e.Source, e.Service}] = !e.Watermark.IsZero()
		losses(e.Source, e.Service, e.Truncated, e.Rejected, e.Dropped, func(f fate, n int64) { there[f] = n })
	}
	own, others, all := map[fate]int64{}, map[fate]int64{}, map[fate]bool{}
	for _, e := range entries {
		if e.GetSource() == parquet.ImportSource {
			continue // what an import was given and could not store was told then
		}
		source, list := e.GetSource(), own
		if name, ok := strings.CutPrefix(source, importedPrefix); ok {
			source, list = name, others
		}
		losses(source, e.GetService(), e.GetTruncated(), e.GetRejected(), e.GetDropped(), func(f fate, n int64) { list[f], all[f] = n, true })
		if e.GetWatermark().CheckValid() == nil && !marked[[2]string{e.GetSource(), e.GetService()}] {
			batch(e.GetSource()).Watermarks[e.GetService()] = e.GetWatermark().AsTime()
		}
	}
	for f := range all {
		imported := f
		imported.source = importedPrefix + f.source
		if n := own[f] + others[f] - min(others[f], there[f]) - there[imported]; n > 0 {
			b := batch(imported.source)
			b.Ledger = append(b.Ledger, visibility.Loss{Service: f.service, Fate: f.Fate, Reason: f.reason, Count: n})
		}
	}
	return batches
}

// losses calls yield with each number of spans that an account says are lost.
func losses(source, service string, truncated int64, rejected, dropped map[string]int64, yield func(fate, int64)) {
	if truncated > 0 {
		yield(fate{source, service, visibility.FateTruncated, ""}, truncated)
	}
	for reason, n := range rejected {
		yield(fate{source, service, visibility.FateRejected, reason}, n)
	}
	for reason, n := range dropped {
		yield(fate{source, service, visibility.FateDropped, reason}, n)
	}
}
