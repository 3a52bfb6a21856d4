package command

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// versions are those of all ends.
type versions struct {
	Client     string `json:"client"`
	Kubernetes string `json:"kubernetes,omitempty"`
	// Images are those that the components run in the cluster.
	Images map[string]string `json:"images,omitempty"`
	// Controller is what the API says of itself.
	Controller string `json:"controller,omitempty"`
}

func (a *app) version() *cobra.Command {
	var clientOnly bool
	c := &cobra.Command{
		Use: "version", Short: "Show the versions of cloverctl, controller and collector", Args: cobra.NoArgs,
		Example: "  cloverctl version\n  cloverctl version --client -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			v := versions{Client: ownVersion()}
			if clientOnly {
				return a.printVersions(p, v)
			}
			a.quiet = true
			asked := a.askVersions(c.Context(), &v)
			if err := a.printVersions(p, v); err != nil {
				return err
			}
			return asked
		},
	}
	c.Flags().BoolVar(&clientOnly, "client", false, "only that of cloverctl; asks nobody")
	a.addOutput(c)
	return c
}

// ownVersion is that of this program.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// askVersions asks the cluster, if the controller is in one, and the
// controller.
func (a *app) askVersions(ctx context.Context, v *versions) error {
	cl, err := a.client(ctx)
	if a.connected != nil {
		v.Kubernetes, v.Images = clusterVersions(ctx, a.connected, a.namespace())
	}
	if err != nil {
		return err
	}
	st := &v1.GetStatusResponse{}
	if _, err := cl.Get(ctx, "status", nil, st); err != nil {
		return err
	}
	v.Controller = st.GetVersion()
	return nil
}

// clusterVersions reads the API server's version and those of Clover's
// images; what cannot be read is left out.
func clusterVersions(ctx context.Context, c *kube.Cluster, namespace string) (kubernetes string, images map[string]string) {
	kubernetes, err := c.Version()
	if err != nil {
		return "", nil
	}
	pods, err := c.Typed().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=clover"})
	if err != nil {
		return kubernetes, nil
	}
	images = map[string]string{}
	for _, p := range pods.Items {
		if len(p.Spec.Containers) > 0 {
			images[p.Labels[deploy.ComponentLabel]] = p.Spec.Containers[0].Image
		}
	}
	return kubernetes, images
}

func (a *app) printVersions(p show.Printer, v versions) error {
	if p.Format == "table" || p.Format == "wide" {
		var b strings.Builder
		fmt.Fprintf(&b, "cloverctl %s\n", v.Client)
		if v.Kubernetes != "" {
			fmt.Fprintf(&b, "kubernetes %s\n", v.Kubernetes)
		}
		if v.Controller != "" {
			fmt.Fprintf(&b, "controller %s%s\n", show.Clean(v.Controller), of(v.Images["controller"]))
		}
		if image := v.Images["collector"]; image != "" {
			fmt.Fprintf(&b, "collector %s%s\n", image[strings.LastIndexByte(image, ':')+1:], of(image))
		}
		_, err := fmt.Fprint(a.Out, b.String())
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.Answer(raw, show.Table{Columns: []string{"part", "version"}, Rows: [][]any{
		{"cloverctl", v.Client}, {"kubernetes", v.Kubernetes}, {"controller", v.Controller},
		{"collector", v.Images["collector"]},
	}})
}

func of(image string) string {
	if image == "" {
		return ""
	}
	return " (image " + image + ")"
}
