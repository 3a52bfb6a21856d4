package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/opnfv/clover/visibility"
)

// metricsName is the file with the metrics, a name that engines leave out
// when they read spans.
const metricsName = "_metrics.parquet"

// metricRow is a point in the file.
type metricRow struct {
	Name    string  `parquet:"name,dict"`
	Service string  `parquet:"service,dict"` // "": none
	Time    int64   `parquet:"time_ns,delta"`
	Value   float64 `parquet:"value"`
}

// pointsPage is how many points of a metric are read at once.
const pointsPage = visibility.MaxLimit

// ExportMetrics writes all metric points of a store into the file
// DIR/_metrics.parquet, in place of what was there, and returns their number.
func ExportMetrics(ctx context.Context, from visibility.MetricReader, dir string) (points int64, err error) {
	return ExportMetricsTo(ctx, from, Dir(dir))
}

// ExportMetricsTo is ExportMetrics for any folder.
func ExportMetricsTo(ctx context.Context, from visibility.MetricReader, folder Folder) (points int64, err error) {
	err = folder.Replace(ctx, metricsName, func(out io.Writer) error {
		w := parquet.NewGenericWriter[metricRow](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows))
		series, err := from.Metrics(ctx, visibility.MetricQuery{Limit: 1})
		if err != nil {
			return err
		}
		for i := range series {
			n, err := writeSeries(ctx, from, w, &series[i])
			if err != nil {
				return fmt.Errorf("%s: %w", series[i].Name, err)
			}
			points += n
		}
		return w.Close()
	})
	if err != nil {
		return 0, fmt.Errorf("export metrics: %w", err)
	}
	return points, nil
}

// writeSeries writes the points of a metric, from the newest back.
func writeSeries(ctx context.Context, from visibility.MetricReader, w *parquet.GenericWriter[metricRow], s *visibility.MetricSeries) (written int64, err error) {
	q := visibility.MetricQuery{Name: s.Name, Service: s.Service, Limit: pointsPage}
	for {
		list, err := from.Metrics(ctx, q)
		if err != nil {
			return written, err
		}
		var points []visibility.MetricPoint
		for i := range list { // others match too: names of services are alike with _ and -
			if list[i].Name == s.Name && list[i].Service == s.Service {
				points = list[i].Points
			}
		}
		rows := make([]metricRow, len(points))
		for i, p := range points {
			rows[i] = metricRow{p.Name, p.Service, p.Time.UnixNano(), p.Value}
		}
		if _, err := w.Write(rows); err != nil {
			return written, err
		}
		written += int64(len(rows))
		if len(points) < pointsPage {
			return written, nil
		}
		q.Range.To = points[0].Time
	}
}

// readMetrics calls yield with the points of an export, some hundreds at
// once. It may have none.
func readMetrics(ctx context.Context, folder Folder, yield func([]visibility.MetricPoint) error) (err error) {
	f, err := folder.Open(ctx, metricsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	file, err := parquet.OpenFile(f, f.Size())
	if err != nil {
		return fmt.Errorf("%s of %s: %w", metricsName, folder, err)
	}
	r := parquet.NewGenericReader[metricRow](file)
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := make([]metricRow, readRows)
		n, readErr := r.Read(rows)
		points := make([]visibility.MetricPoint, n)
		for i, row := range rows[:n] {
			points[i] = visibility.MetricPoint{Name: row.Name, Service: row.Service, Time: time.Unix(0, row.Time).UTC(), Value: row.Value}
		}
		if n > 0 {
			if err := yield(points); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("%s of %s: %w", metricsName, folder, readErr)
		}
	}
}
