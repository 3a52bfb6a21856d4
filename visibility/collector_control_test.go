package visibility_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/visibility"
)

// fakeMetrics is a metric source.
type fakeMetrics struct {
	mu     sync.Mutex
	err    error
	asked  []visibility.Config
	closed bool
}

func (f *fakeMetrics) Collect(_ context.Context, c visibility.Config, at time.Time) (visibility.MetricSample, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, c)
	sample := visibility.MetricSample{Missing: []string{"absent_metric"}}
	for _, name := range c.CustomMetrics {
		sample.Points = append(sample.Points, visibility.MetricPoint{Name: name, Time: at, Value: 1})
	}
	return sample, f.err
}

func (f *fakeMetrics) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// fakeOpener hands out sources by URL.
type fakeOpener struct {
	traces  map[string]*fakeSource
	metrics map[string]*fakeMetrics
}

func (f fakeOpener) OpenTraces(_ context.Context, url string) (visibility.TraceSource, error) {
	if src := f.traces[url]; src != nil {
		return src, nil
	}
	return nil, errors.New("no such host")
}

func (f fakeOpener) OpenMetrics(_ context.Context, url string) (visibility.MetricSource, error) {
	if src := f.metrics[url]; src != nil {
		return src, nil
	}
	return nil, errors.New("no such host")
}

func sourceNames(c *visibility.Collector) []string {
	var names []string
	for _, s := range c.Status().Sources {
		names = append(names, string(s.Kind)+" "+s.Name)
	}
	return names
}

func TestCollectorIsConfiguredLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &fakeSource{}, &fakeSource{}
		prom := &fakeMetrics{}
		opener := fakeOpener{
			traces:  map[string]*fakeSource{"http://one:80": one, "http://two:80": two},
			metrics: map[string]*fakeMetrics{"http://prom:9090": prom},
		}
		b := newBench(t, func(o *visibility.CollectorOptions) {
			o.Traces, o.Opener = nil, opener
			o.Config = visibility.Config{Tracing: []string{"http://one:80"}}
		})
		now := time.Now()
		one.add(1, 1, "a", now.Add(-time.Second), now, time.Second)
		two.add(1, 1, "a", now.Add(-time.Second), now, time.Second) // the same span
		two.add(2, 1, "b", now.Add(-time.Second), now, time.Second)
		b.run()
		b.wantSpans(1)

		url := "http://prom:9090"
		config, err := b.c.Update(t.Context(), visibility.ConfigUpdate{
			Tracing: []string{"http://one:80", "http://two:80", "http://wrong:1"}, Monitoring: &url, CustomMetrics: []string{"up"},
		})
		if err != nil || len(config.Tracing) != 3 {
			t.Fatalf("config %+v, %v", config, err)
		}
		synctest.Wait() // at once, not after an interval
		b.wantSpans(2)
		want := []string{"metrics prometheus@prom:9090", "traces jaeger@one:80", "traces jaeger@two:80", "traces jaeger@wrong:1"}
		if got := sourceNames(b.c); !slices.Equal(got, want) {
			t.Errorf("sources %q, want %q", got, want)
		}
		for _, s := range b.c.Status().Sources {
			switch {
			case s.Name == "jaeger@wrong:1" && !strings.Contains(s.Error, "no such host"),
				s.Kind == visibility.SourceMetrics && (!slices.Equal(s.Missing, []string{"absent_metric"}) || s.Delivered != 1):
				t.Errorf("status %+v", s)
			}
		}

		config.Tracing, config.Monitoring = []string{"http://two:80"}, ""
		if err := b.c.Configure(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := sourceNames(b.c); !slices.Equal(got, []string{"traces jaeger@two:80"}) || !prom.closed {
			t.Errorf("sources %q, prometheus closed: %v", got, prom.closed)
		}
		asked := one.asked
		b.after(time.Minute)
		if one.asked != asked {
			t.Error("a source that was removed is still asked")
		}
		b.store.mustBalance(t)

		// A new collector takes the stored configuration, not its options'.
		b.restart(func(o *visibility.CollectorOptions) { o.Traces, o.Opener = nil, opener })
		if got := b.c.Config(); !got.Equal(config) {
			t.Errorf("config after a restart %+v, want %+v", got, config)
		}
	})
}

func TestCollectorTakesANewInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *visibility.CollectorOptions) {
			o.Config.SampleInterval = visibility.Interval(time.Hour)
		})
		b.run()
		before := b.status().Pulls // those of the look back
		b.after(59 * time.Minute)
		if n := b.status().Pulls - before; n != 0 {
			t.Errorf("%d pulls within an interval of an hour", n)
		}
		if _, err := b.c.Update(t.Context(), visibility.ConfigUpdate{SampleInterval: visibility.Interval(time.Second)}); err != nil {
			t.Fatal(err)
		}
		b.after(10500 * time.Millisecond)
		if n := b.status().Pulls - before; n != 11 {
			t.Errorf("%d pulls in 10.5 s, want 11", n)
		}
	})
}

func TestCollectorPausesAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "a", now.Add(-time.Second), now, time.Second)
		b.run()
		b.wantSpans(1)
		if err := b.c.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		asked := b.source.asked
		b.source.add(2, 1, "a", now.Add(time.Second), now.Add(time.Second), time.Second)
		b.after(time.Hour)
		if st := b.c.Status(); b.source.asked != asked || !st.Paused || !st.Running || len(st.Sources) != 0 {
			t.Errorf("asked %d times while paused; status %+v", b.source.asked-asked, st)
		}
		b.restart()
		b.run()
		b.after(time.Minute)
		if !b.c.Paused() || b.source.asked != asked {
			t.Error("the pause does not survive a restart")
		}
		if err := b.c.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.wantSpans(2) // what came during the pause is there
		if b.c.Paused() || len(b.store.state) != 0 {
			t.Errorf("state %v", b.store.state)
		}
	})
}

func TestCollectorInitIsIdempotent(t *testing.T) {
	b := newBench(t, func(o *visibility.CollectorOptions) { o.Config.Services = []string{"first"} })
	for range 2 {
		if name, err := b.c.Init(t.Context()); name != "memory" || err != nil {
			t.Fatalf("%q, %v", name, err)
		}
	}
	b.restart(func(o *visibility.CollectorOptions) { o.Config.Services = []string{"second"} })
	if _, err := b.c.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.c.Config().Services; !slices.Equal(got, []string{"first"}) {
		t.Errorf("services %q: an existing configuration was replaced", got)
	}
	if id := b.c.ID(); !strings.Contains(id, "-") {
		t.Errorf("ID %q", id)
	}
}

func TestCollectorRefusesBadInput(t *testing.T) {
	b := newBench(t)
	bad := visibility.Config{Services: []string{"a b"}}
	before := b.c.Config()
	if err := b.c.Configure(t.Context(), bad); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("Configure: %v", err)
	}
	if _, err := b.c.Update(t.Context(), visibility.ConfigUpdate{Tracing: []string{"x"}}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("Update: %v", err)
	}
	if !b.c.Config().Equal(before) || len(b.store.state) != 0 {
		t.Errorf("a bad configuration has changed something: %+v, %v", b.c.Config(), b.store.state)
	}
	if _, err := visibility.NewCollector(nil, visibility.CollectorOptions{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("without a store: %v", err)
	}
	if _, err := visibility.NewCollector(b.store, visibility.CollectorOptions{Config: bad}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("with a bad configuration: %v", err)
	}
	b.store.state["collector.config"] = []byte("{")
	if _, err := visibility.NewCollector(b.store, visibility.CollectorOptions{}); err == nil || !strings.Contains(err.Error(), "stored configuration") {
		t.Errorf("with a broken stored configuration: %v", err)
	}
}

func TestCollectorRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run()
		if err := b.c.Run(t.Context()); err == nil {
			t.Error("a second Run is accepted")
		}
		b.stop()
		if b.c.Status().Running {
			t.Error("still running")
		}
		b.run() // again is fine
	})
}

func TestCollectorDoesNotReadAgainWhatWasCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "a", now.Add(-time.Second), now, time.Second)
		b.run()
		b.wantSpans(1)
		if err := b.c.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.after(5 * time.Minute)
		b.wantSpans(0)
	})
}
