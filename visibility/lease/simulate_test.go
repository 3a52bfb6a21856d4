package lease

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/visibility"
)

// setting reads the size of a simulation from the environment.
func setting(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv("CLOVER_SIMULATE_" + name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("CLOVER_SIMULATE_%s: %v", name, err)
	}
	return n
}

// TestSimulatedScale runs real collectors and groups against a modelled source
// and a modelled store, in virtual time: steady, after many died at once, and
// after the store was away. 'make simulate-scale' runs it large; what it
// prints is in docs/scale.md.
func TestSimulatedScale(t *testing.T) {
	m := newModel(setting(t, "SERVICES", 20), setting(t, "COLLECTORS", 3), float64(setting(t, "SPANS", 20_000)))
	m.interval = time.Duration(setting(t, "INTERVAL", 2)) * time.Second
	synctest.Test(t, func(t *testing.T) { m.simulate(t) })
	t.Log("\n" + m.report.String())
}

// simulate is one run.
func (m *model) simulate(t *testing.T) {
	m.start = time.Now()
	stops := make([]func(), m.collectors)
	kills := make([]func(), m.collectors)
	for i := range m.collectors {
		kills[i], stops[i] = m.join(t, i)
	}
	time.Sleep(3 * time.Minute) // the first look back, 15 min, is read
	m.phase(t, "steady", func() { time.Sleep(time.Minute) })

	dying := max(m.collectors*3/10, 1)
	died := time.Now()
	for i := range dying {
		kills[i]()
	}
	m.recovery(t, fmt.Sprintf("%d of %d collectors died at once", dying, m.collectors), died)
	m.phase(t, "with those left", func() { time.Sleep(time.Minute) })
	for i := range dying {
		kills[i], stops[i] = m.join(t, i)
	}
	m.phase(t, "after as many came back", func() { time.Sleep(time.Minute) })

	m.away(true)
	time.Sleep(30 * time.Second)
	m.away(false)
	m.recovery(t, "the store was away for 30 s", time.Now())
	for _, stop := range stops {
		stop()
	}
	m.check(t)
}

// join runs a collector.
func (m *model) join(t *testing.T, number int) (kill, stop func()) {
	t.Helper()
	m.joined++
	w := &worker{model: m, parts: map[string]float64{}, pending: map[string][]reading{}}
	m.mu.Lock()
	m.workers = append(m.workers, w)
	m.mu.Unlock()
	id := fmt.Sprintf("clover-collector-%d-%d", number, m.joined)
	g, err := New(w, Options{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	c, err := visibility.NewCollector(w, visibility.CollectorOptions{
		ID: id, Share: g, Traces: map[string]visibility.TraceSource{"mesh": w}, RecentSpans: 1, QuerySpans: 500 / spanWeight, Config: visibility.Config{SampleInterval: visibility.Interval(m.interval)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- g.Run(ctx) }()
	go func() { done <- c.Run(ctx) }()
	stop = func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	return func() { w.dead.Store(true); stop() }, stop
}

// phase measures what happens meanwhile.
func (m *model) phase(t *testing.T, name string, run func()) {
	t.Helper()
	m.mu.Lock()
	began, read, swaps, lost, moved := time.Now(), m.read, m.swaps, m.lost, m.moved
	for _, w := range m.workers {
		w.mark = w.read
	}
	m.mu.Unlock()
	run()
	m.mu.Lock()
	defer m.mu.Unlock()
	passed := time.Since(began).Seconds()
	var loads []float64
	for _, w := range m.workers {
		if !w.dead.Load() {
			loads = append(loads, (w.read-w.mark)/passed)
		}
	}
	sum := 0.0
	for _, l := range loads {
		sum += l
	}
	fmt.Fprintf(&m.report, "%s: %d collectors; each span read %.1f times; busiest collector %.2f of the mean; %s; %d services moved; compare-and-set %.1f/s, %.0f %% of them in vain\n",
		name, len(loads), (m.read-read)/passed/m.total, slices.Max(loads)/(sum/float64(len(loads))), m.lags(), m.moved-moved, float64(m.swaps-swaps)/passed, 100*float64(m.lost-lost)/math.Max(float64(m.swaps-swaps), 1))
}

// lags says how far behind the services are read.
func (m *model) lags() string {
	var lags []time.Duration
	for _, at := range m.marks {
		lags = append(lags, time.Since(at))
	}
	slices.Sort(lags)
	at := func(share float64) time.Duration {
		return lags[int(share*float64(len(lags)-1))].Round(100 * time.Millisecond)
	}
	return fmt.Sprintf("behind by %v (median), %v (99 %%), %v (most)", at(.5), at(.99), at(1))
}

// recovery waits until every service has been read after a time.
func (m *model) recovery(t *testing.T, what string, since time.Time) {
	t.Helper()
	var first time.Duration
	for {
		m.mu.Lock()
		read := 0
		for _, at := range m.marks {
			if at.After(since) {
				read++
			}
		}
		m.mu.Unlock()
		passed := time.Since(since)
		if read >= len(m.rates)*9/10 && first == 0 {
			first = passed
		}
		if read == len(m.rates) {
			fmt.Fprintf(&m.report, "%s: 90 %% of the services are read again after %.1f s, all after %.1f s\n", what, first.Seconds(), passed.Seconds())
			return
		}
		if passed > 5*time.Minute {
			t.Errorf("%s: %d of %d services are read again after %v", what, read, len(m.rates), passed)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// check holds that everything before each watermark was delivered.
func (m *model) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for service, mark := range m.marks {
		if got := m.delivered[service].end(m.start); got.Before(mark) {
			t.Errorf("%s: the watermark is %v ahead of what was delivered", service, mark.Sub(got))
		}
		old := mark.Add(-latest - latest/10)
		if got := m.late[service].end(m.start.Add(-5 * time.Minute)); got.Before(old) {
			t.Errorf("%s: up to %v before the watermark it was not looked for spans that are late by %v", service, mark.Sub(got), latest)
		}
	}
	hottest := slices.Max(m.ratesOnly())
	fmt.Fprintf(&m.report, "nothing before a watermark was left out; the hottest of %d services has %.1f %% of the spans\n", len(m.rates), 100*hottest/m.total)
}

func (m *model) ratesOnly() (list []float64) {
	for _, r := range m.rates {
		list = append(list, r)
	}
	return list
}
