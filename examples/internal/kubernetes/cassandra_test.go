package kubernetes

import (
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/internal/testutil"
)

// TestCassandra installs visibility with Cassandra, in one pod or three, and
// three collectors, takes away one of each while spans are sent, and removes
// all of it. It is for machines with nothing else to do:
// make test-kubernetes-cassandra.
func TestCassandra(t *testing.T) {
	pods := testutil.Long(t, "CLOVER_CASSANDRA_PODS", "test-kubernetes-cassandra")
	k := newKit(t)
	k.load("clover-cassandra")
	before := k.objects()
	k.ends("cloverctl create system visibility -t test --collectors 3", 2, "values: collector.replicas: 3 collectors need a store that they share", "--store cassandra")
	if k.hasNamespace(t.Context(), cloverNamespace) {
		t.Error("something was applied of what cannot work")
	}
	k.installCassandra(pods)
	otlp := k.nodePort(cloverNamespace, "clover-collector", 4317)
	var senders []*sender
	for i := range 5 { // each by a connection of its own, so to any of the collectors
		senders = append(senders, k.newSender(otlp, fmt.Sprintf("before-%d", i)), k.newSender(otlp, fmt.Sprintf("during-%d", i)))
	}
	send := func() {
		t.Helper()
		for range 3 {
			for _, s := range senders {
				k.check(s.send(20))
			}
		}
	}
	send()
	k.podGoes("clover-collector-1", send)
	k.podGoes("cassandra-0", send) // of one: what comes waits in the collectors' spools
	send()
	for _, s := range senders {
		s.isCounted()
	}
	k.types("cloverctl clear visibility", "Cleared visibility data: ", fmt.Sprintf("%d spans", 4*3*20*len(senders)))
	k.types("cloverctl delete system visibility", `Deleted statefulset "cassandra".`, `Deleted statefulset "clover-collector".`)
	k.check(k.api.CoreV1().Services(cloverNamespace).Delete(t.Context(), "test-clover-collector", metav1.DeleteOptions{}))
	k.types("cloverctl delete system controller nodeport")
	k.types("cloverctl delete system controller")
	k.isAsBefore(before)
}

// installCassandra creates all that the store on Cassandra needs. Java
// compiles little, and so starts sooner where there are few processors.
func (k *kit) installCassandra(pods string) {
	k.Helper()
	start := time.Now()
	k.types("cloverctl create system visibility -t test --store cassandra --collectors 3 --size small --wait --wait-timeout 20m"+
		" --set cassandra.storage.size=1Gi --set cassandra.pods="+pods+" --set cassandra.extraArgs={--jvm-arg=-XX:TieredStopAtLevel=1}",
		lines(`Created statefulset "cassandra".`, "Image: opnfv/clover-cassandra:test"), `Created service "cassandra"`,
		lines(`Created statefulset "clover-collector".`, "Image: opnfv/clover-collector:test"), `Ready: statefulset "clover-collector" (3 of 3 pods)`)
	k.Logf("installed in %s", time.Since(start).Round(time.Second))
	k.types("cloverctl create system controller nodeport")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
	k.answers()
	k.types("cloverctl init visibility", k.greeting()+"Added visibility schemas in cassandra\n")
}

// podGoes deletes a pod of a StatefulSet at once, does something meanwhile,
// and waits until the pod is back.
func (k *kit) podGoes(name string, meanwhile func()) {
	k.Helper()
	start, pods := time.Now(), k.api.CoreV1().Pods(cloverNamespace)
	old, err := pods.Get(k.Context(), name, metav1.GetOptions{})
	k.check(err)
	k.check(pods.Delete(k.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	meanwhile()
	sent := time.Since(start)
	testutil.Eventually(k, javaLimit, func() (bool, string) {
		p, err := pods.Get(k.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, name + " is gone"
		}
		k.check(err)
		ready := p.UID != old.UID && len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready
		return ready, k.podStates(cloverNamespace)
	})
	k.Logf("%s went: all was acknowledged after %s, it is back after %s", name, sent.Round(time.Second), time.Since(start).Round(time.Second))
}
