package diagnose

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Sysdump collects what a bug report needs.
type Sysdump struct {
	Checker *Checker
	// Versions are written as they are.
	Versions string
	// Folder is the name of the folder that everything is in.
	Folder string
	// Time is the time of all files.
	Time time.Time

	tar    *tar.Writer
	faults []string
}

// Bounds of a report.
const (
	maxLogLines = 10_000
	maxLogBytes = 8 << 20
)

// whole are the kinds that are collected from Clover's namespace in full, and
// clusterWide those that concern it besides.
var (
	whole = []schema.GroupKind{
		{Kind: "Pod"}, {Kind: "Service"}, {Kind: "ConfigMap"}, {Kind: "Secret"}, {Kind: "ServiceAccount"},
		{Kind: "PersistentVolumeClaim"}, {Kind: "ResourceQuota"}, {Kind: "LimitRange"}, {Kind: "Event"},
		{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}, {Group: "apps", Kind: "ReplicaSet"},
		{Group: "apps", Kind: "DaemonSet"}, {Group: "batch", Kind: "Job"},
		{Group: "policy", Kind: "PodDisruptionBudget"}, {Group: "networking.k8s.io", Kind: "NetworkPolicy"},
		{Group: "discovery.k8s.io", Kind: "EndpointSlice"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role"}, {Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
		{Group: "networking.istio.io", Kind: "Gateway"}, {Group: "networking.istio.io", Kind: "VirtualService"},
		{Group: "networking.istio.io", Kind: "DestinationRule"}, {Group: "telemetry.istio.io", Kind: "Telemetry"},
	}
	clusterWide = []struct {
		kind     schema.GroupKind
		selector string
	}{
		{schema.GroupKind{Kind: "Namespace"}, ""},
		{schema.GroupKind{Kind: "Node"}, ""},
		{schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}, ""},
		{schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, partOf},
		{schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}, partOf},
	}
)

// partOf selects what belongs to Clover.
const partOf = "app.kubernetes.io/part-of=clover"

// Write writes the report as tar.gz. What cannot be collected is named in the
// report's own file errors.txt; only a fault of writing is an error.
func (d *Sysdump) Write(ctx context.Context, out io.Writer) error {
	zip := gzip.NewWriter(out)
	d.tar = tar.NewWriter(zip)
	err := d.collect(ctx)
	return errors.Join(err, d.tar.Close(), zip.Close())
}

func (d *Sysdump) collect(ctx context.Context) error {
	if err := d.file("versions.txt", []byte(d.Versions)); err != nil {
		return err
	}
	if err := d.checks(ctx); err != nil {
		return err
	}
	if c, err := d.Checker.Connect(); err != nil {
		d.fault("cluster", err)
	} else if err := d.cluster(ctx, c); err != nil {
		return err
	}
	if api, err := d.Checker.Controller(ctx); err != nil {
		d.fault("controller", err)
	} else if err := d.controller(ctx, api); err != nil {
		return err
	}
	return d.file("errors.txt", []byte(strings.Join(d.faults, "")))
}

// fault notes what could not be collected.
func (d *Sysdump) fault(what string, err error) {
	d.faults = append(d.faults, fmt.Sprintf("%s: %v\n", what, d.Checker.Explain(err)))
}

func (d *Sysdump) file(name string, content []byte) error {
	content = []byte(Text(string(content)))
	err := d.tar.WriteHeader(&tar.Header{
		Name: path.Join(d.Folder, name), Mode: 0o600, Size: int64(len(content)), ModTime: d.Time, Typeflag: tar.TypeReg,
	})
	if err != nil {
		return err
	}
	_, err = d.tar.Write(content)
	return err
}

func (d *Sysdump) checks(ctx context.Context) error {
	var list []Check
	d.Checker.Run(ctx, func(c Check) { list = append(list, c) })
	raw, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return d.file("check.json", raw)
}

func (d *Sysdump) cluster(ctx context.Context, c *kube.Cluster) error {
	for _, w := range clusterWide {
		if err := d.objects(ctx, c, w.kind, "", w.selector); err != nil {
			return err
		}
	}
	sample := d.sampleNamespaces(ctx, c)
	for _, kind := range whole {
		if err := d.objects(ctx, c, kind, d.Checker.Namespace, ""); err != nil {
			return err
		}
		for _, namespace := range sample {
			if err := d.objects(ctx, c, kind, namespace, partOf); err != nil {
				return err
			}
		}
	}
	for _, namespace := range append(sample, d.Checker.Namespace) {
		if err := d.logs(ctx, c, namespace); err != nil {
			return err
		}
	}
	return nil
}

// sampleNamespaces are the other namespaces with pods of Clover.
func (d *Sysdump) sampleNamespaces(ctx context.Context, c *kube.Cluster) []string {
	list, err := c.Typed().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: partOf})
	if err != nil {
		d.fault("pods of all namespaces", err)
		return nil
	}
	seen := map[string]bool{d.Checker.Namespace: true}
	var names []string
	for _, p := range list.Items {
		if !seen[p.Namespace] {
			seen[p.Namespace] = true
			names = append(names, p.Namespace)
		}
	}
	return names
}

// objects collects the objects of a kind, a file each.
func (d *Sysdump) objects(ctx context.Context, c *kube.Cluster, kind schema.GroupKind, namespace, selector string) error {
	mapping, err := c.Mapper().RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		d.fault(kind.String(), err)
		return nil
	}
	list, err := c.Dynamic().Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		d.fault(kind.String(), err)
		return nil
	}
	for i := range list.Items {
		if err := d.object(mapping.Resource.Resource, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Sysdump) object(resource string, u *unstructured.Unstructured) error {
	Object(u)
	raw, err := yaml.Marshal(u.Object)
	if err != nil {
		return err
	}
	folder := "cluster"
	if ns := u.GetNamespace(); ns != "" {
		folder = path.Join("namespaces", ns)
	}
	return d.file(path.Join(folder, resource, u.GetName()+".yaml"), raw)
}

// logs collects the logs of Clover's pods, also of containers that ended.
func (d *Sysdump) logs(ctx context.Context, c *kube.Cluster, namespace string) error {
	pods, err := c.Typed().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: partOf})
	if err != nil {
		d.fault("logs of "+namespace, err)
		return nil
	}
	for _, p := range pods.Items {
		for _, status := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			for _, previous := range []bool{false, true} {
				if previous && status.RestartCount == 0 || !previous && status.State.Waiting != nil {
					continue
				}
				if err := d.log(ctx, c, &p, status.Name, previous); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *Sysdump) log(ctx context.Context, c *kube.Cluster, p *corev1.Pod, container string, previous bool) error {
	name := path.Join("logs", p.Namespace, p.Name, container+".log")
	if previous {
		name = path.Join("logs", p.Namespace, p.Name, container+".previous.log")
	}
	lines, size := int64(maxLogLines), int64(maxLogBytes)
	raw, err := c.Typed().CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &size, Timestamps: true,
	}).DoRaw(ctx)
	if err != nil {
		d.fault(name, err)
		return nil
	}
	return d.file(name, raw)
}

// controller collects what the controller says of itself.
func (d *Sysdump) controller(ctx context.Context, api *client.Client) error {
	for _, route := range []string{"status", "ledger", "config"} {
		raw, err := api.Raw(ctx, route)
		if err != nil {
			d.fault("controller's "+route, err)
			continue
		}
		if err := d.file(path.Join("controller", route+".json"), raw); err != nil {
			return err
		}
	}
	return nil
}
