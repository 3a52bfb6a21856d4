package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/opnfv/clover/internal/testutil"
)

// passing are kinds whose objects Kubernetes makes and forgets by itself.
var passing = []string{"Event", "Lease", "ComponentStatus"}

// objects lists every object of the cluster, by kind, namespace and name.
func (k *kit) objects() map[string]bool {
	k.Helper()
	client, err := metadata.NewForConfigAndClient(k.config, k.http)
	k.check(err)
	lists, err := discovery.ServerPreferredResources(k.api.Discovery())
	k.check(err)
	all := map[string]bool{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		k.check(err)
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Kind) {
				continue
			}
			found, err := client.Resource(group.WithResource(r.Name)).List(k.Context(), metav1.ListOptions{})
			k.check(err)
			for _, o := range found.Items {
				all[fmt.Sprintf("%s %s/%s", r.Kind, o.Namespace, o.Name)] = true
			}
		}
	}
	return all
}

// isAsBefore waits until the cluster holds what it held before, and nothing
// else.
func (k *kit) isAsBefore(before map[string]bool) {
	k.Helper()
	// Volumes go one after the other.
	testutil.Eventually(k, 3*limit, func() (bool, string) {
		after := k.objects()
		var wrong []string
		for name := range after {
			if !before[name] {
				wrong = append(wrong, "left: "+name)
			}
		}
		for name := range before {
			if !after[name] {
				wrong = append(wrong, "gone: "+name)
			}
		}
		slices.Sort(wrong)
		return len(wrong) == 0, strings.Join(wrong, "\n")
	})
}
