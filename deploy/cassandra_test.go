package deploy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// scaled has three collectors on Cassandra.
func scaled(t *testing.T, size string, pods int, more ...string) []*unstructured.Unstructured {
	t.Helper()
	return render(t, Options{Components: append([]string{"visibility", "datastore"}, more...), Size: size, Values: tree{
		"collector": tree{"store": "cassandra", "replicas": 3}, "cassandra": tree{"pods": pods},
	}})
}

// TestSmallIsSmall holds that the smallest size fits into 6 GiB in all, with
// Spark and a job that it runs, or with three pods of Cassandra, and that
// sizes grow.
func TestSmallIsSmall(t *testing.T) {
	sums := func(objects []*unstructured.Unstructured) (requests, limits resource.Quantity) {
		for _, w := range workloads(t, objects) {
			for range w.replicas {
				for _, c := range w.pod.Spec.Containers {
					requests.Add(*c.Resources.Requests.Memory())
					limits.Add(*c.Resources.Limits.Memory())
				}
			}
		}
		return requests, limits
	}
	most, last := resource.MustParse("6Gi"), resource.Quantity{}
	for name, c := range map[string]struct {
		objects []*unstructured.Unstructured
		more    resource.Quantity
	}{
		"one pod, and Spark with a driver and an executor": {scaled(t, "small", 1, "spark"), resource.MustParse("2Gi")},
		"three pods": {scaled(t, "small", 3), resource.Quantity{}},
	} {
		requests, limits := sums(c.objects)
		requests.Add(c.more)
		limits.Add(c.more)
		t.Logf("%s: memory requests %s, limits %s", name, &requests, &limits)
		if limits.Cmp(most) > 0 {
			t.Errorf("%s: limits of memory: %s, want at most %s", name, &limits, &most)
		}
		if last.Cmp(limits) < 0 {
			last = limits
		}
	}
	for _, size := range Sizes()[1:] {
		_, next := sums(render(t, Options{Components: []string{"visibility", "datastore"}, Size: size, Values: tree{"collector": tree{"store": "cassandra", "replicas": 3}}}))
		if next.Cmp(last) <= 0 {
			t.Errorf("size %s: limits of memory are %s, no more than the size before it, %s", size, &next, &last)
		}
		last = next
	}
	if _, err := Render(t.Context(), Options{Components: []string{"collector"}, Size: "huge"}); !errors.Is(err, ErrUnknownSize) {
		t.Errorf("%v", err)
	}
}

// TestTheCollectorsFindCassandra holds that a collector alone finds the pods
// that are there.
func TestTheCollectorsFindCassandra(t *testing.T) {
	there := held{"Service/clover-system/cassandra": {"kind": "Service"}, "StatefulSet/clover-system/cassandra": {"spec": tree{"replicas": int64(3)}}}.lookup
	objects := render(t, Options{Components: []string{"collector"}, Lookup: there, Values: tree{"collector": tree{"store": "cassandra"}}})
	for _, w := range workloads(t, objects) {
		args := w.pod.Spec.Containers[0].Args
		for _, want := range []string{
			"--cassandra-hosts=cassandra-0.cassandra.clover-system.svc,cassandra-1.cassandra.clover-system.svc,cassandra-2.cassandra.clover-system.svc",
			"--cassandra-replication={'class': 'NetworkTopologyStrategy', 'datacenter1': 3}", "--cassandra-datacenter=datacenter1", "--cassandra-writer=$(POD_NAME)",
		} {
			if !slices.Contains(args, want) {
				t.Errorf("%s: no %s in %q", w.name, want, args)
			}
		}
	}
}

// TestStoresThatCannotBe holds that what cannot work is refused with what to
// do instead.
func TestStoresThatCannotBe(t *testing.T) {
	kept := held{"StatefulSet/clover-system/clover-collector": {"metadata": tree{"annotations": tree{"clover.opnfv.org/store": "cassandra"}}}}.lookup
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"several of the embedded store": {Options{Components: []string{"visibility"}, Values: tree{"collector": tree{"replicas": 3}}},
			"collector.replicas: 3 collectors need a store that they share"},
		"no Cassandra": {Options{Components: []string{"collector"}, Values: tree{"collector": tree{"store": "cassandra"}}},
			"cassandra.enabled=true"},
		"another store than before": {Options{Components: []string{"visibility"}, Lookup: kept},
			"keeps its data in the store cassandra"},
		"two pods": {Options{Components: []string{"visibility"}, Values: tree{"cassandra": tree{"pods": 2}}},
			"cassandra.pods: want 1 or 3"},
	} {
		if _, err := Render(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
