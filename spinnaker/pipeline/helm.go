package pipeline

import "cmp"

// HelmOptions say what HelmPipeline delivers where.
type HelmOptions struct {
	Application, Name string
	// Chart is the packaged chart, e.g. of S3.
	Chart Artifact
	// Release is the name of the Helm release. "": the application's name.
	Release string
	// Namespace that the chart is rendered for, and deployed to. "": default.
	Namespace string
	// Overrides are values, as helm's --set takes them.
	Overrides map[string]any
	// Account of the cluster to deploy to.
	Account string
}

// HelmPipeline returns the pipeline of three stages that deploys a chart:
// configuration, Bake (Manifest), Deploy (Manifest). It can be started by hand,
// the chart being its own default.
func HelmPipeline(o HelmOptions) Pipeline {
	release := cmp.Or(o.Release, o.Application)
	overrides := o.Overrides
	if overrides == nil {
		overrides = map[string]any{}
	}
	baked := ExpectedArtifact{
		ID: "manifest", DisplayName: release,
		Match: Artifact{Type: EmbeddedBase64, Account: EmbeddedAccount, Name: release},
	}
	return Pipeline{
		Application: o.Application, Name: o.Name,
		ExpectedArtifacts: []ExpectedArtifact{Expect("chart", o.Chart)},
		Stages: []Stage{
			{
				RefID: "1", Name: "Bake (Manifest)", Produces: []ExpectedArtifact{baked},
				Do: &BakeManifest{
					CloudProvider: "kubernetes", TemplateRenderer: Helm3, OutputName: release, Namespace: cmp.Or(o.Namespace, "default"),
					InputArtifacts: []Input{{ID: "chart", Account: o.Chart.Account}}, Overrides: overrides,
				},
			},
			{
				RefID: "2", Name: "Deploy (Manifest)", After: []string{"1"},
				Do: &DeployManifest{
					CloudProvider: "kubernetes", Account: o.Account, Moniker: Moniker{App: o.Application},
					Source: FromArtifact, ManifestArtifactID: baked.ID, ManifestArtifactAccount: EmbeddedAccount,
					NamespaceOverride: o.Namespace,
				},
			},
		},
	}
}
