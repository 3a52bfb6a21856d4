package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	istiodPort = 15014
	// clusterType is the xDS type that istiod sends first in every push.
	clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	xdsTypes    = "type.googleapis.com/envoy.config."
)

// istiod is one running control plane, asked at its debug interface.
type istiod struct{ *pod }

// stored returns the resource version of every mesh resource that istiod
// knows, by "KIND NAMESPACE/NAME".
func (d istiod) stored(ctx context.Context) (map[string]string, error) {
	body, err := d.get(ctx, "/debug/configz")
	if err != nil {
		return nil, err
	}
	var objects []struct {
		APIVersion        string `json:"apiVersion"`
		Kind              string `json:"kind"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(body, &objects); err != nil {
		return nil, fmt.Errorf("/debug/configz: %w", err)
	}
	versions := map[string]string{}
	for i := range objects {
		o := &objects[i]
		// The Gateway of the Kubernetes Gateway API has the same kind.
		if strings.Contains(o.APIVersion, "istio.io/") {
			versions[label(o.Kind, o)] = o.ResourceVersion
		}
	}
	return versions, nil
}

// heeds reports whether what istiod sends to new proxies is made with a
// Telemetry of that name.
func (d istiod) heeds(ctx context.Context, namespace, name string) (bool, error) {
	body, err := d.get(ctx, "/debug/telemetryz")
	if err != nil {
		return false, err
	}
	var answer struct {
		Telemetries struct {
			ByNamespace map[string][]struct {
				Name string `json:"name"`
			} `json:"namespace_to_telemetries"`
		} `json:"telemetries"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return false, fmt.Errorf("/debug/telemetryz: %w", err)
	}
	for _, t := range answer.Telemetries.ByNamespace[namespace] {
		if t.Name == name {
			return true, nil
		}
	}
	return false, nil
}

// push makes istiod send everything to all its proxies once more.
func (d istiod) push(ctx context.Context) error {
	_, err := d.get(ctx, "/debug/adsz?"+url.Values{"push": {"true"}}.Encode())
	return err
}

// proxy is what istiod says of one of its proxies.
type proxy struct {
	ID        string             `json:"proxy"` // "POD.NAMESPACE"
	Type      string             `json:"proxy_type"`
	Resources map[string]xdsSync `json:"resources"`
}

// xdsSync is the state of one xDS type.
type xdsSync struct {
	Sent      string `json:"sent"`
	Acked     string `json:"acked"`
	LastError string `json:"lastError"`
}

// proxies lists the Envoys that are connected.
func (d istiod) proxies(ctx context.Context) ([]proxy, error) {
	body, err := d.get(ctx, "/debug/syncz")
	if err != nil {
		return nil, err
	}
	var all []proxy
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("/debug/syncz: %w", err)
	}
	return slices.DeleteFunc(all, func(p proxy) bool { return p.Resources[clusterType].Sent == "" }), nil
}

// current reports whether the proxy has acknowledged all that was sent.
func (p proxy) current() bool {
	for name, r := range p.Resources {
		if strings.HasPrefix(name, xdsTypes) && r.Sent != r.Acked {
			return false
		}
	}
	return true
}

// place splits the ID into namespace and name of the pod.
func (p proxy) place() (namespace, name string) {
	i := strings.LastIndex(p.ID, ".")
	if i < 0 {
		return "", p.ID
	}
	return p.ID[i+1:], p.ID[:i]
}

// controlPlanes opens a way to every istiod.
func (c *Client) controlPlanes(ctx context.Context) ([]istiod, error) {
	pods, err := c.core.Pods(c.options.IstioNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app=istiod"})
	if err != nil {
		return nil, fault("list", "pods in "+c.options.IstioNamespace, err)
	}
	var all []istiod
	for _, p := range pods.Items {
		if p.Status.Phase != "Running" || p.DeletionTimestamp != nil {
			continue
		}
		way, err := c.forward(ctx, p.Namespace, p.Name, istiodPort)
		if err != nil {
			closeAll(all)
			return nil, fault("port-forward", "Pod "+p.Namespace+"/"+p.Name, err)
		}
		all = append(all, istiod{way})
	}
	if len(all) == 0 {
		return nil, &Error{
			Op: "find", Target: "istiod", Kind: ErrUnsupported,
			Err: fmt.Errorf("no running pod with the label app=istiod in namespace %s: install Istio there, or name its namespace", c.options.IstioNamespace),
		}
	}
	return all, nil
}

func closeAll(all []istiod) {
	for _, d := range all {
		d.close()
	}
}

// wanted maps each resource of s to the version that the API server has; ""
// is none.
func (c *Client) wanted(ctx context.Context, s Set) (map[string]string, error) {
	versions := map[string]string{}
	for _, e := range s.entries() {
		o, err := c.live(ctx, e)
		if err != nil {
			return nil, fault("read", e.label(), err)
		}
		if o == nil {
			o = &unstructured.Unstructured{}
		}
		versions[e.label()] = o.GetResourceVersion()
	}
	return versions, nil
}
