package pipeline

// Renderer of a BakeManifest.
type Renderer string

// The renderers that Orca knows (CreateBakeManifestTask.java).
const (
	Helm3      Renderer = "HELM3"
	Helm2      Renderer = "HELM2"
	Helmfile   Renderer = "HELMFILE"
	Kustomize  Renderer = "KUSTOMIZE"
	Kustomize4 Renderer = "KUSTOMIZE4"
)

// BakeManifest renders manifests from a template, e.g. a Helm chart. Its
// stage produces exactly one embedded artifact.
type BakeManifest struct {
	CloudProvider    string   `json:"cloudProvider"` // always kubernetes
	TemplateRenderer Renderer `json:"templateRenderer"`
	// OutputName is the name of the Helm release, and of what is produced.
	OutputName string `json:"outputName"`
	Namespace  string `json:"namespace"`
	// InputArtifacts: the chart, then files of values.
	InputArtifacts []Input `json:"inputArtifacts,omitempty"`
	// Overrides are values as helm's --set takes them: keys with dots.
	Overrides map[string]any `json:"overrides"`
	// RawOverrides gives values as --set, not --set-string.
	RawOverrides bool `json:"rawOverrides,omitempty"`
	// EvaluateOverrideExpressions evaluates ${…} in values.
	EvaluateOverrideExpressions bool `json:"evaluateOverrideExpressions,omitempty"`
	IncludeCRDs                 bool `json:"includeCRDs,omitempty"`
	// HelmChartFilePath and KustomizeFilePath are paths in an artifact that is
	// a repository.
	HelmChartFilePath string `json:"helmChartFilePath,omitempty"`
	KustomizeFilePath string `json:"kustomizeFilePath,omitempty"`
	APIVersions       string `json:"apiVersions,omitempty"`
	KubeVersion       string `json:"kubeVersion,omitempty"`
}

// Input is an artifact that a stage uses: the ID of an expected one, or one
// of its own.
type Input struct {
	ID       string    `json:"id,omitempty"`
	Account  string    `json:"account,omitempty"`
	Artifact *Artifact `json:"artifact,omitempty"`
	// Other are all other fields, as they were read.
	Other map[string]any `json:"-"`
}

// Source of a manifest.
type Source string

// Where manifests come from.
const (
	FromArtifact Source = "artifact"
	FromText     Source = "text"
)

// DeployManifest applies manifests to a cluster.
type DeployManifest struct {
	CloudProvider string `json:"cloudProvider"` // always kubernetes
	// Account of the cluster.
	Account string  `json:"account"`
	Moniker Moniker `json:"moniker"`
	Source  Source  `json:"source"`
	// Manifests are objects of Kubernetes, with FromText.
	Manifests []map[string]any `json:"manifests,omitempty"`
	// ManifestArtifactID is the ID of an expected artifact, or
	// ManifestArtifact one of its own, with FromArtifact.
	ManifestArtifactID      string    `json:"manifestArtifactId,omitempty"`
	ManifestArtifact        *Artifact `json:"manifestArtifact,omitempty"`
	ManifestArtifactAccount string    `json:"manifestArtifactAccount,omitempty"`
	// RequiredArtifactIDs must be bound into the manifests, e.g. images.
	RequiredArtifactIDs []string `json:"requiredArtifactIds,omitempty"`
	// NamespaceOverride puts all objects into one namespace.
	NamespaceOverride string `json:"namespaceOverride,omitempty"`
	// SkipExpressionEvaluation leaves ${…} in manifests alone.
	SkipExpressionEvaluation bool `json:"skipExpressionEvaluation,omitempty"`
}

// Moniker says what application objects belong to.
type Moniker struct {
	App string `json:"app"`
	// Other are all other fields, e.g. cluster, as they were read.
	Other map[string]any `json:"-"`
}

// Wait waits.
type Wait struct {
	// WaitTime is in seconds, or an expression ${…}.
	WaitTime any `json:"waitTime"`
}

