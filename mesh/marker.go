package mesh

import (
	"context"
	"errors"
	"time"

	telemetryapi "istio.io/api/telemetry/v1alpha1"
	selector "istio.io/api/type/v1beta1"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

const (
	// cleanupLimit bounds the removal of a marker.
	cleanupLimit = 10 * time.Second
	// markerLife is the age at which a marker is nobody's any more.
	markerLife  = time.Hour
	markerLabel = "clover.opnfv.org/marker"
)

// mark writes a marker, waits until each istiod makes its pushes with it, and
// takes it away. As it was written after the resources were stored, these
// pushes have them too.
func (c *Client) mark(ctx context.Context, planes []istiod) error {
	if err := c.sweep(ctx, markerLife); err != nil {
		return err
	}
	marker := newMarker(c.options.IstioNamespace)
	object, err := marker.unstructured()
	if err != nil {
		return fault("mark", marker.label(), err)
	}
	if _, err := c.of(marker).Create(ctx, object, metav1.CreateOptions{FieldManager: c.options.FieldManager}); err != nil {
		return fault("mark", marker.label(), err)
	}
	for _, d := range planes {
		err = poll(ctx, d.name, func() (string, error) {
			ok, err := d.heeds(ctx, c.options.IstioNamespace, marker.object.GetName())
			if ok || err != nil {
				return "", err
			}
			return "has not begun to push", nil
		})
		if err != nil {
			break
		}
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	if gone := c.of(marker).Delete(cleanup, marker.object.GetName(), metav1.DeleteOptions{}); gone != nil {
		err = errors.Join(err, fault("delete", marker.label(), gone))
	}
	return err
}

// newMarker makes a Telemetry that selects nothing.
func newMarker(namespace string) entry {
	meta := named(namespace, "clover-wait-"+rand.String(10))
	meta.Labels[markerLabel] = "wait"
	return entry{telemetryKind, &telemetry.Telemetry{
		ObjectMeta: meta,
		Spec: telemetryapi.Telemetry{Selector: &selector.WorkloadSelector{
			MatchLabels: map[string]string{markerLabel: rand.String(10)},
		}},
	}}
}

// sweep removes markers of that age, which a Wait that was killed has left.
func (c *Client) sweep(ctx context.Context, age time.Duration) error {
	markers := c.objects.Resource(telemetryKind.resource).Namespace(c.options.IstioNamespace)
	list, err := markers.List(ctx, metav1.ListOptions{LabelSelector: markerLabel})
	if err != nil {
		return fault("list", "markers in "+c.options.IstioNamespace, err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if time.Since(o.GetCreationTimestamp().Time) < age {
			continue
		}
		if err := markers.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fault("delete", label(o.GetKind(), o), err)
		}
	}
	return nil
}
