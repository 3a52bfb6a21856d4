// Package pods runs Spark's jobs in Kubernetes: for each a driver's pod, which
// has Kubernetes start pods of executors. Their names are those that Clover's
// jobs have had since 2019:
//
//	clover-spark-0fa43841362b3f27b35eaf6112965081-driver
//	clover-spark-0fa43841362b3f27b35eaf6112965081-exec-1
package pods

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/opnfv/clover/visibility/spark/job"
)

// Runner runs each job as a Spark application in pods, in Spark's client mode:
// the driver is a pod that Runner makes, executors belong to it and go with
// it. It implements [job.Runner]; one at a time may run with a Name.
type Runner struct {
	Client    kubernetes.Interface
	Namespace string
	// Image is that of driver and executors; it starts clover-spark.
	Image string
	// PullPolicy is that of Image; "" is Kubernetes' default.
	PullPolicy corev1.PullPolicy
	// ServiceAccount is the driver's: it has to get, list, watch, create and
	// delete pods in Namespace.
	ServiceAccount string
	// Claim is the persistent volume claim of data and results; every pod has
	// it at Mount.
	Claim, Mount string
	// Executors is the number of them. 0: 1.
	Executors int
	// DriverMemory and ExecutorMemory are the memory of a pod in MiB, of which
	// Java's heap has about half. 0: 1024.
	DriverMemory, ExecutorMemory int
	// Conf are further settings of Spark, KEY=VALUE.
	Conf []string
	// Owner, if not nil, owns the drivers, so that they go with it.
	Owner *metav1.OwnerReference
}

// The label that all pods of a job have, and what it says of the driver's.
const (
	runLabel = "clover.opnfv.org/spark-run"
	appLabel = "app"
	appName  = "clover-spark"
)

const (
	defaultMemory = 1024 // MiB
	lookInterval  = 500 * time.Millisecond
	// goneLimit is how long the pods of a job that is over may take to go.
	goneLimit  = 2 * time.Minute
	driverPort = 7078
	blockPort  = 7079
)

// Run implements [job.Runner]. What an earlier process has left of its jobs is
// removed first.
func (r *Runner) Run(ctx context.Context, t job.Task) (err error) {
	if err := r.remove(ctx, appLabel+"="+appName); err != nil {
		return fmt.Errorf("pods of earlier jobs: %w", err)
	}
	pods := r.Client.CoreV1().Pods(r.Namespace)
	driver, err := pods.Create(ctx, r.driver(t), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("driver: %w", err)
	}
	defer func() {
		// Also when ctx is over: nothing of the job may go on.
		if gone := r.remove(context.WithoutCancel(ctx), runLabel+"="+t.ID); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the job's pods: %w", gone))
		}
	}()
	return wait.PollUntilContextCancel(ctx, lookInterval, true, func(ctx context.Context) (done bool, err error) {
		p, err := pods.Get(ctx, driver.Name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("driver: %w", err)
		}
		switch p.Status.Phase {
		case corev1.PodSucceeded:
			return true, nil
		case corev1.PodFailed:
			return false, fmt.Errorf("driver %s failed: %s", p.Name, why(p))
		case corev1.PodPending:
			return false, waits(p)
		}
		return false, nil
	})
}

// waits is an error if a pod waits for what will not come by itself.
func waits(p *corev1.Pod) error {
	for _, c := range p.Status.ContainerStatuses {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError":
			return fmt.Errorf("driver %s cannot start: %s: %s", p.Name, w.Reason, w.Message)
		}
	}
	return nil
}

// why tells what a pod that failed printed last: the kubelet puts the end of
// it into the pod's status.
func why(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			return strings.TrimSpace(fmt.Sprintf("exit code %d, %s: %s", t.ExitCode, t.Reason, t.Message))
		}
	}
	return strings.TrimSpace(p.Status.Reason + " " + p.Status.Message)
}

// remove deletes the pods that a label selects and returns when they are gone.
func (r *Runner) remove(ctx context.Context, selector string) error {
	ctx, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	pods, atOnce := r.Client.CoreV1().Pods(r.Namespace), int64(0)
	// Again and again: a driver that is ending may have started another
	// executor meanwhile.
	var names []string
	err := wait.PollUntilContextCancel(ctx, lookInterval, true, func(ctx context.Context) (done bool, err error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return false, err
		}
		names = names[:0]
		for _, p := range list.Items {
			names = append(names, p.Name)
		}
		if len(names) == 0 {
			return true, nil
		}
		for _, name := range names {
			if err := pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &atOnce}); err != nil && !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return false, nil
	})
	if err != nil && len(names) > 0 {
		err = fmt.Errorf("%s: %w", strings.Join(names, ", "), err)
	}
	return err
}

