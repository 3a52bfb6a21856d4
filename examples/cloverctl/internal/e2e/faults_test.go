package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// failsSoon runs a command line that has to fail because of what waiting cannot
// mend, and not because its time is over.
func (k *kit) failsSoon(line string, want ...string) {
	k.Helper()
	start := time.Now()
	out := k.expect(line, 1, want...)
	k.Logf("%s: failed after %v", line, time.Since(start).Round(100*time.Millisecond))
	if strings.Contains(out, "not ready after") {
		k.Errorf("%s: it has waited to the end:\n%s", line, out)
	}
}

// TestPodsThatCannotBecomeReady holds that --wait says which pod, why, and
// what to do, and that a second create mends it.
func TestPodsThatCannotBecomeReady(t *testing.T) {
	k := newKit(t)
	k.load()
	k.failsSoon("create system visibility --wait -t absent", ": pod clover-co", "ImagePull", "opnfv/clover-co", ":absent", "-t TAG")
	k.expect("status", 1, "ImagePull", "0/1")
	k.must("create system visibility --wait -t "+testTag, "Updated statefulset \"clover-collector\".", "Ready: statefulset \"clover-collector\"")
	k.must("status")
	k.failsSoon("create system controller --wait -t never --set image.pullPolicy=Never", "ErrImageNeverPull", "image.pullPolicy=IfNotPresent")
	k.must("create system controller --wait -t " + testTag)
	k.failsSoon("create system controller --wait -t "+testTag+" --set controller.extraArgs={--nonsense}", "CrashLoopBackOff", "Its last lines were:", "unknown flag: --nonsense",
		"cloverctl logs controller --previous")
	k.must("logs controller --previous", "nonsense")
	k.failsSoon("create system controller --wait -t "+testTag+" --set controller.resources.requests.cpu=1000", "Unschedulable", "Insufficient cpu", "controller.resources.requests")
	k.must("create system controller --wait -t " + testTag)
	k.expect("create system controller -t "+testTag+" --wait --wait-timeout 1ms", 1, "not ready after")
}

// TestHalfAnInstall holds that what is missing is made again, and only that.
func TestHalfAnInstall(t *testing.T) {
	k := newKit(t)
	k.must("create system controller")
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	k.check(k.api.AppsV1().Deployments(k.namespace).Delete(k.Context(), "clover-controller", options))
	k.check(k.api.CoreV1().Secrets(k.namespace).Delete(k.Context(), "clover-controller-tls", options))
	k.must("create system controller", "Created deployment \"clover-controller\".", "Created secret \"clover-controller-tls\".",
		"Unchanged secret \"clover-ca\".", "Unchanged service \"clover-controller\"")

	_, err := k.api.AppsV1().Deployments(k.namespace).Patch(k.Context(), "clover-controller", types.MergePatchType,
		[]byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{FieldManager: "somebody"})
	k.check(err)
	k.expect("create system controller", 1, `deployment "clover-controller" in namespace `+k.namespace+" has been changed by others: .spec.replicas", "somebody", "--force-conflicts")
	k.must("create system controller --force-conflicts", "Updated deployment \"clover-controller\".")

	k.check(k.api.CoreV1().Namespaces().Delete(k.Context(), k.namespace, options))
	k.must("create system controller", "Created "+k.namespace+" namespace", "Created deployment")
}

// TestWithoutRights holds that a missing right is named, and that nothing is
// changed then.
func TestWithoutRights(t *testing.T) {
	k := newKit(t)
	k.expect("create system controller --as jane", 1, "no permission; nothing was changed", "create deployments.apps in namespace "+k.namespace,
		"patch clusterroles.rbac.authorization.k8s.io cluster-wide", "Ask an administrator")
	if k.namespaceIsThere() {
		t.Error("the namespace was made")
	}
	k.must("create system controller")
	before := k.versions()
	k.expect("delete system controller --as jane", 1, `user "jane" may not list`)
	k.expect("get services --as jane", 1, `no permission: user "jane" may not list services in namespace `+k.namespace)
	k.expect("status --as jane", 1, `user "jane" may not list`)
	k.expect("get visibility status --as jane", 1, `user "jane" may not list services`)
	k.expect("check --as jane", 1, "✗ permissions to", "✗ controller: no permission")

	reader := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: k.namespace + "-view"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: k.namespace}},
	}
	_, err := k.api.RbacV1().ClusterRoleBindings().Create(k.Context(), reader, metav1.CreateOptions{})
	k.check(err)
	defer func() {
		k.check(k.api.RbacV1().ClusterRoleBindings().Delete(t.Context(), reader.Name, metav1.DeleteOptions{}))
	}()
	k.mayList("services", k.namespace)
	k.must("get services --as "+k.namespace, "clover-controller")
	k.expect("get visibility status --as "+k.namespace, 1, "may not create serviceaccounts", "--token-file")
	k.expect("create system controller --as "+k.namespace, 1, "no permission; nothing was changed", "patch secrets in namespace "+k.namespace)
	for name, version := range k.versions() {
		if before[name] != version && !strings.HasPrefix(name, "deployment/") {
			t.Errorf("%s was changed", name)
		}
	}
}

// mayList waits until a user may list what is in the test's namespace: the API
// server learns of a binding some time after it has stored it.
func (k *kit) mayList(resource, user string) {
	k.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: k.namespace, Verb: "list", Resource: resource},
	}}
	k.eventually(30*time.Second, func() (bool, string) {
		got, err := k.api.AuthorizationV1().SubjectAccessReviews().Create(k.Context(), review, metav1.CreateOptions{})
		k.check(err)
		return got.Status.Allowed, fmt.Sprintf("%s: %+v", user, got.Status)
	})
}

// TestWrongCluster holds what is said about contexts and servers.
func TestWrongCluster(t *testing.T) {
	k := newKit(t)
	k.expect("create system controller --context nowhere", 2, `context "nowhere" is not known; choose one with --context: `)
}
