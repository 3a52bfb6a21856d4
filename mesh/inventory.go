package mesh

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// builtinProviders are extension providers that Istio has by itself.
var builtinProviders = []string{"prometheus", "stackdriver", "envoy"}

var serviceEntries = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "serviceentries"}

// Known reads what the cluster has that a set may refer to.
func (c *Client) Known(ctx context.Context) (*Known, error) {
	known := &Known{Domain: c.options.Domain}
	for _, k := range kinds {
		list, err := c.objects.Resource(k.resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fault("list", k.resource.Resource, err)
		}
		for i := range list.Items {
			if err := known.Set.add(&list.Items[i], false); err != nil {
				return nil, fault("read", label(k.name, &list.Items[i]), err)
			}
		}
	}
	if err := c.services(ctx, known); err != nil {
		return nil, err
	}
	return known, c.providers(ctx, known)
}

// services fills in where routes may lead.
func (c *Client) services(ctx context.Context, known *Known) error {
	services, err := c.core.Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fault("list", "services", err)
	}
	for _, s := range services.Items {
		service := Service{Host: s.Name + "." + s.Namespace + ".svc." + c.options.Domain}
		for _, port := range s.Spec.Ports {
			service.Ports = append(service.Ports, uint32(port.Port))
		}
		known.Services = append(known.Services, service)
	}
	entries, err := c.objects.Resource(serviceEntries).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fault("list", serviceEntries.Resource, err)
	}
	for i := range entries.Items {
		known.Services = append(known.Services, external(&entries.Items[i])...)
	}
	return nil
}

// external lists the hosts of a ServiceEntry.
func external(entry *unstructured.Unstructured) []Service {
	hosts, _, _ := unstructured.NestedStringSlice(entry.Object, "spec", "hosts")
	list, _, _ := unstructured.NestedSlice(entry.Object, "spec", "ports")
	var ports []uint32
	for _, p := range list {
		if port, ok := p.(map[string]any); ok {
			if number, ok := port["number"].(int64); ok {
				ports = append(ports, uint32(number))
			}
		}
	}
	services := make([]Service, len(hosts))
	for i, host := range hosts {
		services[i] = Service{Host: host, Ports: ports}
	}
	return services
}

// providers reads the names of the extension providers from the mesh
// configuration.
func (c *Client) providers(ctx context.Context, known *Known) error {
	known.Providers = append(known.Providers, builtinProviders...)
	config, err := c.core.ConfigMaps(c.options.IstioNamespace).Get(ctx, "istio", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	target := "ConfigMap " + c.options.IstioNamespace + "/istio"
	if err != nil {
		return fault("read", target, err)
	}
	var mesh struct {
		ExtensionProviders []struct {
			Name string `json:"name"`
		} `json:"extensionProviders"`
	}
	if err := yaml.Unmarshal([]byte(config.Data["mesh"]), &mesh); err != nil {
		return fault("read", target, fmt.Errorf("key mesh: %w", err))
	}
	for _, p := range mesh.ExtensionProviders {
		known.Providers = append(known.Providers, p.Name)
	}
	return nil
}
