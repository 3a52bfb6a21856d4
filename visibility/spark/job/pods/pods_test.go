package pods

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility/spark/job"
)

var update = flag.Bool("update", false, "write testdata again")

var task = job.Task{Name: "clover-spark-fast", ID: "0fa43841362b3f27b35eaf6112965081", Statement: "SELECT '$(HOME)';\n"}

func runner() *Runner {
	return &Runner{
		Client: fake.NewClientset(), Namespace: "clover-system", Image: "opnfv/clover-spark:1", ServiceAccount: "clover-spark",
		Claim: "clover-spark", Mount: "/spark", Executors: 2, ExecutorMemory: 2048, Conf: []string{"spark.sql.shuffle.partitions=4"},
		Owner: &metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "submitter", UID: "1"},
	}
}

// TestDriver compares a driver's pod with testdata/driver.yaml; a real cluster
// runs it in the tests of the deployment.
func TestDriver(t *testing.T) {
	got, err := yaml.Marshal(runner().driver(task))
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/driver.yaml"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs: run with -update and look at the difference\n%s", file, got)
	}
}

// TestEnds holds what becomes of a job whose driver ends in each way: nothing
// of it or of earlier ones is left.
func TestEnds(t *testing.T) {
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImageNeverPull", Message: "no such image"}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "no such table\n"}}
	for name, c := range map[string]struct {
		status corev1.PodStatus
		want   string // in the error; "": none
	}{
		"well": {corev1.PodStatus{Phase: corev1.PodSucceeded}, ""},
		"badly": {
			corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{State: ended}}},
			"driver " + task.Name + "-" + task.ID + "-driver failed: exit code 1, Error: no such table",
		},
		"evicted":  {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "no memory"}, "failed: Evicted no memory"},
		"no image": {corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: waiting}}}, "ErrImageNeverPull: no such image"},
		"deleted":  {corev1.PodStatus{}, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runner()
			pods := r.Client.CoreV1().Pods(r.Namespace)
			left := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "left", Labels: map[string]string{appLabel: appName}}}
			if _, err := pods.Create(t.Context(), left, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- r.Run(t.Context(), task) }()
			p := made(t, r)
			var err error
			if p.Status = c.status; c.status.Phase == "" {
				err = pods.Delete(t.Context(), p.Name, metav1.DeleteOptions{})
			} else {
				_, err = pods.UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
			err = <-done
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			noneLeft(t, r)
		})
	}
}

// TestContext holds that a job whose context ends leaves nothing.
func TestContext(t *testing.T) {
	r := runner()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, task) }()
	made(t, r)
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	noneLeft(t, r)
}

// made waits for the driver.
func made(t *testing.T, r *Runner) (p *corev1.Pod) {
	t.Helper()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		var err error
		p, err = r.Client.CoreV1().Pods(r.Namespace).Get(t.Context(), task.Name+"-"+task.ID+"-driver", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return true, ""
	})
	return p
}

func noneLeft(t *testing.T, r *Runner) {
	t.Helper()
	list, err := r.Client.CoreV1().Pods(r.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("%d pods are left: %v", len(list.Items), err)
	}
}
