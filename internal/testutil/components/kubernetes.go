package components

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The versions of what a node of the test cluster runs. 1.34 is the newest
// Kubernetes whose kubelet still runs on cgroup v1.
const (
	kubernetesVersion = "1.34.4"
	localPathVersion  = "0.0.30"
	kindVersion       = "0.33.0"
)

// kubernetesPrograms are Kubernetes' own programs, all in one file.
var kubernetesPrograms = []string{
	"kubeadm", "kubectl", "kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy",
}

// kubernetesFile has all of kubernetesPrograms; it is the one that it is
// called as.
const kubernetesFile = "kubernetes"

// Kubernetes is the programs of a Kubernetes node in one folder, with etcd,
// CoreDNS and the provisioner of volumes beside them. The path is that of
// the kubelet.
func Kubernetes() Component {
	return Component{
		Name: "kubernetes", Title: "Kubernetes", Version: kubernetesVersion,
		verb: "building", cost: "about 8 min", binary: "kubelet",
		key: func() (string, error) {
			return modulesKey("cluster/kubernetesbin", "cluster/etcdbin", "cluster/corednsbin", "cluster/localpathbin", "cluster/pause")
		},
		install: installKubernetes,
	}
}

func installKubernetes(ctx context.Context, dir string, log io.Writer) error {
	for _, b := range []build{
		{module: "cluster/etcdbin", pkg: "go.etcd.io/etcd/server/v3", out: "etcd"},
		{module: "cluster/corednsbin", pkg: "github.com/coredns/coredns", out: "coredns"},
		{module: "cluster/localpathbin", pkg: "github.com/rancher/local-path-provisioner", out: "local-path-provisioner"},
		{module: "cluster/pause", pkg: ".", out: "pause"},
		{module: "cluster/kubernetesbin", pkg: ".", out: kubernetesFile, vars: kubernetesVars()},
	} {
		say(log, "building %s ...", b.out)
		b.out = filepath.Join(dir, b.out)
		if err := goBuild(ctx, b); err != nil {
			return err
		}
	}
	for _, name := range kubernetesPrograms {
		if err := os.Symlink(kubernetesFile, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// kubernetesVars are the variables that Kubernetes' own build sets by the
// linker: clients and kubeadm decide by them.
func kubernetesVars() map[string]string {
	const pkg = "k8s.io/component-base/version."
	part := strings.Split(kubernetesVersion, ".")
	return map[string]string{
		pkg + "gitVersion": "v" + kubernetesVersion,
		pkg + "gitMajor":   part[0],
		pkg + "gitMinor":   part[1],
	}
}

// dockerLimit is how long a Docker that is there may take to answer.
const dockerLimit = 5 * time.Second

// DockerAnswers reports whether this machine has a Docker that can be used.
func DockerAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "info").Run() == nil
}

// Kind is Clover's small program on kind's library, which makes the test
// cluster.
func Kind() Component {
	return Component{
		Name: "kind", Title: "kind", Version: kindVersion,
		verb: "building", cost: "about 20 s", binary: "kindbin",
		key: func() (string, error) { return modulesKey("cluster/kindbin") },
		install: func(ctx context.Context, dir string, _ io.Writer) error {
			return goBuild(ctx, build{module: "cluster/kindbin", pkg: ".", out: filepath.Join(dir, "kindbin")})
		},
	}
}
