package visibilityredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/redistest"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

func TestMerge(t *testing.T) {
	words := func(s string) []string { return strings.Fields(s) }
	for _, c := range []struct{ ours, theirs, agreed, want string }{
		{"", "", "", ""},
		{"b a", "", "", "b a"},                // nothing was agreed: nothing is removed
		{"", "b a", "", "a b"},                //
		{"a-1 c", "a_1 b", "", "a-1 c b"},     // ours is spelled and ordered as it was
		{"a", "a b", "a", "a b"},              // they added
		{"a b", "a", "a", "a b"},              // we added
		{"a b", "a", "a b", "a"},              // they removed
		{"a", "a b", "a b", "a"},              // we removed
		{"a c", "a d", "a b", "a c d"},        // both removed b, and each added one
		{"a_1", "A-1", "a-1", "a_1"},          // the same, by other names
		{"a b", "", "a b", ""},                // they removed all
		{"x", "y", "x y", ""},                 // each removed the other's
		{"", "a-1 a_1", "", "a-1"},            // once only
		{"a.default", "a", "", "a.default a"}, // a name with its namespace is another
	} {
		got := configSets[0].merge(words(c.ours), words(c.theirs), words(c.agreed))
		if want := words(c.want); !slices.Equal(got, want) {
			t.Errorf("%q and %q after %q: %q, want %q", c.ours, c.theirs, c.agreed, got, want)
		}
	}
}

// FuzzMerge holds what merging is for: both sides end up with the same, what
// only one side changed is as that side wants it, and once more changes
// nothing.
func FuzzMerge(f *testing.F) {
	f.Add("a b-c", "b_c d", "a")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		set := &configSets[0]
		ours, theirs, agreed := strings.Fields(a), strings.Fields(b), strings.Fields(c)
		merged := set.merge(ours, theirs, agreed)
		add, remove := set.edits(theirs, merged)
		after := slices.DeleteFunc(slices.Concat(theirs, add), func(s string) bool { return slices.Contains(remove, s) })
		if !set.equal(after, merged) {
			t.Errorf("%q with %q and without %q is %q, want %q", theirs, add, remove, after, merged)
		}
		if again := set.merge(merged, after, merged); !slices.Equal(again, merged) {
			t.Errorf("merged again: %q, then %q", merged, again)
		}
		if got := set.merge(agreed, theirs, agreed); !set.equal(got, theirs) {
			t.Errorf("we changed nothing of %q: %q, want %q", agreed, got, theirs)
		}
		if got := set.merge(ours, agreed, agreed); !slices.Equal(got, ours) {
			t.Errorf("they changed nothing of %q: %q, want %q", agreed, got, ours)
		}
	})
}

// services waits until both sides have these.
func (w *world) services(r *testutil.RedisServer, want ...string) {
	w.Helper()
	testutil.Eventually(w.T, wait, func() (bool, string) {
		ours, theirs := w.collector.Config().Services, redistest.Members(r, ServicesKey)
		return configSets[0].equal(ours, want) && configSets[0].equal(theirs, want), fmt.Sprintf("%q, in Redis %q; want %q", ours, theirs, want)
	})
}

// TestBothSidesAreObeyed changes the configuration by redis-cli and by the
// API's way in turn.
func TestBothSidesAreObeyed(t *testing.T) {
	r := testutil.Redis(t)
	r.CLI("SADD", "visibility_services", "proxy_access_control") // before the first start
	w := newWorld(t, Address{URL: r.Addr})
	w.services(r, "proxy_access_control")
	w.update(visibility.ConfigUpdate{Services: []string{"proxy_access_control", "clover-server1"}})
	w.services(r, "proxy_access_control", "clover_server1")
	r.CLI("SADD", "visibility_services", "clover_server2", "http_lb")
	w.services(r, "proxy_access_control", "clover_server1", "clover_server2", "http_lb")
	r.CLI("SREM", "visibility_services", "clover_server1")
	w.services(r, "proxy_access_control", "clover_server2", "http_lb")
	w.update(visibility.ConfigUpdate{Services: []string{"http-lb"}})
	w.services(r, "http_lb")
	for _, key := range []string{"metric_prefixes", "metric_suffixes", "custom_metrics"} {
		r.CLI("SADD", key, "some_"+key)
	}
	testutil.Eventually(t, wait, func() (bool, string) {
		c := w.collector.Config()
		return slices.Equal(c.MetricPrefixes, []string{"some_metric_prefixes"}) && slices.Equal(c.MetricSuffixes, []string{"some_metric_suffixes"}) &&
			slices.Equal(c.CustomMetrics, []string{"some_custom_metrics"}), fmt.Sprintf("%+v", c)
	})
	r.CLI("DEL", "visibility_services")
	w.services(r)

	// Nothing changes, so nothing is written: there is no loop.
	w.inStep()
	writes := func() string {
		stats := r.CLI("INFO", "commandstats")
		return fmt.Sprint(strings.Count(stats, "cmdstat_sadd"), calls(stats, "set"), calls(stats, "srem"))
	}
	before := writes()
	w.refreshed()
	if after := writes(); after != before {
		t.Errorf("commands before %s, after %s", before, after)
	}
}

