// Package deploy holds the Helm chart of Clover and renders it: what helm
// installs and what cloverctl applies are the same manifests.
//
// A component is what cloverctl creates and deletes by name. Each object that
// [Render] returns belongs to one, by its label [ComponentLabel]; objects that
// several components need belong to [Shared].
package deploy

import (
	"bufio"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed all:chart
var files embed.FS

const (
	// DefaultNamespace is where Clover lives.
	DefaultNamespace = "clover-system"
	// ComponentLabel names the component that an object belongs to.
	ComponentLabel = "app.kubernetes.io/component"
	// Shared is the component of the objects that several components need:
	// the namespace and the CA. They go when nothing else is left.
	Shared = "shared"
	// release and manager are what the chart's labels say of the release.
	release, manager = "clover", "cloverctl"
)

// Options says what to render. Components is needed, the rest may be empty.
type Options struct {
	// Components are names of [Components]; a group stands for its members,
	// "visibility" for Cassandra too if that is the collector's store and
	// Values name no other.
	Components []string
	// Size is one of [Sizes]: values for small or large meshes, over which
	// Values win. Empty means the first.
	Size string
	// Namespace is where Clover lives; empty means [DefaultNamespace].
	Namespace string
	// Registry is what stands before each image's name, as in
	// registry/clover-controller; empty means the chart's, "opnfv".
	Registry string
	// Tag is the tag of the images; empty means the chart's version.
	Tag string
	// Values are values of the chart, as in a values file. They win over the
	// chart's own and lose against the fields above.
	Values map[string]any
	// Lookup finds what the cluster holds already, so that the CA and the
	// certificates are kept: [ClusterLookup]. Nil means an empty cluster.
	Lookup Lookup
	// KubeVersion is the cluster's version, as in v1.34.4; a cluster that is
	// too old is refused. Empty means one that is new enough.
	KubeVersion string
}

// Render returns the manifests of the components, in the order in which they
// can be applied; reversed, in which they can be deleted. The objects are the
// caller's. A value that the chart does not know, whose type is wrong or that
// cannot be with the others is a [*ValuesError].
func Render(ctx context.Context, o Options) ([]*unstructured.Unstructured, error) {
	wanted, err := expand(o.Components)
	if err != nil {
		return nil, err
	}
	c, err := loadChart()
	if err != nil {
		return nil, fmt.Errorf("deploy: load chart: %w", err)
	}
	caps, err := capabilities(c, o.KubeVersion)
	if err != nil {
		return nil, err
	}
	given, err := checkValues(o.Values)
	if err != nil {
		return nil, err
	}
	sized, err := sizeValues(o.Size)
	if err != nil {
		return nil, err
	}
	given = loader.MergeMaps(sized, given)
	if slices.Contains(o.Components, "visibility") && needsCassandra(given) {
		wanted = append(wanted, "cassandra")
	}
	if given, err = checkValues(o.over(given, wanted)); err != nil {
		return nil, err
	}
	const checked = true
	values, err := util.ToRenderValuesWithSchemaValidation(c, given, common.ReleaseOptions{
		Name: release, Namespace: cmp.Or(o.Namespace, DefaultNamespace), IsInstall: true, Revision: 1,
	}, caps, checked)
	if err != nil {
		return nil, fmt.Errorf("deploy: values: %w", err)
	}
	values["Release"].(map[string]any)["Service"] = manager
	e := engine.Engine{Strict: true, CustomTemplateFuncs: template.FuncMap{
		"lookup": func(apiVersion, kind, namespace, name string) (map[string]any, error) {
			if o.Lookup == nil {
				return map[string]any{}, nil
			}
			return o.Lookup(ctx, apiVersion, kind, namespace, name)
		},
	}}
	rendered, err := e.RenderWithContext(ctx, c, values)
	if err != nil {
		return nil, refusal(err)
	}
	objects, err := parse(rendered)
	if err != nil {
		return nil, err
	}
	objects = slices.DeleteFunc(objects, func(u *unstructured.Unstructured) bool {
		return !slices.Contains(wanted, u.GetLabels()[ComponentLabel])
	})
	slices.SortStableFunc(objects, inInstallOrder)
	return objects, nil
}

// refused matches an error by which the chart refuses values.
var refused = regexp.MustCompile(`(?s)^execution error at \([^)]*\): (.*)$`)

// refusal words an error of rendering.
func refusal(err error) error {
	if m := refused.FindStringSubmatch(err.Error()); m != nil {
		return &ValuesError{Problems: []string{m[1]}}
	}
	return fmt.Errorf("deploy: render: %w", err)
}

// over puts what the other options say over the values given.
func (o Options) over(given map[string]any, wanted []string) map[string]any {
	image := map[string]any{}
	if o.Registry != "" {
		image["registry"] = strings.TrimSuffix(o.Registry, "/")
	}
	if o.Tag != "" {
		image["tag"] = o.Tag
	}
	over := map[string]any{"image": image, "namespace": map[string]any{"create": true}}
	for _, c := range catalog {
		if c.enable != nil {
			c.enable(over, slices.Contains(wanted, c.Name))
		}
	}
	return loader.MergeMaps(given, over)
}

// loadChart reads the embedded chart. The engine writes into the chart's
// values, so each caller gets its own.
func loadChart() (*chart.Chart, error) {
	buffered, err := chartFiles()
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(buffered)
}

// chartFiles lists the chart's files once, by their paths inside the chart.
var chartFiles = sync.OnceValues(func() ([]*archive.BufferedFile, error) {
	root, err := fs.Sub(files, "chart")
	if err != nil {
		return nil, err
	}
	var out []*archive.BufferedFile
	err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		out = append(out, &archive.BufferedFile{Name: path, Data: data})
		return err
	})
	return out, err
})

