package cassandra

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

const defaultMetricPoints = 100

const (
	insertPoint = `INSERT INTO metrics (m_name, day, service, monitor_time, m_value, m_time, writer, version)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?`
	insertSeries = "INSERT INTO series (day, m_name, service, name, service_name) VALUES (?, ?, ?, ?, ?) USING TTL ?"
)

// metricRows returns the rows of the points of the commit at hand. A point
// that is there already is replaced.
func (c *committer) metricRows() [][]statement {
	type partition struct {
		name string
		day  int
	}
	type seriesKey struct {
		partition
		service string
	}
	points := map[partition][]statement{}
	series := map[int][]statement{}
	seen := map[seriesKey]bool{}
	for i := range c.g.points {
		p := &c.g.points[i]
		at := partition{keyName(p.Name), dayOf(p.Time)}
		service := keyName(p.Service)
		points[at] = append(points[at], statement{cql: insertPoint, size: 120, args: []any{
			at.name, at.day, service, p.Time, p.Value, p.Time, c.opts.Writer, int64(c.g.version), c.ttl(),
		}})
		if k := (seriesKey{at, service}); !seen[k] {
			seen[k] = true
			series[at.day] = append(series[at.day], statement{cql: insertSeries, size: 100 + len(p.Name) + len(p.Service), args: []any{
				at.day, at.name, service, []byte(p.Name), []byte(p.Service), c.ttl(),
			}})
		}
	}
	var lists [][]statement
	for _, list := range points {
		lists = append(lists, list)
	}
	for _, list := range series {
		lists = append(lists, list)
	}
	return lists
}

// metricSeries is a series and the days that have points of it, newest first.
type metricSeries struct {
	key, serviceKey string
	days            []int
	visibility.MetricSeries
}

// Metrics implements visibility.MetricReader.
func (s *Store) Metrics(ctx context.Context, q visibility.MetricQuery) ([]visibility.MetricSeries, error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if q.Limit <= 0 {
		q.Limit = defaultMetricPoints
	}
	v, err := s.view(ctx, visibility.Range{})
	if err != nil {
		return nil, err
	}
	q.Range.From = later(q.Range.From, v.floor)
	all, err := s.series(ctx, q)
	if err != nil {
		return nil, failure(ctx, err)
	}
	err = each(ctx, len(all), readers, func(ctx context.Context, i int) error { return s.points(ctx, v.snap, all[i], q) })
	var list []visibility.MetricSeries
	for _, m := range all {
		if len(m.Points) > 0 {
			slices.Reverse(m.Points)
			list = append(list, m.MetricSeries)
		}
	}
	slices.SortFunc(list, func(a, b visibility.MetricSeries) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Service, b.Service))
	})
	return list, failure(ctx, err)
}

// metricDays returns the days that a range of points covers, newest first.
// Without a retention a range without a beginning goes back ten years.
func (s *Store) metricDays(r visibility.Range) (days []int) {
	now := s.opts.Clock()
	to := r.To
	if to.IsZero() {
		to = now.Add(24 * time.Hour)
	}
	from := r.From
	if oldest := now.Add(-max(s.opts.Retention, 0)).Add(-48 * time.Hour); s.opts.Retention > 0 {
		from = later(from, oldest)
	}
	from = later(from, now.AddDate(-10, 0, 0))
	for day := dayOf(to); day >= dayOf(from); day-- {
		days = append(days, day)
	}
	return days
}

// series lists what q selects.
func (s *Store) series(ctx context.Context, q visibility.MetricQuery) ([]*metricSeries, error) {
	days := s.metricDays(q.Range)
	found := make([][]*metricSeries, len(days))
	err := each(ctx, len(days), readers, func(ctx context.Context, i int) error {
		iter := s.session.Query("SELECT m_name, service, name, service_name FROM series WHERE day = ?", days[i]).IterContext(ctx)
		var name, service []byte
		for {
			m := &metricSeries{days: days[i : i+1]}
			if !iter.Scan(&m.key, &m.serviceKey, &name, &service) {
				break
			}
			m.Name, m.Service = string(name), string(service)
			if (q.Name == "" || q.Name == m.Name) && (q.Service == "" || visibility.SameService(q.Service, m.Service)) {
				found[i] = append(found[i], m)
			}
			name, service = nil, nil
		}
		return iter.Close()
	})
	byName := map[[2]string]*metricSeries{}
	var list []*metricSeries
	for _, day := range found {
		for _, m := range day {
			k := [2]string{m.Name, m.Service}
			if known := byName[k]; known != nil {
				known.days = append(slices.Clip(known.days), m.days...)
				continue
			}
			byName[k] = m
			list = append(list, m)
		}
	}
	return list, err
}

// points reads the newest points of a series, newest first.
func (s *Store) points(ctx context.Context, snap snapshot, m *metricSeries, q visibility.MetricQuery) error {
	to := q.Range.To
	if to.IsZero() {
		to = time.Unix(1<<40, 0)
	}
	for _, day := range m.days {
		iter := s.session.Query(`SELECT monitor_time, m_value, writer, version FROM metrics
			WHERE m_name = ? AND day = ? AND service = ? AND monitor_time >= ? AND monitor_time < ?`,
			m.key, day, m.serviceKey, later(q.Range.From, time.Unix(0, 0)), to).PageSize(min(pageSize, q.Limit)).IterContext(ctx)
		p := visibility.MetricPoint{Name: m.Name, Service: m.Service}
		var writer string
		var v version
		for len(m.Points) < q.Limit && iter.Scan(&p.Time, &p.Value, &writer, &v) {
			if snap.visible(writer, v) {
				p.Time = p.Time.UTC()
				m.Points = append(m.Points, p)
			}
		}
		if err := iter.Close(); err != nil {
			return err
		}
		if len(m.Points) >= q.Limit {
			return nil
		}
	}
	return nil
}

// countMetrics counts the stored metric points.
func (s *Store) countMetrics(ctx context.Context, v *view) (n int64, err error) {
	q := visibility.MetricQuery{Range: visibility.Range{From: v.floor}, Limit: 1 << 30}
	all, err := s.series(ctx, q)
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	err = each(ctx, len(all), readers, func(ctx context.Context, i int) error {
		m := all[i]
		err := s.points(ctx, v.snap, m, q)
		mu.Lock()
		defer mu.Unlock()
		n += int64(len(m.Points))
		m.Points = nil
		return err
	})
	return n, err
}
