package kubernetes

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/internal/testutil"
)

// TestSpark has Spark's jobs run in pods: what they count is what was sent,
// also when executors and drivers are taken away. It is for machines with
// nothing else to do: make test-kubernetes-spark.
func TestSpark(t *testing.T) {
	executors := testutil.Long(t, "CLOVER_SPARK_EXECUTORS", "test-kubernetes-spark")
	k := newKit(t)
	k.load("clover-spark", "clover-spark-submit")
	before := k.objects()
	k.types("cloverctl create system spark -t test --set spark.interval.full=20s --set spark.interval.fast=1s --set spark.executors="+executors,
		`Created serviceaccount "clover-spark"`, lines(`Created deployment "clover-spark-submit".`, "Image: opnfv/clover-spark-submit:test"))
	k.types("cloverctl create system visibility -t test --wait --set spark.storage.size=1Gi --set spark.window=10s --set spark.settle=1s")
	k.types("cloverctl create system controller nodeport")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
	k.answers()
	s := k.newSender(k.nodePort(cloverNamespace, "clover-collector", 4317), "counted")
	send := func() {
		t.Helper()
		for range 3 {
			k.check(s.send(20))
		}
	}
	send()
	s.isCounted()
	k.isSummedUp(int(s.acked.Load()))
	send()
	k.goes(regexp.MustCompile(`^clover-spark(-fast)?-[0-9a-f]{32}-exec-1$`))
	k.isSummedUp(int(s.acked.Load()))
	send()
	k.goes(regexp.MustCompile(`^clover-spark(-fast)?-[0-9a-f]{32}-driver$`))
	k.isSummedUp(int(s.acked.Load()))
	k.eventually(func() (bool, string) {
		text := k.submitted()
		return strings.Contains(text, " failed: attempt 1"), "no job failed when its driver was taken away: " + text
	})
	k.types("cloverctl delete system spark", `Deleted deployment "clover-spark-submit".`)
	k.types("cloverctl delete system visibility", `Deleted persistentvolumeclaim "clover-spark"`)
	k.check(k.api.CoreV1().Services(cloverNamespace).Delete(t.Context(), "test-clover-collector", metav1.DeleteOptions{}))
	k.types("cloverctl delete system controller nodeport")
	k.types("cloverctl delete system controller")
	k.isAsBefore(before)
}

// javaLimit is how long may take what starts Java again, perhaps several times.
const javaLimit = 10 * time.Minute

// submitted is what clover-spark-submit has printed, also before a restart, or
// why that is not known: a kubelet that has much to do may not tell.
func (k *kit) submitted() (text string) {
	k.Helper()
	pod := k.pod(cloverNamespace, "app=clover-spark-submit")
	for _, c := range pod.Status.ContainerStatuses {
		if c.RestartCount > 0 {
			text = k.log(pod.Name, true)
		}
	}
	return text + k.log(pod.Name, false)
}

// log is what a pod of Clover has printed, or the one before a restart.
func (k *kit) log(pod string, previous bool) string {
	k.Helper()
	stream, err := k.api.CoreV1().Pods(cloverNamespace).GetLogs(pod, &corev1.PodLogOptions{Previous: previous}).Stream(k.Context())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(stream)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// isSummedUp waits until a full job has found that many spans.
func (k *kit) isSummedUp(want int) {
	k.Helper()
	start, found := time.Now(), regexp.MustCompile(fmt.Sprintf(`(?m)^clover-spark [0-9a-f]{32} ok: .* %d spans, `, want))
	testutil.Eventually(k, javaLimit, func() (bool, string) {
		text := k.submitted()
		return found.MatchString(text), fmt.Sprintf("no full job has found %d spans: %s\n%s", want, text, k.podStates(cloverNamespace))
	})
	k.Logf("%d spans are summed up after %s: %s", want, time.Since(start).Round(time.Second), found.FindString(k.submitted()))
}

// goes deletes the first pod that has such a name, at once, while it runs.
func (k *kit) goes(name *regexp.Regexp) {
	k.Helper()
	pods := k.api.CoreV1().Pods(cloverNamespace)
	testutil.Eventually(k, javaLimit, func() (bool, string) {
		list, err := pods.List(k.Context(), metav1.ListOptions{LabelSelector: "app=clover-spark"})
		k.check(err)
		for _, p := range list.Items {
			if name.MatchString(p.Name) && p.Status.Phase == corev1.PodRunning {
				k.Logf("%s goes", p.Name)
				err := pods.Delete(k.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
				return err == nil, fmt.Sprint(err)
			}
		}
		return false, k.podStates(cloverNamespace)
	})
}
