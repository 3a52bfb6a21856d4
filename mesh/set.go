package mesh

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	filters "istio.io/client-go/pkg/apis/networking/v1alpha3"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Set is a group of mesh resources that belong together. Every resource
// needs a name and a namespace; kind and version are filled in.
type Set struct {
	Gateways         []*networking.Gateway
	DestinationRules []*networking.DestinationRule
	VirtualServices  []*networking.VirtualService
	EnvoyFilters     []*filters.EnvoyFilter
	Telemetries      []*telemetry.Telemetry
}

// kind is one of the kinds in a Set: how it is named and reached.
type kind struct {
	name     string
	resource schema.GroupVersionResource
	// alike are other versions of the same resource, which mean the same.
	alike []string
}

func (k kind) apiVersion() string { return k.resource.GroupVersion().String() }

var (
	gatewayKind   = kind{"Gateway", networking.SchemeGroupVersion.WithResource("gateways"), []string{"v1beta1", "v1alpha3"}}
	ruleKind      = kind{"DestinationRule", networking.SchemeGroupVersion.WithResource("destinationrules"), []string{"v1beta1", "v1alpha3"}}
	routesKind    = kind{"VirtualService", networking.SchemeGroupVersion.WithResource("virtualservices"), []string{"v1beta1", "v1alpha3"}}
	filterKind    = kind{"EnvoyFilter", filters.SchemeGroupVersion.WithResource("envoyfilters"), nil}
	telemetryKind = kind{"Telemetry", telemetry.SchemeGroupVersion.WithResource("telemetries"), []string{"v1alpha1"}}

	// kinds are in the order in which they are applied: what others refer to
	// comes first.
	kinds = []kind{gatewayKind, ruleKind, routesKind, filterKind, telemetryKind}
)

// entry is one resource of a Set with its kind.
type entry struct {
	kind   kind
	object metav1.Object
}

// label is "KIND NAMESPACE/NAME".
func (e entry) label() string { return label(e.kind.name, e.object) }

func label(kind string, o metav1.Object) string {
	return kind + " " + o.GetNamespace() + "/" + o.GetName()
}

// entries lists the resources in the order of kinds.
func (s Set) entries() []entry {
	var all []entry
	for _, o := range s.Gateways {
		all = append(all, entry{gatewayKind, o})
	}
	for _, o := range s.DestinationRules {
		all = append(all, entry{ruleKind, o})
	}
	for _, o := range s.VirtualServices {
		all = append(all, entry{routesKind, o})
	}
	for _, o := range s.EnvoyFilters {
		all = append(all, entry{filterKind, o})
	}
	for _, o := range s.Telemetries {
		all = append(all, entry{telemetryKind, o})
	}
	return all
}

// Merge returns the resources of all sets, in their order.
func Merge(sets ...Set) Set {
	var all Set
	for _, s := range sets {
		all.Gateways = append(all.Gateways, s.Gateways...)
		all.DestinationRules = append(all.DestinationRules, s.DestinationRules...)
		all.VirtualServices = append(all.VirtualServices, s.VirtualServices...)
		all.EnvoyFilters = append(all.EnvoyFilters, s.EnvoyFilters...)
		all.Telemetries = append(all.Telemetries, s.Telemetries...)
	}
	return all
}

// Objects returns the resources as the API server takes them, what others
// refer to first: without status and without fields that the server sets.
func (s Set) Objects() ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, e := range s.entries() {
		o, err := e.unstructured()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.label(), err)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func (e entry) unstructured() (*unstructured.Unstructured, error) {
	data, err := json.Marshal(e.object)
	if err != nil {
		return nil, err
	}
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &o.Object); err != nil {
		return nil, err
	}
	o.SetAPIVersion(e.kind.apiVersion())
	o.SetKind(e.kind.name)
	delete(o.Object, "status")
	for _, field := range []string{"creationTimestamp", "resourceVersion", "uid", "generation", "managedFields"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	return o, nil
}

// YAML prints the resources as one stream of documents, ready for kubectl.
func (s Set) YAML() ([]byte, error) {
	objects, err := s.Objects()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for i, o := range objects {
		doc, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", label(o.GetKind(), o), err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(doc)
	}
	return out.Bytes(), nil
}

// add puts one resource into the set, whichever version of its kind it has.
// strict makes unknown fields an error.
func (s *Set) add(o *unstructured.Unstructured, strict bool) error {
	gv, err := schema.ParseGroupVersion(o.GetAPIVersion())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(kinds, func(k kind) bool {
		return k.name == o.GetKind() && k.resource.Group == gv.Group &&
			(k.resource.Version == gv.Version || slices.Contains(k.alike, gv.Version))
	})
	if i < 0 {
		return fmt.Errorf("%s of %s is none of Clover's kinds: Gateway, DestinationRule, VirtualService, EnvoyFilter of networking.istio.io, Telemetry of telemetry.istio.io",
			cmp.Or(o.GetKind(), "a resource without kind"), cmp.Or(o.GetAPIVersion(), "no apiVersion"))
	}
	o = o.DeepCopy()
	o.SetAPIVersion(kinds[i].apiVersion())
	switch kinds[i].name {
	case gatewayKind.name:
		return decode(o, strict, &s.Gateways, func(v *networking.Gateway) proto.Message { return &v.Spec })
	case ruleKind.name:
		return decode(o, strict, &s.DestinationRules, func(v *networking.DestinationRule) proto.Message { return &v.Spec })
	case routesKind.name:
		return decode(o, strict, &s.VirtualServices, func(v *networking.VirtualService) proto.Message { return &v.Spec })
	case filterKind.name:
		return decode(o, strict, &s.EnvoyFilters, func(v *filters.EnvoyFilter) proto.Message { return &v.Spec })
	default:
		return decode(o, strict, &s.Telemetries, func(v *telemetry.Telemetry) proto.Message { return &v.Spec })
	}
}

// decode appends the resource to the list. Istio's own JSON decoder takes
// unknown fields always, so the specification is decoded apart.
func decode[T any](o *unstructured.Unstructured, strict bool, list *[]*T, spec func(*T) proto.Message) error {
	fields, err := json.Marshal(o.Object["spec"])
	if err != nil {
		return err
	}
	delete(o.Object, "spec")
	delete(o.Object, "status")
	data, err := json.Marshal(o.Object)
	if err != nil {
		return err
	}
	v := new(T)
	d := json.NewDecoder(bytes.NewReader(data))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return err
	}
	if string(fields) != "null" {
		options := protojson.UnmarshalOptions{DiscardUnknown: !strict}
		if err := options.Unmarshal(fields, spec(v)); err != nil {
			return fmt.Errorf("spec: %w", err)
		}
	}
	*list = append(*list, v)
	return nil
}
