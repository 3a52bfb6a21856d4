package deploy

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files again")

// tree is short for the values of a chart.
type tree = map[string]any

// real is the sample with nginx and Suricata.
var real = tree{"engine": "real", "suricata": tree{"image": "team/suricata:7"}}

// render renders or ends the test.
func render(t *testing.T, o Options) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Render(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// everything has each component that there is, with a mesh.
func everything(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	return render(t, Options{
		Components: []string{"visibility", "controller-nodeport", "datastore", "sdc", "validation"},
		Values:     tree{"sdc": tree{"istio": tree{"enabled": true}}},
	})
}

// TestGolden compares what is rendered for some sets of options. Certificates
// are random and left out.
func TestGolden(t *testing.T) {
	noTLS := tree{"generate": false}
	for name, o := range map[string]Options{
		"visibility": {Components: []string{"visibility"}, Values: tree{"tls": noTLS}},
		"datastore":  {Components: []string{"datastore"}},
		"adjusted": {
			Components: []string{"visibility", "controller-lb"}, Namespace: "team-a", Registry: "registry.example:5000/a/", Tag: "1.2.3",
			Values: tree{
				"tls": noTLS, "networkPolicies": tree{"enabled": false}, "nodeSelector": tree{"disk": "fast"},
				"tolerations": []any{tree{"key": "edge", "operator": "Exists"}},
				"image":       tree{"pullSecrets": []any{"pull"}, "pullPolicy": "Always"},
				"controller":  tree{"replicas": 2, "service": tree{"sourceRanges": []any{"10.0.0.0/8"}, "annotations": tree{"a": "b"}}},
				"collector":   tree{"storage": tree{"class": "ssd", "size": "512Mi", "keep": true}, "extraArgs": []any{"--sample-interval=5s"}},
			},
		},
		"sdc":         {Components: []string{"sdc"}, Values: tree{"sdc": tree{"istio": tree{"enabled": true}}}},
		"sdc-no-mesh": {Components: []string{"sdc"}, Values: tree{"tls": noTLS}},
		"clovisor":    {Components: []string{"clovisor"}, Namespace: "clovisor", Values: tree{"clovisor": tree{"redis": tree{"password": "secret"}}}},
		"clovisor-adjusted": {
			Components: []string{"clovisor"}, Namespace: "team-a", Registry: "registry.example:5000/a", Tag: "1.2.3",
			Values: tree{
				"nodeSelector": tree{"disk": "fast"}, "tolerations": []any{tree{"key": "edge", "operator": "Exists"}}, "image": tree{"pullSecrets": []any{"pull"}},
				"clovisor": tree{
					"namespace": "team-a", "insidePods": true, "port": 9500, "metrics": true, "extraArgs": []any{"--label=other"},
					"config": tree{"labels": []any{"default", "other:app:web"}}, "redis": tree{
						"enabled": false, "address": "rediss://clovisor@one:26379?master_name=mymaster&addr=two:26379", "secret": "redis-password", "caSecret": "redis-ca",
					},
				},
			},
		},
		"validation": {Components: []string{"validation"}, Values: tree{"tls": noTLS}},
		"validation-adjusted": {
			Components: []string{"validation"}, Namespace: "team-a", Registry: "registry.example:5000/a", Tag: "1.2.3",
			Values: tree{
				"tls": noTLS, "networkPolicies": tree{"enabled": false}, "image": tree{"pullSecrets": []any{"pull"}},
				"validation": tree{
					"namespace": "team-a", "slaves": 7, "istio": tree{"enabled": true}, "targets": []any{"*.example.com"}, "storage": tree{"class": "ssd", "size": "20Gi"},
					"podLabels": tree{"team": "a"}, "podAnnotations": tree{"a": "b"},
					"master": tree{"extraArgs": []any{"--log-level=debug"}}, "slave": tree{"resources": tree{"limits": tree{"memory": "1Gi"}}},
				},
			},
		},
		"collector-redis": {Components: []string{"collector"}, Values: tree{"tls": noTLS, "collector": tree{"redis": tree{
			"address": "rediss://clover@redis.example:26379?master_name=mymaster&addr=two.example:26380", "secret": "redis-password", "tlsSecret": "redis-tls",
		}}}},
		"collector-redis-ca": {Components: []string{"collector"}, Values: tree{"tls": noTLS, "collector": tree{"redis": tree{
			"address": "rediss://clover@redis.example:6380?cluster=true", "caSecret": "redis-ca",
		}}}},
		"cassandra": {Components: []string{"visibility"}, Values: tree{"tls": noTLS, "collector": tree{"store": "cassandra", "replicas": 3}}},
		"cassandra-adjusted": {
			Components: []string{"visibility"}, Size: "large", Namespace: "team-a", Registry: "registry.example:5000/a", Tag: "1.2.3",
			Values: tree{
				"tls": noTLS, "networkPolicies": tree{"enabled": false}, "collector": tree{"store": "cassandra"},
				"cassandra": tree{"storage": tree{"class": "ssd", "size": "2Gi", "keep": true}, "extraArgs": []any{"--jvm-arg=-XX:+UseZGC"}},
			},
		},
		"spark": {Components: []string{"collector", "spark"}, Values: tree{"tls": noTLS}},
		"spark-adjusted": {
			Components: []string{"spark"}, Namespace: "team-a", Registry: "registry.example:5000/a", Tag: "1.2.3",
			Values: tree{"tls": noTLS, "networkPolicies": tree{"enabled": false}, "spark": tree{
				"executors": 4, "interval": tree{"fast": "1m"}, "memory": tree{"executor": "4Gi"},
				"storage": tree{"class": "nfs", "accessMode": "ReadWriteMany"}, "extraArgs": []any{"--conf=spark.executor.cores=2"},
			}},
		},
		"collector-cassandra": {Components: []string{"visibility"}, Values: tree{"tls": noTLS, "collector": tree{"store": "cassandra", "cassandra": tree{
			"hosts": []any{"one.example", "two.example:9142"}, "datacenter": "dc1", "replication": "{'class': 'NetworkTopologyStrategy', 'dc1': 3}",
			"secret": "cassandra-user", "tlsSecret": "cassandra-tls",
		}}}},
		"sdc-real": {Components: []string{"sdc"}, Values: tree{"tls": noTLS, "sdc": real}},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, u := range render(t, o) {
				text, err := yaml.Marshal(u.Object)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString("---\n" + string(text))
			}
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs: run 'go test ./deploy -update' and look at the difference", file)
			}
		})
	}
}

