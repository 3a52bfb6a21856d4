package kubeauth

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/opnfv/clover/api/server/auth"
)

// reviews are the two kinds that this package sends. The whole clientset
// would take tens of megabytes more.
func reviews() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(authenticationv1.AddToScheme(scheme))
	utilruntime.Must(authorizationv1.AddToScheme(scheme))
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
}

// client calls one API group.
func client(config *rest.Config, group schema.GroupVersion) (rest.Interface, error) {
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = "/apis", &group
	c.NegotiatedSerializer = serializer.NewCodecFactory(reviews()).WithoutConversion()
	c.QPS, c.Burst = maxReviewsPerSecond, maxReviewsAtOnce
	if c.UserAgent == "" {
		c.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	return rest.RESTClientFor(c)
}

// review sends one review and classifies what goes wrong.
func (r *Reviewer) review(ctx context.Context, client rest.Interface, resource string, in, out runtime.Object) error {
	reviewing, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	err := client.Post().Resource(resource).Body(in).Do(reviewing).Into(out)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: the cluster does not let Clover create %s; bind its service account to the ClusterRole system:auth-delegator: %w", auth.ErrUnavailable, resource, err)
	default:
		return fmt.Errorf("%w: the Kubernetes API cannot be asked: %w", auth.ErrUnavailable, err)
	}
}
