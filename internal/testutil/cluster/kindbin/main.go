// Command kindbin creates and deletes one Kubernetes cluster with kind's
// library and loads images into it. Docker is the one that DOCKER_HOST names,
// by the docker command on PATH. It is a program of its own, so that kind and
// what kind requires stay out of Clover's go.mod.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	"sigs.k8s.io/kind/pkg/cmd"
	"sigs.k8s.io/kind/pkg/exec"
)

const usage = `usage: kindbin create -name NAME -config FILE -image IMAGE -kubeconfig FILE
       kindbin delete -name NAME -kubeconfig FILE
       kindbin load -name NAME ARCHIVE
       kindbin image`

// readyLimit is how long the control plane may take until it is ready.
const readyLimit = 3 * time.Minute

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "kindbin:", err)
		os.Exit(1)
	}
}

// options are the flags of all commands.
type options struct {
	name, config, image, kubeconfig string
	args                            []string
}

func run(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	var o options
	flags := flag.NewFlagSet("kindbin", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.name, "name", "", "the cluster's `name`")
	flags.StringVar(&o.config, "config", "", "kind's configuration `file`")
	flags.StringVar(&o.image, "image", "", "the node `image`")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the `file` to write the kubeconfig to")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.args = flags.Args()
	provider := cluster.NewProvider(cluster.ProviderWithDocker(), cluster.ProviderWithLogger(cmd.NewLogger()))
	switch args[0] {
	case "create":
		return create(provider, o, stdout)
	case "delete":
		return provider.Delete(o.name, o.kubeconfig)
	case "load":
		return load(provider, o)
	case "image":
		_, err := fmt.Fprintln(stdout, defaults.Image)
		return err
	}
	return errors.New(usage)
}

// create makes the cluster, writes a kubeconfig that reaches the API server
// at the node's own address, and prints that address.
func create(provider *cluster.Provider, o options, stdout io.Writer) error {
	err := provider.Create(o.name,
		cluster.CreateWithConfigFile(o.config),
		cluster.CreateWithNodeImage(o.image),
		cluster.CreateWithKubeconfigPath(o.kubeconfig),
		cluster.CreateWithWaitForReady(readyLimit))
	if err != nil {
		return err
	}
	made, err := provider.ListInternalNodes(o.name)
	if err != nil {
		return err
	}
	if len(made) != 1 {
		return fmt.Errorf("cluster %s has %d nodes, want 1", o.name, len(made))
	}
	if err := awaitServices(made[0]); err != nil {
		return err
	}
	address, _, err := made[0].IP()
	if err != nil {
		return err
	}
	kubeconfig, err := provider.KubeConfig(o.name, true)
	if err != nil {
		return err
	}
	kubeconfig = strings.ReplaceAll(kubeconfig, "https://"+made[0].String()+":", "https://"+address+":")
	if err := os.WriteFile(o.kubeconfig, []byte(kubeconfig), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, address)
	return err
}

// awaitServices returns when the cluster's own services are up: its DNS, the
// proxy for services and the provisioner of volumes.
func awaitServices(node nodes.Node) error {
	for _, args := range [][]string{
		{"wait", "--for=condition=Available", "deployments", "--all", "--all-namespaces"},
		{"rollout", "status", "--namespace=kube-system", "daemonset/kube-proxy"},
	} {
		args = append([]string{"--kubeconfig=/etc/kubernetes/admin.conf"}, args...)
		out, err := exec.CombinedOutputLines(node.Command("kubectl", append(args, "--timeout="+readyLimit.String())...))
		if err != nil {
			return fmt.Errorf("the cluster's services are not up: %w: %s", err, strings.Join(out, "\n"))
		}
	}
	return nil
}

// load imports an image archive into the cluster's node.
func load(provider *cluster.Provider, o options) error {
	if len(o.args) != 1 {
		return errors.New(usage)
	}
	made, err := provider.ListInternalNodes(o.name)
	if err != nil {
		return err
	}
	if len(made) == 0 {
		return fmt.Errorf("cluster %s has no nodes", o.name)
	}
	for _, node := range made {
		archive, err := os.Open(o.args[0])
		if err != nil {
			return err
		}
		err = nodeutils.LoadImageArchive(node, archive)
		_ = archive.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