// ManualJudgment waits until somebody says how to go on.
type ManualJudgment struct {
	Instructions string `json:"instructions,omitempty"`
	// JudgmentInputs are answers to choose from.
	JudgmentInputs []Option `json:"judgmentInputs,omitempty"`
	// PropagateAuthenticationContext goes on as who judged.
	PropagateAuthenticationContext bool `json:"propagateAuthenticationContext,omitempty"`
}

// CheckPreconditions fails unless all of them hold.
type CheckPreconditions struct {
	Preconditions []Precondition `json:"preconditions"`
}

// Precondition is an expression, or another type with its own context.
type Precondition struct {
	// Kind is e.g. expression, stageStatus, clusterSize.
	Kind         string         `json:"type"`
	FailPipeline bool           `json:"failPipeline"`
	Context      map[string]any `json:"context"`
	// Other are all other fields, as they were read.
	Other map[string]any `json:"-"`
}

// Expression is a precondition that holds if a SpEL expression is true.
func Expression(spel string) Precondition {
	return Precondition{Kind: "expression", FailPipeline: true, Context: map[string]any{"expression": spel}}
}

// Webhook asks a URL.
type Webhook struct {
	URL string `json:"url"`
	// Method is e.g. GET; "" is POST.
	Method string `json:"method,omitempty"`
	// Payload is any JSON.
	Payload       any            `json:"payload,omitempty"`
	CustomHeaders map[string]any `json:"customHeaders,omitempty"`
	// WaitForCompletion asks until the status at StatusJSONPath of the answer
	// is one of SuccessStatuses (separated by commas).
	WaitForCompletion   bool   `json:"waitForCompletion,omitempty"`
	StatusURLResolution string `json:"statusUrlResolution,omitempty"`
	StatusURLJSONPath   string `json:"statusUrlJsonPath,omitempty"`
	StatusJSONPath      string `json:"statusJsonPath,omitempty"`
	SuccessStatuses     string `json:"successStatuses,omitempty"`
	CanceledStatuses    string `json:"canceledStatuses,omitempty"`
	TerminalStatuses    string `json:"terminalStatuses,omitempty"`
}

// RunJob runs a Kubernetes Job to its end.
type RunJob struct {
	CloudProvider string `json:"cloudProvider"` // always kubernetes
	// Account of the cluster; Credentials is the same, for older Orcas.
	Account     string `json:"account"`
	Credentials string `json:"credentials,omitempty"`
	Application string `json:"application,omitempty"`
	Source      Source `json:"source"`
	// Manifest is the Job, with FromText.
	Manifest                map[string]any `json:"manifest,omitempty"`
	ManifestArtifactID      string         `json:"manifestArtifactId,omitempty"`
	ManifestArtifact        *Artifact      `json:"manifestArtifact,omitempty"`
	ManifestArtifactAccount string         `json:"manifestArtifactAccount,omitempty"`
	// ConsumeArtifactSource is none, propertyFile (the logs) or artifact.
	ConsumeArtifactSource string `json:"consumeArtifactSource,omitempty"`
	PropertyFile          string `json:"propertyFile,omitempty"`
}

// Unknown is a stage of another type; all its fields are in Stage.Other.
type Unknown struct{ Kind string }

// MarshalJSON writes nothing of its own.
func (Unknown) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

// Type implements Step.
func (*BakeManifest) Type() string { return "bakeManifest" }

// Type implements Step.
func (*DeployManifest) Type() string { return "deployManifest" }

// Type implements Step.
func (*Wait) Type() string { return "wait" }

// Type implements Step.
func (*ManualJudgment) Type() string { return "manualJudgment" }

// Type implements Step.
func (*CheckPreconditions) Type() string { return "checkPreconditions" }

// Type implements Step.
func (*Webhook) Type() string { return "webhook" }

// Type implements Step.
func (*RunJob) Type() string { return "runJobManifest" }

// Type implements Step.
func (u *Unknown) Type() string { return u.Kind }

func newStep(kind string) Step {
	for _, s := range []Step{&BakeManifest{}, &DeployManifest{}, &Wait{}, &ManualJudgment{}, &CheckPreconditions{}, &Webhook{}, &RunJob{}} {
		if s.Type() == kind {
			return s
		}
	}
	return &Unknown{Kind: kind}
}