// capabilities describes a cluster of that version to the chart.
func capabilities(c *chart.Chart, version string) (*common.Capabilities, error) {
	caps := common.DefaultCapabilities.Copy()
	if version == "" {
		return caps, nil
	}
	v, err := common.ParseKubeVersion(version)
	if err != nil {
		return nil, fmt.Errorf("deploy: version of Kubernetes %q: %w", version, err)
	}
	need, err := semver.NewConstraint(c.Metadata.KubeVersion)
	if err != nil {
		return nil, fmt.Errorf("deploy: kubeVersion of the chart: %w", err)
	}
	have, err := semver.NewVersion(v.String())
	if err != nil {
		return nil, fmt.Errorf("deploy: version of Kubernetes %q: %w", version, err)
	}
	if !need.Check(have) {
		return nil, fmt.Errorf("deploy: the cluster runs Kubernetes %s, Clover needs %s", version,
			strings.TrimSuffix(c.Metadata.KubeVersion, "-0"))
	}
	caps.KubeVersion = *v
	return caps, nil
}

// parse reads the objects of the rendered templates, the files by name. Notes
// and the tests of helm are left out.
func parse(rendered map[string]string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(name, ".txt") || strings.Contains(name, "/tests/") {
			continue
		}
		r := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(rendered[name])))
		for {
			doc, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("deploy: %s: %w", name, err)
			}
			data, err := yaml.ToJSON(doc)
			if err != nil {
				return nil, fmt.Errorf("deploy: %s: %w", name, err)
			}
			if string(data) == "null" {
				continue // only comments
			}
			u := &unstructured.Unstructured{}
			if err := u.UnmarshalJSON(data); err != nil {
				return nil, fmt.Errorf("deploy: %s: %w", name, err)
			}
			objects = append(objects, u)
		}
	}
	return objects, nil
}

// inInstallOrder orders objects by kind as helm does, unknown kinds last,
// then by namespace and name.
func inInstallOrder(a, b *unstructured.Unstructured) int {
	rank := func(u *unstructured.Unstructured) int {
		if i := slices.Index(releaseutil.InstallOrder, u.GetKind()); i >= 0 {
			return i
		}
		return len(releaseutil.InstallOrder)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.GetKind(), b.GetKind()),
		cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}
