package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

const defaultMetricPoints = 100

// Metrics implements visibility.MetricReader.
func (s *Store) Metrics(ctx context.Context, q visibility.MetricQuery) ([]visibility.MetricSeries, error) {
	if q.Limit <= 0 {
		q.Limit = defaultMetricPoints
	}
	var list []visibility.MetricSeries
	err := s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		it, err := snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMetric}, UpperBound: []byte{spaceMetric + 1}})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			id := binary.BigEndian.Uint32(it.Key()[1:])
			series, err := snap.metric(it, id, q)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return errors.Join(err, it.Close())
			}
			if len(series.Points) > 0 {
				list = append(list, series)
			}
			ok = it.SeekGE(idKey(spaceMetric, id+1))
		}
		return it.Close()
	})
	slices.SortFunc(list, func(a, b visibility.MetricSeries) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Service, b.Service)
	})
	return list, err
}

// metric reads the newest points of one metric, if q selects it.
func (snap *snapshot) metric(it *pebble.Iterator, id uint32, q visibility.MetricQuery) (visibility.MetricSeries, error) {
	if int(id) >= len(snap.strings) {
		return visibility.MetricSeries{}, storekit.ErrCorrupt
	}
	name, service, _ := strings.Cut(snap.strings[id], "\x00")
	series := visibility.MetricSeries{Name: name, Service: service}
	if (q.Name != "" && q.Name != name) || (q.Service != "" && !visibility.SameService(q.Service, service)) {
		return series, nil
	}
	from, to := idKey(spaceMetric, id), idKey(spaceMetric, id+1)
	if !q.Range.From.IsZero() {
		from = binary.BigEndian.AppendUint64(from, uint64(q.Range.From.UnixMilli()))
	}
	if !q.Range.To.IsZero() {
		to = binary.BigEndian.AppendUint64(idKey(spaceMetric, id), uint64(q.Range.To.UnixMilli()))
	}
	for ok := it.SeekLT(to); ok && len(series.Points) < q.Limit; ok = it.Prev() {
		key, value := it.Key(), it.Value()
		if slices.Compare(key, from) < 0 {
			break
		}
		if len(key) != 13 || len(value) != 8 {
			return series, storekit.ErrCorrupt
		}
		series.Points = append(series.Points, visibility.MetricPoint{
			Name: name, Service: service,
			Time:  time.UnixMilli(int64(binary.BigEndian.Uint64(key[5:]))).UTC(),
			Value: math.Float64frombits(binary.BigEndian.Uint64(value)),
		})
	}
	slices.Reverse(series.Points)
	return series, it.Error()
}
