package system

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/deploy"
)

// object reads an object from YAML.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEverySystemRendersWhatDeletingFinds(t *testing.T) {
	for _, s := range Systems() {
		mesh := map[string]any{"istio": map[string]any{"enabled": true}}
		o := Options{Values: map[string]any{"sdc": mesh, "validation": mesh}}
		if s.spinnaker { // no part of the chart
			o = Options{}
		}
		objects, err := Render(t.Context(), nil, s, o)
		if err != nil || len(objects) == 0 {
			t.Fatalf("%s: %d objects, %v", s.Name, len(objects), err)
		}
		components := append(s.Components(), deploy.Shared)
		for _, u := range objects {
			gk := schema.GroupKind{Group: u.GroupVersionKind().Group, Kind: u.GetKind()}
			if gk.Kind != "Namespace" && !slices.Contains(kinds, gk) {
				t.Errorf("%s: deleting does not look for the kind %s of %s", s.Name, gk, Describe(u))
			}
			l := u.GetLabels()
			if l[ManagedByLabel] != FieldManager || !slices.Contains(components, l[deploy.ComponentLabel]) {
				t.Errorf("%s: %s has the labels %v", s.Name, Describe(u), l)
			}
			if u.GetNamespace() == "" && gk.Kind != "Namespace" && l[NamespaceLabel] != s.DefaultNamespace() {
				t.Errorf("%s: cluster-wide %s does not say whose it is", s.Name, Describe(u))
			}
		}
	}
	if _, err := Find("cassandra"); err == nil || !strings.Contains(err.Error(), "visibility") {
		t.Errorf("%v, want the systems that there are", err)
	}
}

func TestVolumesAreFoundAgain(t *testing.T) {
	s, err := Find("collector")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := Render(t.Context(), nil, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range objects {
		claims, _, err := unstructured.NestedSlice(u.Object, "spec", "volumeClaimTemplates")
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range claims {
			l := (&unstructured.Unstructured{Object: claim.(map[string]any)}).GetLabels()
			if l[ManagedByLabel] != FieldManager || l[deploy.ComponentLabel] != "collector" {
				t.Errorf("the claims of %s have the labels %v", Describe(u), l)
			}
			return
		}
	}
	t.Error("the collector has no volume")
}

func TestTheSampleLivesWhereTheUserSays(t *testing.T) {
	s, err := Find("sdc")
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": "default", "shop": "shop"} {
		objects, err := Render(t.Context(), nil, s, Options{Namespace: given})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range objects {
			if u.GetNamespace() != want {
				t.Errorf("-n %q: %s is in namespace %s, want %s", given, Describe(u), u.GetNamespace(), want)
			}
		}
	}
}

func TestWhatOthersHaveMadeIsTheirs(t *testing.T) {
	const want = "{kind: %, metadata: {name: x}}"
	for name, c := range map[string]struct {
		kind, live string
		force      bool
		fault      string
		keep       bool
	}{
		"not there":            {kind: "Service"},
		"own":                  {kind: "Service", live: "{kind: Service, metadata: {labels: {app.kubernetes.io/managed-by: cloverctl}}}"},
		"helm's":               {kind: "Service", live: "{kind: Service, metadata: {labels: {app.kubernetes.io/managed-by: Helm}}}", fault: "made by Helm"},
		"somebody's":           {kind: "Service", live: "{kind: Service}", fault: "not by cloverctl"},
		"somebody's, by force": {kind: "Service", live: "{kind: Service}", force: true},
		"a namespace":          {kind: "Namespace", live: "{kind: Namespace}", keep: true},
		"own namespace":        {kind: "Namespace", live: "{kind: Namespace, metadata: {labels: {app.kubernetes.io/managed-by: cloverctl}}}"},
		"a namespace that goes": {kind: "Namespace", live: `{kind: Namespace, metadata: {deletionTimestamp: "2026-11-24T12:00:00Z"}}`,
			fault: "is being deleted"},
		"of another Clover": {kind: "ClusterRole", live: "{kind: ClusterRole, metadata: {labels: {app.kubernetes.io/managed-by: cloverctl, clover.opnfv.org/namespace: other}}}",
			fault: "the Clover in namespace other"},
	} {
		step := Step{Want: object(t, strings.ReplaceAll(want, "%", c.kind))}
		if c.live != "" {
			step.Live = object(t, c.live)
		}
		p := &Plan{Namespace: "clover-system", Steps: []Step{step}, force: c.force}
		err := p.settle()
		if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
		if p.Steps[0].Keep != c.keep {
			t.Errorf("%s: keep %v", name, p.Steps[0].Keep)
		}
	}
}

func TestWhatIsSharedGoesLast(t *testing.T) {
	of := func(component string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		u.SetLabels(map[string]string{deploy.ComponentLabel: component})
		return u
	}
	all := []*unstructured.Unstructured{of("controller"), of("collector"), of(deploy.Shared)}
	if got := choose(all, []string{"controller"}); len(got) != 1 {
		t.Errorf("%d objects go with the controller, want its own", len(got))
	}
	if got := choose(all, []string{"controller", "collector"}); len(got) != 3 {
		t.Errorf("%d objects go with both, want all", len(got))
	}
	if got := choose(all[2:], []string{"controller"}); len(got) != 1 {
		t.Errorf("%d objects are left of a half removal, want what is shared", len(got))
	}
}

func TestLines(t *testing.T) {
	for text, want := range map[string]string{
		"{kind: Deployment, metadata: {name: clover-controller}}": `Created deployment "clover-controller".`,
		"{kind: Service, metadata: {name: cassandra}}":            `Created service "cassandra"`,
		"{kind: Namespace, metadata: {name: clover-system}}":      `Created clover-system namespace`,
	} {
		if got := (Result{Action: Created, Object: object(t, text)}).Line(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDifferencesHideSecrets(t *testing.T) {
	live := object(t, "{kind: Secret, metadata: {name: s, resourceVersion: '1'}, data: {a: b2xk, b: c2FtZQ==}}")
	want := object(t, "{kind: Secret, metadata: {name: s, resourceVersion: '2'}, data: {a: bmV3, b: c2FtZQ==}}")
	text, err := difference(live, want)
	if err != nil || !strings.Contains(text, "-  a: '***'\n+  a: '*** (changed)'\n   b: '***'") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := difference(nil, want); err != nil || strings.Contains(text, "bmV3") || !strings.Contains(text, "+kind: Secret") {
		t.Errorf("%v\n%s", err, text)
	}
	want.SetResourceVersion("3")
	if text, err := difference(want, want.DeepCopy()); err != nil || text != "" {
		t.Errorf("no difference, but %v\n%s", err, text)
	}
}
