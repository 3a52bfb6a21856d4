package command

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// asTable asks the API server for the columns that kubectl shows.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

func (a *app) getServices() *cobra.Command {
	var format, selector string
	c := &cobra.Command{
		Use: "services", Short: "List the services of the cluster", Args: cobra.NoArgs,
		Aliases: []string{"service", "svc"},
		Example: "  cloverctl get services\n  cloverctl get services -n clover-system -o wide",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			namespace := a.cluster.Namespace("")
			if format == "" || format == "wide" {
				return a.serviceTable(c.Context(), cl, namespace, selector, format == "wide")
			}
			return a.serviceObjects(c.Context(), cl, namespace, selector, format)
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "", "wide, yaml, json, name or jsonpath=TEMPLATE")
	c.Flags().StringVarP(&selector, "selector", "l", "", "only those with these `labels`")
	complete(c, "output", []string{"wide", "yaml", "json", "name"})
	return c
}

func (a *app) serviceTable(ctx context.Context, c *kube.Cluster, namespace, selector string, wide bool) error {
	answer := c.Typed().CoreV1().RESTClient().Get().Resource("services").Namespace(namespace).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, scheme.ParameterCodec).
		SetHeader("Accept", asTable).Do(ctx)
	if err := answer.Error(); err != nil {
		return kube.Explain(err)
	}
	raw, err := answer.Raw()
	if err != nil {
		return err
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(raw, table); err != nil {
		return fmt.Errorf("list of services: %w", err)
	}
	if len(table.Rows) == 0 {
		fmt.Fprintln(a.Err, "No services found.")
		return nil
	}
	for i := range table.Rows { // the printer reads the namespace from here
		m := &metav1.PartialObjectMetadata{}
		if err := json.Unmarshal(table.Rows[i].Object.Raw, m); err != nil {
			return fmt.Errorf("list of services: %w", err)
		}
		table.Rows[i].Object.Object = m
	}
	p := printers.NewTablePrinter(printers.PrintOptions{WithNamespace: namespace == "", Wide: wide})
	return p.PrintObj(table, a.Out)
}

func (a *app) serviceObjects(ctx context.Context, c *kube.Cluster, namespace, selector, format string) error {
	flags := genericclioptions.NewPrintFlags("")
	flags.OutputFormat = &format
	p, err := flags.ToPrinter()
	if err != nil {
		return usagef("-o: %w", err)
	}
	list, err := c.Typed().CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return kube.Explain(err)
	}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("List"))
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
		list.Items[i].ManagedFields = nil
	}
	if format != "name" {
		return p.PrintObj(list, a.Out)
	}
	for i := range list.Items {
		if err := p.PrintObj(runtime.Object(&list.Items[i]), a.Out); err != nil {
			return err
		}
	}
	return nil
}
