package pipeline

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// artifact checks that an artifact is one of its own, or there by its ID.
func (c *checker) artifact(field, id string, own *Artifact) {
	switch {
	case own != nil && id == "":
		if own.Type == "" {
			c.fault(field, "has no type")
		}
	case id == "":
		c.fault(field, "is missing; want the ID of an expected artifact")
	case !c.ids[id]:
		c.fault(field, "%q is expected neither by the pipeline nor of a stage before this one", id)
	}
}

func (b *BakeManifest) check(c *checker) {
	if !slices.Contains([]Renderer{Helm3, Helm2, Helmfile, Kustomize, Kustomize4}, Renderer(strings.ToUpper(string(b.TemplateRenderer)))) {
		c.fault("templateRenderer", "%q; want %s, %s or %s", b.TemplateRenderer, Helm3, Helmfile, Kustomize)
	}
	if b.OutputName == "" && b.TemplateRenderer == Helm3 {
		c.fault("outputName", "is missing; want the name of the release")
	}
	if single, ok := c.stage.Other["inputArtifact"]; ok && single != nil {
		return // Kustomize has one, which this package does not know
	}
	if len(b.InputArtifacts) == 0 {
		c.fault("inputArtifacts", "is missing; want the chart")
	}
	for i, in := range b.InputArtifacts {
		c.artifact(fmt.Sprintf("inputArtifacts[%d]", i), in.ID, in.Artifact)
	}
	if len(c.stage.Produces) != 1 {
		c.fault("expectedArtifacts", "%d; want exactly one, of type %s", len(c.stage.Produces), EmbeddedBase64)
	}
}

func (d *DeployManifest) check(c *checker) {
	if d.Account == "" {
		c.fault("account", "is missing; want that of a cluster")
	}
	switch d.Source {
	case FromArtifact:
		c.artifact("manifestArtifactId", d.ManifestArtifactID, d.ManifestArtifact)
	case FromText, "":
		if len(d.Manifests) == 0 {
			c.fault("manifests", "is missing; want objects of Kubernetes")
		}
	default:
		c.fault("source", "%q; want %s or %s", d.Source, FromArtifact, FromText)
	}
	for i, id := range d.RequiredArtifactIDs {
		c.artifact(fmt.Sprintf("requiredArtifactIds[%d]", i), id, nil)
	}
}

func (w *Wait) check(c *checker) {
	switch v := w.WaitTime.(type) {
	case string:
		if !strings.Contains(v, "${") {
			c.fault("waitTime", "%q; want seconds, or an expression ${…}", v)
		}
	case float64:
		if v < 0 || v != float64(int64(v)) {
			c.fault("waitTime", "%v; want whole seconds", v)
		}
	case int:
		if v < 0 {
			c.fault("waitTime", "%d; want whole seconds", v)
		}
	default:
		c.fault("waitTime", "is missing; want seconds")
	}
}

func (m *ManualJudgment) check(c *checker) {
	for i, in := range m.JudgmentInputs {
		if in.Value == "" {
			c.fault(fmt.Sprintf("judgmentInputs[%d].value", i), "is missing")
		}
	}
}

func (p *CheckPreconditions) check(c *checker) {
	if len(p.Preconditions) == 0 {
		c.fault("preconditions", "is missing; want at least one")
	}
	for i, one := range p.Preconditions {
		at := fmt.Sprintf("preconditions[%d]", i)
		if one.Kind == "" {
			c.fault(at+".type", "is missing; want e.g. expression")
		}
		if text, _ := one.Context["expression"].(string); one.Kind == "expression" && text == "" {
			c.fault(at+".context.expression", "is missing")
		}
	}
}

func (w *Webhook) check(c *checker) {
	u, err := url.Parse(w.URL)
	switch {
	case strings.Contains(w.URL, "${"):
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		c.fault("url", "want a URL, http or https")
	case u.User != nil:
		c.fault("url", "has a user or password, which everybody who reads the pipeline sees; use customHeaders with a secret of Spinnaker")
	}
	methods := []string{"", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
	if !slices.Contains(methods, strings.ToUpper(w.Method)) {
		c.fault("method", "%q; want one of %s", w.Method, strings.Join(methods[1:], ", "))
	}
	if w.WaitForCompletion && (w.StatusJSONPath == "" || w.SuccessStatuses == "") {
		c.fault("statusJsonPath", "waitForCompletion needs statusJsonPath and successStatuses")
	}
}

func (r *RunJob) check(c *checker) {
	if r.Account == "" && r.Credentials == "" {
		c.fault("account", "is missing; want that of a cluster")
	}
	switch r.Source {
	case FromArtifact:
		c.artifact("manifestArtifactId", r.ManifestArtifactID, r.ManifestArtifact)
	default:
		if kind, _ := r.Manifest["kind"].(string); kind != "Job" {
			c.fault("manifest.kind", "%q; want Job", kind)
		}
	}
}

func (*Unknown) check(*checker) {}
