package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// completeCluster completes the flags that choose a cluster.
func (a *app) completeCluster(c *cobra.Command) {
	mustRegister(c, "context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, _, err := a.cluster.Contexts()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	mustRegister(c, "namespace", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.live(func(ctx context.Context, cl *kube.Cluster) []string {
			list, err := cl.Typed().CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil
			}
			var names []string
			for _, ns := range list.Items {
				names = append(names, ns.Name)
			}
			return names
		}), cobra.ShellCompDirectiveNoFileComp
	})
}

// live asks the cluster while a command line is completed; there is nobody to
// tell when it does not answer.
func (a *app) live(ask func(context.Context, *kube.Cluster) []string) []string {
	if !a.cluster.Configured() {
		return nil
	}
	cl, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	return ask(ctx, cl)
}

// completeComponents completes what has pods in the cluster: components, and
// the services of the sample.
func (a *app) completeComponents(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.live(func(ctx context.Context, cl *kube.Cluster) []string {
		namespace := a.cluster.Namespace(metav1.NamespaceAll)
		list, err := cl.Typed().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=clover"})
		if err != nil {
			return nil
		}
		var names []string
		for _, p := range list.Items {
			component, app := p.Labels[deploy.ComponentLabel], p.Labels["app"]
			names = append(names, component)
			if component == sampleComponent {
				names = append(names, app)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}), cobra.ShellCompDirectiveNoFileComp
}

// sampleComponent is what lives in the namespace of the sample.
const sampleComponent = "sdc"

// namespaceOf is where a component lives if nothing else is said: what is none
// of Clover's own is the sample's.
func namespaceOf(component string) string {
	for _, c := range deploy.Components() {
		if c.Name == component && c.Name != sampleComponent {
			return deploy.DefaultNamespace
		}
	}
	return metav1.NamespaceDefault
}
