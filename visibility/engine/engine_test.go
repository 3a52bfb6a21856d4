package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func at(hours float64) time.Time { return noon.Add(time.Duration(hours * float64(time.Hour))) }

// hourly are files of 1000 spans for each hour from one to the other.
func hourly(from, through int) *Files {
	f := &Files{From: at(float64(from)), Through: at(float64(through)), Window: time.Hour}
	for h := from; h < through; h++ {
		f.List = append(f.List, File{From: at(float64(h)), Spans: 1000})
	}
	return f
}

// TestDecide asks at 13:30 with a store of six hours of 1000 spans each, from
// 07:10 to 13:10.
func TestDecide(t *testing.T) {
	store := visibility.StoreStats{Spans: 6000, Rows: 10, Oldest: at(-4.9), Newest: at(1.1)}
	for _, c := range []struct {
		name     string
		from, to float64
		files    *Files
		change   func(*facts)
		want     Name
		reason   string
	}{
		{"no Spark", -2, 0, nil, func(f *facts) { f.spark = false }, Store, "no Spark server is configured"},
		{"the store's own spans", -2, 0, nil, func(f *facts) { f.same = true }, Store, "rollups of the spans that Spark"},
		{"files by URL", -2, 0, nil, nil, Store, "not known here"},
		{"files that cannot be read", -2, 0, nil, func(f *facts) { f.filesErr = errors.New("no such folder") }, Store, "no such folder"},
		{"no files", -2, 0, &Files{}, nil, Store, "no files"},
		{"both have it", -2, 0, hourly(-10, 1), nil, Store, "about 1999 to read; Spark would read 2000 spans"},
		{"the last minutes", 1.25, 1.5, hourly(-10, 1), nil, Store, "rollups of all of the range"},
		{"not in the files yet", -2, 1.5, hourly(-10, 1), nil, Store, "from 2026-03-02T02:00:00Z to 2026-03-02T13:00:00Z, lack 6m1s"},
		{"the files begin later", -3, 0, hourly(-1, 1), nil, Store, "lack 2h0m0s"},
		{"in the files only", -8, 0, hourly(-10, 1), nil, Spark, "3000 spans of the range are in its files only; the store begins at 2026-03-02T07:06:00Z"},
		{"of the files only a part", -12, 0, hourly(-10, 1), nil, Spark, "the store begins at 2026-03-02T07:06:00Z, its files at 2026-03-02T02:00:00Z"},
		{"an hour in part", -4.95, 0, hourly(-10, 1), nil, Store, "rollups of all of the range"},
		{"before both", -20, 0, hourly(-5, 1), nil, Store, "rollups of all of the range"},
		{"each lacks something, the files less", -8, 1.5, hourly(-10, 1), nil, Spark, "what the files do not have, 6m1s of the range, is less"},
		{"each lacks something, the store less", -6, 1.5, hourly(-10, -3), nil, Store, "lack 4h6m1s of the range, and the store less, 1000 spans"},
		{"an empty store", -2, 0, hourly(-10, 1), func(f *facts) { f.store = visibility.StoreStats{} }, Spark, "2000 spans of the range are in its files only; the store is empty"},
		{"too much to read", -2, 0, hourly(-10, 1), func(f *facts) { f.maxRollups = 1998 }, Spark, "about 1999 rollups, and more than 1998 are too many"},
		{"too much, but not in the files", -2, 1.5, hourly(-10, 1), func(f *facts) { f.maxRollups = 1998 }, Store, "lack 6m1s"},
		{"many spans, few rows", -2, 0, hourly(-10, 1), func(f *facts) { f.store.Spans, f.store.Rows = 6e9, 1 }, Store, "about 720 to read"},
	} {
		f := facts{rng: visibility.Range{From: at(c.from), To: at(c.to)}, store: store, spark: true, files: c.files, maxRollups: 5000}
		if c.change != nil {
			c.change(&f)
		}
		if got, reason := f.decide(); got != c.want || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %s because %s; want %s because %s", c.name, got, reason, c.want, c.reason)
		}
	}
}

// away is a Spark that nobody reaches.
type away struct{}

func (away) Query(context.Context, string, func([]any) error) error {
	return fmt.Errorf("connect: %w", visibility.ErrUnavailable)
}

// vanishing is a Spark that misses a file once.
type vanishing struct{ asked int }

func (v *vanishing) Query(_ context.Context, statement string, yield func([]any) error) error {
	if v.asked++; v.asked == 1 {
		return errors.New("org.apache.spark.SparkFileNotFoundException: File /spans/day=2026-03-02/spans-120000.parquet does not exist")
	}
	if strings.HasPrefix(statement, "SELECT min(start_ns)") {
		return yield([]any{noon.UnixNano()})
	}
	return nil
}

// TestFileThatGoes holds that Spark is asked again when a file goes between
// its list and its reading.
func TestFileThatGoes(t *testing.T) {
	spark := &vanishing{}
	chooser, err := New(Options{
		Store: storetest.NewReference(storetest.Options{}), Spark: &SparkSQL{DB: spark, Table: "spans"},
		Analytics: visibility.AnalyticsOptions{Clock: func() time.Time { return at(2) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, why, err := chooser.Ask(t.Context(), visibility.Query{Range: visibility.Range{From: at(-3), To: at(2)}}, Spark)
	if err != nil || why.Engine != Spark || spark.asked < 2 {
		t.Errorf("asked %d times: %+v, %v", spark.asked, why, err)
	}
}

// TestAsk holds what is said of the store, and what happens without Spark.
func TestAsk(t *testing.T) {
	clock := func() time.Time { return at(2) }
	store := storetest.NewReference(storetest.Options{Clock: clock})
	spans := storetest.RandomSpans(1, 20, noon, time.Hour)
	if _, err := store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans}); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: store, Analytics: visibility.AnalyticsOptions{Clock: clock}}
	q := visibility.Query{Range: visibility.Range{From: at(-3), To: at(2)}, GroupBy: []visibility.Dimension{visibility.Service}}
	spark := &SparkSQL{DB: away{}, Table: "spans", Files: func(context.Context) (Files, error) { return *hourly(-10, 2), nil }}
	for _, c := range []struct {
		name   Name
		spark  *SparkSQL
		err    error
		reason string
	}{
		{Store, nil, nil, "it was asked for"},
		{Auto, nil, nil, "no Spark server is configured"},
		{Spark, nil, ErrNotConfigured, ""},
		{Auto, spark, nil, "Spark cannot be reached (query: spark: oldest span: connect: unavailable); it was chosen because 2000 spans"},
		{Spark, spark, visibility.ErrUnavailable, ""},
	} {
		o.Spark = c.spark
		chooser, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		res, why, err := chooser.Ask(t.Context(), q, c.name)
		if c.err != nil {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
			continue
		}
		if err != nil || why.Engine != Store || !strings.Contains(why.Reason, c.reason) {
			t.Errorf("%s: %+v, %v; want %q", c.name, why, err, c.reason)
			continue
		}
		if res.Total.Count == 0 || why.Store.Read <= 0 || why.Store.Read > int64(len(spans)) || why.Real.Read <= 0 || why.Real.Returned != -1 || why.Real.Elapsed <= 0 {
			t.Errorf("%s: %d requests, %+v", c.name, res.Total.Count, why)
		}
		if known := why.Spark.Read >= 0; known != (c.spark != nil) {
			t.Errorf("%s: estimate of Spark %+v", c.name, why.Spark)
		}
	}
	if _, err := ParseName("hadoop"); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("an engine that is not known: %v", err)
	}
	if _, err := New(Options{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no store: %v", err)
	}
}