// calls finds the count of a command in what INFO prints.
func calls(stats, command string) string {
	_, rest, _ := strings.Cut(stats, "cmdstat_"+command+":calls=")
	n, _, _ := strings.Cut(rest, ",")
	return n
}

// TestNothingIsLostWhileOneSideIsNew has a Redis that lost its data, one that
// went back to an older state, a new store, and changes while nobody looked.
func TestNothingIsLostWhileOneSideIsNew(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.update(visibility.ConfigUpdate{Services: []string{"a", "b"}})
	w.services(r, "a", "b")
	w.stop()
	r.CLI("SADD", "visibility_services", "c") // while nothing runs
	r.CLI("SREM", "visibility_services", "a")
	w.start()
	w.services(r, "b", "c")
	w.stop()
	r.CLI("FLUSHALL")
	r.CLI("SADD", "visibility_services", "d")
	w.start()
	w.services(r, "b", "c", "d")
	w.stop()

	w.store = storetest.NewReference(storetest.Options{})
	var err error
	w.collector, err = visibility.NewCollector(w.store, visibility.CollectorOptions{Config: visibility.Config{Services: []string{"e"}}})
	check(t, err)
	w.start()
	w.services(r, "b", "c", "d", "e")
	w.stop()

	r.CLI("SET", agreementKey(ServicesKey), "that of another time")
	r.CLI("SREM", "visibility_services", "b", "c", "d")
	w.start()
	w.services(r, "b", "c", "d", "e")
}

func TestWhatCannotBeObeyed(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.inStep()
	r.CLI("SADD", "visibility_services", "no name", "-", "good", "bad!", "worse\"", "ü")
	w.state("visibility_services: ", `SREM visibility_services "no name"`, "2 more members are not names either")
	w.services2(r, []string{"good"}, 6)
	r.CLI("SREM", "visibility_services", "no name", "-", "bad!", "worse\"", "ü")
	w.inStep()

	r.CLI("DEL", "metric_prefixes")
	r.CLI("SET", "metric_prefixes", "mine")
	r.CLI("SADD", "visibility_services", "other") // the others are still obeyed
	w.state("metric_prefixes is no set", "DEL metric_prefixes")
	w.services(r, "good", "other")
	r.CLI("DEL", "metric_prefixes")
	w.inStep()

	r.CLI("EVAL", "for i=1,1001 do redis.call('SADD','custom_metrics','m'..i) end", "0")
	w.state("custom_metrics has 1001 members", "SREM")
	if got := w.collector.Config().CustomMetrics; len(got) > 0 {
		t.Errorf("%d custom metrics", len(got))
	}
	r.CLI("DEL", "custom_metrics")
	w.inStep()

	// More than one side alone may have.
	ours := make([]string, 600)
	for i := range ours {
		ours[i] = fmt.Sprintf("ours%d", i)
	}
	r.CLI("EVAL", "for i=1,600 do redis.call('SADD','custom_metrics','theirs'..i) end", "0")
	testutil.Eventually(t, wait, func() (bool, string) { return len(w.collector.Config().CustomMetrics) == 600, "not obeyed yet" })
	w.update(visibility.ConfigUpdate{CustomMetrics: ours})
	testutil.Eventually(t, wait, func() (bool, string) { n := r.CLI("SCARD", "custom_metrics"); return n == "600", n })
	w.inStep()
	r.CLI("EVAL", "redis.call('SET','"+agreementKey(CustomMetricsKey)+"','another') redis.call('DEL','custom_metrics') for i=1,600 do redis.call('SADD','custom_metrics','theirs'..i) end", "0")
	w.state("cannot be obeyed as they are", "at most 1000", "SREM")
}

// services2 is services where Redis holds members that are no names.
func (w *world) services2(r *testutil.RedisServer, want []string, size int) {
	w.Helper()
	if ours, n := w.collector.Config().Services, len(redistest.Members(r, ServicesKey)); !slices.Equal(ours, want) || n != size {
		w.Errorf("%q of %d members, want %q of %d", ours, n, want, size)
	}
}

// refusing is a configuration that cannot be changed.
type refusing struct{ *visibility.Collector }

func (refusing) Update(context.Context, visibility.ConfigUpdate) (visibility.Config, error) {
	return visibility.Config{}, errors.New("the store is away")
}

func TestAConfigurationThatCannotBeStored(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.inStep()
	w.stop()
	r.CLI("SADD", "visibility_services", "a")
	s, err := New(w.client, w.store, refusing{w.collector}, Options{Refresh: time.Millisecond})
	check(t, err)
	if _, _, err := s.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("%v", err)
	}
	if got := redistest.Members(r, ServicesKey); !slices.Equal(got, []string{"a"}) {
		t.Errorf("Redis holds %q", got)
	}
	w.start()
	w.services(r, "a")
}