func TestComponentsThatAreNotThere(t *testing.T) {
	_, err := Render(t.Context(), Options{Components: []string{"kafka"}})
	if !errors.Is(err, ErrUnknownComponent) || !strings.Contains(err.Error(), "there are visibility, controller") {
		t.Errorf("%v, want that it is not known and what there is", err)
	}
	if _, err := Render(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "no component") {
		t.Errorf("nothing: %v", err)
	}
}

// TestComponentsAreApart renders each component alone: nothing of another one
// is in it, and all together are what each of them is.
func TestComponentsAreApart(t *testing.T) {
	key := func(u *unstructured.Unstructured) string {
		return u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
	}
	alone, names := map[string]bool{}, []string{"controller", "controller-nodeport", "collector", "cassandra", "spark", "datastore", "sdc", "clovisor", "validation"}
	for _, name := range names {
		for _, u := range render(t, Options{Components: []string{name}}) {
			if c := u.GetLabels()[ComponentLabel]; c != name && c != Shared {
				t.Errorf("%s: %s is of %s", name, key(u), c)
			}
			alone[key(u)] = true
		}
	}
	for _, name := range []string{"sdc-ca", "clover-jmeter-ca"} {
		delete(alone, "Secret default/"+name) // together there is Clover's
	}
	alone["PersistentVolumeClaim clover-system/clover-spark"] = true // the collector's, where there is Spark
	together := map[string]bool{}
	for _, u := range render(t, Options{Components: names}) {
		if together[key(u)] {
			t.Errorf("%s is there twice", key(u))
		}
		together[key(u)] = true
	}
	if !maps.Equal(alone, together) {
		t.Errorf("alone %v\ntogether %v", slices.Sorted(maps.Keys(alone)), slices.Sorted(maps.Keys(together)))
	}
}

