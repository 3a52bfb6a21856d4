package parquet_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

func TestEncode(t *testing.T) {
	all := spans()
	data, err := parquet.Encode(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Decode(data)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%d of %d spans, %v", len(got), len(all), err)
	}
	if none, err := parquet.Encode(nil); len(none) != 0 || err != nil {
		t.Errorf("of no spans: %q, %v", none, err)
	}
	for _, n := range []int{1, 8, len(data) / 2, len(data) - 1} {
		if _, err := parquet.Decode(data[:n]); !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

// manyPoints has a metric with more points than are read at once, and one that
// is alike.
type manyPoints struct{ n int }

func (m manyPoints) Metrics(_ context.Context, q visibility.MetricQuery) (list []visibility.MetricSeries, err error) {
	for _, service := range []string{"a-b", "a_b"} {
		s := visibility.MetricSeries{Name: "up", Service: service}
		for i := range m.n {
			at := epoch.Add(time.Duration(i) * time.Second)
			if q.Range.To.IsZero() || at.Before(q.Range.To) {
				s.Points = append(s.Points, visibility.MetricPoint{Name: "up", Service: service, Time: at, Value: float64(i)})
			}
		}
		s.Points = s.Points[max(0, len(s.Points)-q.Limit):]
		if len(s.Points) > 0 {
			list = append(list, s)
		}
	}
	return list, nil
}

// points takes what is imported.
type points map[string]int

func (p points) Write(_ context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	for _, m := range b.Metrics {
		p[fmt.Sprint(m.Service, m.Time.Unix(), m.Value)]++
	}
	return visibility.Receipt{}, nil
}

func TestMetrics(t *testing.T) {
	for _, n := range []int{0, 3, visibility.MaxLimit, 2*visibility.MaxLimit + 5} {
		dir, got := t.TempDir(), points{}
		written, err := parquet.ExportMetrics(t.Context(), manyPoints{n}, dir)
		if err != nil || written != int64(2*n) {
			t.Errorf("%d points of 2 * %d, %v", written, n, err)
		}
		if _, err := parquet.Import(t.Context(), dir, got, nil); err != nil || len(got) != 2*n {
			t.Errorf("%d different points of 2 * %d, %v", len(got), n, err)
		}
		for key, times := range got {
			if times != 1 {
				t.Fatalf("%s came %d times", key, times)
			}
		}
	}
}
