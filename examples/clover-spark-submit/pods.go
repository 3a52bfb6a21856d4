package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opnfv/clover/visibility/spark/job/pods"
)

// addPodFlags defines the flags for jobs that run in pods.
func addPodFlags(f *pflag.FlagSet, r *pods.Runner) {
	f.StringVar(&r.Image, "pods", "", "`image` of Spark: the jobs run in pods of it; this program has to be one too")
	f.StringVar((*string)(&r.PullPolicy), "pull-policy", "", "Always, IfNotPresent or Never, for --pods; default Kubernetes'")
	f.StringVar(&r.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "`namespace` of the pods; default $POD_NAMESPACE")
	f.StringVar(&r.ServiceAccount, "service-account", "clover-spark", "`name` of the drivers' service account")
	f.StringVar(&r.Claim, "claim", "", "`name` of the persistent volume claim with data and results")
	f.StringVar(&r.Mount, "mount", "", "`directory` where the claim is in every pod, and in this one")
	f.IntVar(&r.Executors, "executors", 1, "how many executors a job has")
	f.IntVar(&r.DriverMemory, "driver-mib", 1024, "memory of a driver's pod, in `MiB`")
	f.IntVar(&r.ExecutorMemory, "executor-mib", 1024, "memory of an executor's pod, in `MiB`")
	// The drivers go with the pod that started them.
	if name, uid := os.Getenv("POD_NAME"), os.Getenv("POD_UID"); name != "" && uid != "" {
		r.Owner = &metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: types.UID(uid)}
	}
}

// inCluster is the API of the cluster that this pod is in.
func inCluster() (kubernetes.Interface, error) {
	c, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("--pods: this is no pod of a cluster: %w", err)
	}
	return kubernetes.NewForConfig(c)
}