// TestInstallOrder holds that what others need comes first.
func TestInstallOrder(t *testing.T) {
	var kinds []string
	for _, u := range everything(t) {
		kinds = append(kinds, u.GetKind())
	}
	last := -1
	for _, kind := range []string{"Namespace", "ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Service", "Deployment", "StatefulSet", "Gateway"} {
		i := slices.Index(kinds, kind)
		if i <= last {
			t.Errorf("%s at %d in %v", kind, i, kinds)
		}
		last = i
	}
}

func TestWrongValues(t *testing.T) {
	for want, values := range map[string]tree{
		"contoller: there is no such value; there are cassandra, clovisor, collector, controller": {"contoller": tree{}},
		"controller.replicas: want a number from 1 to 10":                                         {"controller": tree{"replicas": "two"}},
		"controller.service.nodePort: want a port from 30000 to 32767":                            {"controller": tree{"service": tree{"nodePort": 80}}},
		"collector.storage.size: want a size in Mi or Gi, such as 512Mi":                          {"collector": tree{"storage": tree{"size": "10GB"}}},
		"image.pullSecrets.0: want the name of an object":                                         {"image": tree{"pullSecrets": []any{"Not a name"}}},
		"controller: got string, want object":                                                     {"controller": "yes"},
	} {
		_, err := Render(t.Context(), Options{Components: []string{"visibility"}, Values: values})
		var invalid *ValuesError
		if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || !strings.HasPrefix(invalid.Problems[0], want) {
			t.Errorf("%v: %v, want %s", values, err, want)
		}
	}
}

// TestValuesAreTheCallers renders twice from the same values, whose types are
// those of Go and not of a file, and looks whether they have been written to.
func TestValuesAreTheCallers(t *testing.T) {
	values := tree{"controller": tree{"replicas": 2, "service": tree{"nodePort": 32000}}}
	for range 2 {
		objects := render(t, Options{Components: []string{"controller", "controller-nodeport"}, Values: values})
		i := slices.IndexFunc(objects, func(u *unstructured.Unstructured) bool { return u.GetName() == "clover-controller-nodeport" })
		ports, _, err := unstructured.NestedSlice(objects[i].Object, "spec", "ports")
		if err != nil || ports[0].(tree)["nodePort"] != int64(32000) {
			t.Errorf("%v, %v", ports, err)
		}
	}
	if c := values["controller"].(tree); len(values) != 1 || len(c) != 2 || len(c["service"].(tree)) != 1 {
		t.Errorf("written to: %v", values)
	}
}

func TestVersionsOfKubernetes(t *testing.T) {
	for version, want := range map[string]string{"v1.34.4": "", "v1.30.1-gke.100": "", "v1.20.0": "Clover needs >=1.29.0", "new": "version of Kubernetes"} {
		_, err := Render(t.Context(), Options{Components: []string{"controller"}, KubeVersion: version})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
	}
}

// TestSchemaHasAllValues holds that values.yaml and its schema name the same.
func TestSchemaHasAllValues(t *testing.T) {
	data, err := files.ReadFile("chart/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values tree
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	if _, err := checkValues(values); err != nil {
		t.Error(err)
	}
	s, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	var walk func(at string, schema, values tree)
	walk = func(at string, schema, values tree) {
		if name, ok := schema["$ref"].(string); ok {
			schema = s.at(name)
		}
		properties, _ := schema["properties"].(tree)
		for name, property := range properties {
			value, there := values[name]
			if !there && at+name != "global" && name != "cpu" {
				t.Errorf("%s is in the schema, not in values.yaml", at+name)
			}
			if part, ok := value.(tree); ok {
				walk(at+name+".", property.(tree), part)
			}
		}
	}
	walk("", s.document, values)
}
