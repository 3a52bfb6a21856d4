// Package spinnaker holds the manifests of a present-day Spinnaker for
// Kubernetes, without Halyard, under the service names that users of Clover
// know.
//
// The folder manifests is a kustomization: kubectl apply -k takes it as it is,
// and overlays change it. [Render] returns the same objects for cloverctl.
package spinnaker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/opnfv/clover/deploy"
)

//go:embed manifests
var files embed.FS

const (
	// DefaultNamespace is where users of the guide have Spinnaker.
	DefaultNamespace = "spinnaker"
	// Component is the value of [deploy.ComponentLabel] on all objects.
	Component = "spinnaker"
	// repository and tag are those of Spinnaker's images in the manifests.
	repository, tag = "image: spinnaker/", "main-latest"
	// credentials is the secret that all services read.
	credentials = "spin-credentials"
)

// credentialKeys are what the secret holds.
var credentialKeys = []string{"CLOUDDRIVER_MYSQL", "MYSQL_ROOT", "S3_ACCESS_KEY", "S3_SECRET_KEY"}

// Options say what to render. The zero value works.
type Options struct {
	// Namespace of all objects. "": DefaultNamespace.
	Namespace string
	// Registry and Tag of Spinnaker's own images. "": those of the manifests,
	// which name no registry, and the latest build of the main branch: give
	// both.
	Registry, Tag string
	// Lookup finds the secret of an earlier call, whose passwords are kept.
	// nil: there is none, and passwords are new.
	Lookup deploy.Lookup
}

// Render returns the manifests in the order in which they can be applied. The
// objects are the caller's.
func Render(ctx context.Context, o Options) ([]*unstructured.Unstructured, error) {
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	if err := o.check(); err != nil {
		return nil, err
	}
	objects, err := read(o.replacer())
	if err != nil {
		return nil, fmt.Errorf("spinnaker manifests: %w", err)
	}
	secret, err := o.secret(ctx)
	if err != nil {
		return nil, err
	}
	const afterNamespace = 1
	objects = append(objects[:afterNamespace], append([]*unstructured.Unstructured{secret}, objects[afterNamespace:]...)...)
	for _, u := range objects {
		o.place(u)
	}
	return objects, nil
}

// The grammar of an image's name and tag, in which nothing means anything in
// YAML.
var (
	tagPattern      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	registryPattern = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._-]+)*/?$`)
)

func (o Options) check() error {
	if o.Tag != "" && !tagPattern.MatchString(o.Tag) {
		return fmt.Errorf("tag %.60q; want that of an image, e.g. 2026.2.0", o.Tag)
	}
	if o.Registry != "" && !registryPattern.MatchString(o.Registry) {
		return fmt.Errorf("registry %.60q; want what stands before the images' names, e.g. registry.example/spinnaker", o.Registry)
	}
	return nil
}

// resources lists the files of the kustomization, in its order.
func resources() ([]string, error) {
	data, err := files.ReadFile("manifests/kustomization.yaml")
	if err != nil {
		return nil, err
	}
	var k struct {
		Resources []string `json:"resources"`
	}
	return k.Resources, sigsyaml.Unmarshal(data, &k)
}

func read(replace *strings.Replacer) ([]*unstructured.Unstructured, error) {
	names, err := resources()
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, name := range names {
		data, err := files.ReadFile("manifests/" + name)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(replace.Replace(string(data)))), len(data)+1)
		for {
			var raw runtime.RawExtension
			err := decoder.Decode(&raw)
			if errors.Is(err, io.EOF) {
				break
			}
			u := &unstructured.Unstructured{}
			if err == nil {
				err = u.UnmarshalJSON(raw.Raw)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, u)
		}
	}
	return out, nil
}

// replacer changes the images of Spinnaker.
func (o Options) replacer() *strings.Replacer {
	from := repository
	if o.Registry != "" {
		from = "image: " + strings.TrimSuffix(o.Registry, "/") + "/"
	}
	return strings.NewReplacer(repository, from, ":"+tag, ":"+cmp.Or(o.Tag, tag))
}

// secret returns the credentials: those that are there, else new ones.
func (o Options) secret(ctx context.Context) (*unstructured.Unstructured, error) {
	data := map[string]any{}
	if o.Lookup != nil {
		have, err := o.Lookup(ctx, "v1", "Secret", o.Namespace, credentials)
		if err != nil {
			return nil, err
		}
		there, _, err := unstructured.NestedMap(have, "data")
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", credentials, err)
		}
		maps.Copy(data, there)
	}
	for _, key := range credentialKeys {
		if _, ok := data[key]; !ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(rand.Text()))
		}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": credentials}, "data": data,
	}}, nil
}

// place puts an object into the namespace and labels it.
func (o Options) place(u *unstructured.Unstructured) {
	component := Component
	switch u.GetKind() {
	case "Namespace":
		u.SetName(o.Namespace)
		component = deploy.Shared
	case "ClusterRoleBinding":
		if o.Namespace != DefaultNamespace { // one for each installation
			u.SetName(u.GetName() + "-" + o.Namespace)
		}
		subjects, _, _ := unstructured.NestedSlice(u.Object, "subjects") // as the manifests have it
		for _, s := range subjects {
			s.(map[string]any)["namespace"] = o.Namespace
		}
		u.Object["subjects"] = subjects
	default:
		u.SetNamespace(o.Namespace)
	}
	labels := map[string]string{
		deploy.ComponentLabel: component, "app.kubernetes.io/managed-by": "cloverctl", "app.kubernetes.io/part-of": "spinnaker",
	}
	maps.Copy(labels, u.GetLabels())
	u.SetLabels(labels)
	template, found, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels")
	if found {
		template[deploy.ComponentLabel] = component
		_ = unstructured.SetNestedStringMap(u.Object, template, "spec", "template", "metadata", "labels") // it was there
	}
}