// driver is the pod of a job's driver.
func (r *Runner) driver(t job.Task) *corev1.Pod {
	labels := map[string]string{
		appLabel: appName, runLabel: t.ID,
		"app.kubernetes.io/name": appName, "app.kubernetes.io/component": "spark", "app.kubernetes.io/part-of": "clover",
	}
	yes, no, user := true, false, int64(65532)
	memory := resource.MustParse(strconv.Itoa(or(r.DriverMemory)) + "Mi")
	mounts := []corev1.VolumeMount{{Name: "data", MountPath: r.Mount}, {Name: "tmp", MountPath: "/tmp"}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: t.Name + "-" + t.ID + "-driver", Labels: labels},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: r.ServiceAccount, EnableServiceLinks: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "driver", Image: r.Image, ImagePullPolicy: r.PullPolicy, WorkingDir: "/tmp",
				Args:                     append([]string{"submit"}, r.args(t)...),
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Env: []corev1.EnvVar{
					{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
					{Name: "TMPDIR", Value: "/tmp"}, {Name: "SPARK_USER", Value: "clover"},
				},
				Ports: []corev1.ContainerPort{{Name: "driver", ContainerPort: driverPort}, {Name: "blocks", ContainerPort: blockPort}},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: memory},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: memory},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				VolumeMounts: mounts,
			}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: r.Claim}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
	}
	if r.Owner != nil {
		pod.OwnerReferences = []metav1.OwnerReference{*r.Owner}
	}
	return pod
}

// args are those of spark-submit in the driver's pod.
func (r *Runner) args(t job.Task) []string {
	executors := max(r.Executors, 1)
	executor := "spark.kubernetes.executor."
	volume := executor + "volumes.persistentVolumeClaim.data."
	s := job.Submit{Master: "k8s://https://kubernetes.default.svc", Conf: append([]string{
		"spark.driver.host=$(POD_IP)", "spark.driver.bindAddress=0.0.0.0",
		fmt.Sprintf("spark.driver.port=%d", driverPort), fmt.Sprintf("spark.driver.blockManager.port=%d", blockPort),
		fmt.Sprintf("spark.blockManager.port=%d", blockPort),
		fmt.Sprintf("spark.driver.memory=%dm", or(r.DriverMemory)/2),
		"spark.kubernetes.namespace=" + r.Namespace,
		"spark.kubernetes.driver.pod.name=" + t.Name + "-" + t.ID + "-driver",
		"spark.kubernetes.container.image=" + r.Image, "spark.kubernetes.container.image.pullPolicy=" + string(cmp.Or(r.PullPolicy, corev1.PullIfNotPresent)),
		// What it would have to be allowed besides, and is not needed.
		executor + "disableConfigMap=true", "spark.kubernetes.driver.service.deleteOnTermination=false",
		"spark.kubernetes.driver.ownPersistentVolumeClaim=false", "spark.kubernetes.driver.reusePersistentVolumeClaim=false",
		executor + "podNamePrefix=" + t.Name + "-" + t.ID,
		executor + "label." + appLabel + "=" + appName, executor + "label." + runLabel + "=" + t.ID,
		executor + "label.app.kubernetes.io/part-of=clover",
		executor + "request.cores=100m",
		fmt.Sprintf("spark.executor.instances=%d", executors), "spark.executor.cores=1",
		fmt.Sprintf("spark.executor.memory=%dm", or(r.ExecutorMemory)-overhead(or(r.ExecutorMemory))),
		fmt.Sprintf("spark.executor.memoryOverhead=%dm", overhead(or(r.ExecutorMemory))),
		volume + "options.claimName=" + r.Claim, volume + "mount.path=" + r.Mount,
	}, r.Conf...)}
	args := s.Args(t, "-e", strings.TrimSpace(t.Statement))
	// Kubernetes replaces $(NAME) in arguments; $$ stands for $.
	args[len(args)-1] = strings.ReplaceAll(args[len(args)-1], "$", "$$")
	return args
}

// or is a memory in MiB, or the default.
func or(mebibytes int) int {
	if mebibytes == 0 {
		return defaultMemory
	}
	return mebibytes
}

// overhead is what Java needs besides its heap, which is at least what Spark
// insists on, in MiB.
func overhead(memory int) int { return max(384, memory/2) }
