package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/health"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/examples/cloverctl/internal/system"
)

// systemStatus is the command for what is installed and how it is.
func (a *app) systemStatus() *cobra.Command {
	var wait bool
	var within time.Duration
	c := &cobra.Command{
		Use: "status", Short: "Show what is installed, and what each pod waits for", Args: cobra.NoArgs,
		Long: `Shows what cloverctl has installed in a namespace, and what each pod that is
not ready waits for. Exit code 1 if something is not ready.`,
		Example: "  cloverctl status\n  cloverctl status --wait -n default",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if wait {
				if err := a.awaitAll(c.Context(), cl, within); err != nil {
					return err
				}
			}
			return a.showStatus(c.Context(), cl, p)
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "wait until all pods are ready; end at once when one cannot become so")
	c.Flags().DurationVar(&within, "wait-timeout", defaultWait, "longest time for --wait")
	a.addOutput(c)
	return c
}

func (a *app) awaitAll(ctx context.Context, c *kube.Cluster, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	in := &system.Installer{Cluster: c}
	return in.Await(ctx, a.namespace(), nil, func(text string) { fmt.Fprintln(a.Err, text) })
}

// workloadStatus is a workload in JSON.
type workloadStatus struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Component string `json:"component"`
	Ready     int32  `json:"ready"`
	Want      int32  `json:"want"`
	Done      bool   `json:"done"`
	Pod       string `json:"pod,omitempty"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Remedy    string `json:"remedy,omitempty"`
}

func (a *app) showStatus(ctx context.Context, c *kube.Cluster, p show.Printer) error {
	s, err := health.Read(ctx, c, a.namespace(), system.ComponentsOf())
	if err != nil {
		return err
	}
	rows := statusRows(s.Workloads())
	raw, err := json.Marshal(map[string]any{"namespace": a.namespace(), "workloads": rows})
	if err != nil {
		return err
	}
	if err := p.Answer(raw, systemTable(a.namespace(), rows)); err != nil {
		return err
	}
	for _, r := range rows {
		if !r.Done {
			return silentError{exitFailure}
		}
	}
	return nil
}

func statusRows(workloads []health.Workload) []workloadStatus {
	rows := []workloadStatus{}
	for i := range workloads {
		w := &workloads[i]
		r := workloadStatus{
			Kind: w.Kind, Name: w.Name, Component: w.Component, Ready: w.Ready, Want: w.Want, Done: w.Done, State: "ready",
		}
		if !w.Done {
			r.State = "not ready"
		}
		for _, pod := range w.Pods {
			if !pod.Ready {
				r.Pod, r.State = pod.Name, pod.State
			}
		}
		if pod, problem := w.Worst(); problem != nil {
			r.Pod, r.Reason, r.Detail, r.Remedy = pod, problem.Reason, problem.Detail, problem.Remedy
		}
		rows = append(rows, r)
	}
	return rows
}

func systemTable(namespace string, rows []workloadStatus) show.Table {
	t := show.Table{
		Columns: []string{"component", "workload", "ready", "state", "pod"},
		Bad:     func(i int) bool { return !rows[i].Done },
	}
	for _, r := range rows {
		t.Rows = append(t.Rows, show.Row(r.Component, r.Kind+"/"+r.Name, fmt.Sprintf("%d/%d", r.Ready, r.Want), r.State, r.Pod))
		if r.Reason != "" {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %s: %s. %s.", r.Name, r.Reason, r.Detail, r.Remedy))
		}
	}
	if len(rows) == 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("nothing is installed in namespace %s; see 'cloverctl create system --help'", namespace))
		if namespace == deploy.DefaultNamespace {
			t.Notes = append(t.Notes, "what lives elsewhere, as the sample does, is shown with -n")
		}
	}
	return t
}
