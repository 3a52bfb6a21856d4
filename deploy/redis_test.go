package deploy

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestTheCollectorUsesTheDatastore holds that it does whether both come
// together or the datastore is there already, and that another Service of
// that name is none.
func TestTheCollectorUsesTheDatastore(t *testing.T) {
	cluster := func(component string) Lookup {
		return func(_ context.Context, _, kind, namespace, name string) (map[string]any, error) {
			if kind != "Service" || namespace != DefaultNamespace || name != "redis" {
				return map[string]any{}, nil
			}
			return tree{"metadata": tree{"labels": tree{ComponentLabel: component}}}, nil
		}
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"alone":                  {Options{Components: []string{"collector"}}, ""},
		"together":               {Options{Components: []string{"visibility", "datastore"}}, "--redis=redis.clover-system.svc:6379"},
		"after the datastore":    {Options{Components: []string{"visibility"}, Lookup: cluster("datastore")}, "--redis=redis.clover-system.svc:6379"},
		"beside somebody else's": {Options{Components: []string{"visibility"}, Lookup: cluster("shop")}, ""},
		"with another": {Options{Components: []string{"visibility", "datastore"}, Values: tree{"collector": tree{"redis": tree{"address": "other:6379"}}}},
			"--redis=other:6379"},
	} {
		got := ""
		for _, u := range render(t, c.o) {
			if u.GetKind() == "StatefulSet" {
				got = redisArgument(t, u)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func redisArgument(t *testing.T, u *unstructured.Unstructured) string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	args, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range args {
		if strings.HasPrefix(a, "--redis=") {
			return a
		}
	}
	return ""
}

// TestSparkCountsForRedis holds that the collector reads the results where the
// jobs write them, and that without Spark nothing is made.
func TestSparkCountsForRedis(t *testing.T) {
	values := tree{"collector": tree{"redis": tree{"results": "spark"}}}
	args := ""
	for _, u := range render(t, Options{Components: []string{"visibility", "datastore", "spark"}, Values: values}) {
		switch u.GetKind() {
		case "StatefulSet", "Deployment":
			containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
			if err != nil {
				t.Fatal(err)
			}
			list, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
			if err != nil {
				t.Fatal(err)
			}
			args += u.GetName() + " " + strings.Join(list, " ") + "\n"
		}
	}
	for _, want := range []string{"--redis-results=spark --spark-results=/spark/results --parquet-dir=/spark/spans", "--results=/spark/results"} {
		if !strings.Contains(args, want) {
			t.Errorf("no %s in\n%s", want, args)
		}
	}
	_, err := Render(t.Context(), Options{Components: []string{"visibility", "datastore"}, Values: values})
	if err == nil || !strings.Contains(err.Error(), "spark.enabled=true") {
		t.Errorf("without Spark: %v", err)
	}
}
