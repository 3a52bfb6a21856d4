package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/clovisor/target"
	podwatch "github.com/opnfv/clover/clovisor/target/kubernetes"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
)

// planned stands for a node that cannot be looked at from this machine: the
// node of the test's cluster has processes and interfaces of its own. It
// gives each pod an interface of the pod's name.
type planned struct{}

func (planned) Find(pods []podwatch.Pod, encrypted map[string]bool) (set target.Set, err error) {
	for _, p := range pods {
		set.Targets = append(set.Targets, target.Target{
			ID: string(p.UID), Interface: p.Workload.Pod, Ports: p.Ports, Workload: p.Workload, Inside: encrypted[string(p.UID)],
		})
	}
	return set, nil
}

// seen is the newest set of a watcher.
type seen struct {
	sync.Mutex
	set   target.Set
	calls int
}

func (s *seen) update(set target.Set) {
	s.Lock()
	defer s.Unlock()
	s.set = set
	s.calls++
}

func (s *seen) is(t *testing.T, want string) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		s.Lock()
		defer s.Unlock()
		got := ""
		for _, found := range s.set.Targets {
			got += found.Workload.Pod + ":"
			for _, p := range found.Ports {
				got += fmt.Sprintf(" %d=%s", p.Number, p.Protocol)
			}
			if found.Inside {
				got += " inside"
			}
			got += "\n"
		}
		return s.calls > 0 && got == want, got
	})
}

// TestKubernetesFollows follows pods of a real cluster that come, change and
// go, and a selection that changes.
func TestKubernetesFollows(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Start(t).Kubeconfig())
	check(t, err)
	admin := rest.CopyConfig(config)
	client, err := rest.HTTPClientFor(admin)
	check(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(client.Transport) })
	api, err := clientset.NewForConfigAndClient(admin, client)
	check(t, err)
	ns, err := api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "target-"}}, metav1.CreateOptions{})
	check(t, err)
	t.Cleanup(func() {
		check(t, api.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), ns.Name, metav1.DeleteOptions{}))
	})
	nodes, err := api.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	check(t, err)

	k, err := podwatch.New(config, podwatch.Options{Node: nodes.Items[0].Name, Finder: planned{}, Logger: testutil.Logger(t)})
	check(t, err)
	k.Select(target.Selection{Selectors: []target.Selector{{Namespace: ns.Name, Key: "app", Value: "web"}}})
	ctx, cancel := context.WithCancel(t.Context())
	done, s := make(chan error, 1), &seen{}
	go func() { done <- k.Run(ctx, s.update) }()
	s.is(t, "")

	pods := api.CoreV1().Pods(ns.Name)
	grace := int64(0)
	_, err = pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{
			Name: "c", Image: "registry.k8s.io/pause:3.10.1", ImagePullPolicy: corev1.PullNever, Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
		}}},
	}, metav1.CreateOptions{})
	check(t, err)
	s.is(t, "one: 8080=\n")
	_, err = api.CoreV1().Services(ns.Name).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http-web", Port: 8080}}},
	}, metav1.CreateOptions{})
	check(t, err)
	s.is(t, "one: 8080=http\n")
	pod, err := pods.Get(t.Context(), "one", metav1.GetOptions{})
	check(t, err)
	k.Encrypted(string(pod.UID))
	s.is(t, "one: 8080=http inside\n")
	label := func(value string) {
		_, err := pods.Patch(t.Context(), "one", types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{"app":%q}}}`, value), metav1.PatchOptions{})
		check(t, err)
	}
	label("other")
	s.is(t, "")
	label("web")
	s.is(t, "one: 8080=http inside\n")
	k.Select(target.Selection{Selectors: []target.Selector{{Namespace: "nowhere"}}})
	s.is(t, "")
	k.Select(target.Selection{Selectors: []target.Selector{{Namespace: ns.Name}}})
	s.is(t, "one: 8080=http inside\n")
	check(t, pods.Delete(t.Context(), "one", metav1.DeleteOptions{}))
	s.is(t, "")
	cancel()
	check(t, <-done)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
