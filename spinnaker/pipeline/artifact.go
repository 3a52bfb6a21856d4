package pipeline

import "encoding/base64"

// Types of artifacts.
const (
	S3Object       = "s3/object"
	GitHubFile     = "github/file"
	HTTPFile       = "http/file"
	EmbeddedBase64 = "embedded/base64"
)

// EmbeddedAccount is the account of embedded artifacts, which every
// installation has.
const EmbeddedAccount = "embedded-artifact"

// Artifact is a thing that is delivered (Artifact.java of kork-artifacts).
// In a match, empty fields match anything and others are regular expressions.
type Artifact struct {
	// Type is e.g. S3Object.
	Type string `json:"type,omitempty"`
	// Account from which it is fetched.
	Account string `json:"artifactAccount,omitempty"`
	Name    string `json:"name,omitempty"`
	// Reference is where or what it is: a URL, or the content in base64.
	Reference string `json:"reference,omitempty"`
	Version   string `json:"version,omitempty"`
	Location  string `json:"location,omitempty"`
	// Other are all other fields, e.g. metadata, as they were read.
	Other map[string]any `json:"-"`
}

type plainArtifact Artifact

// MarshalJSON writes the artifact as Spinnaker has it.
func (a Artifact) MarshalJSON() ([]byte, error) { return merge(a.Other, plainArtifact(a)) }

// UnmarshalJSON reads an artifact.
func (a *Artifact) UnmarshalJSON(data []byte) error {
	var in plainArtifact
	other, err := read(data, &in)
	*a = Artifact(in)
	a.Other = other
	return err
}

// S3 is an object of an S3-compatible store, path being s3://BUCKET/KEY.
func S3(account, path string) Artifact {
	return Artifact{Type: S3Object, Account: account, Name: path, Reference: path}
}

// GitHub is a file of a repository: url is that of GitHub's contents API, path
// is in the repository, version is a branch, tag or commit.
func GitHub(account, url, path, version string) Artifact {
	return Artifact{Type: GitHubFile, Account: account, Name: path, Reference: url, Version: version}
}

// HTTP is a file at a URL.
func HTTP(account, url string) Artifact {
	return Artifact{Type: HTTPFile, Account: account, Name: url, Reference: url}
}

// Embedded is content that is part of the pipeline.
func Embedded(name string, content []byte) Artifact {
	return Artifact{Type: EmbeddedBase64, Account: EmbeddedAccount, Name: name, Reference: base64.StdEncoding.EncodeToString(content)}
}

// Match returns the artifact as one to match with: without Reference.
func (a Artifact) Match() Artifact {
	a.Reference, a.Version = "", ""
	return a
}

// ExpectedArtifact is an artifact that a pipeline is given or a stage leaves
// (ExpectedArtifact.java).
type ExpectedArtifact struct {
	// ID is what stages refer to; unique in the pipeline.
	ID          string   `json:"id"`
	DisplayName string   `json:"displayName,omitempty"`
	Match       Artifact `json:"matchArtifact"`
	// UsePrior takes that of the execution before, and UseDefault takes
	// Default, where none is given, e.g. when started by hand.
	UsePrior   bool      `json:"usePriorArtifact"`
	UseDefault bool      `json:"useDefaultArtifact"`
	Default    *Artifact `json:"defaultArtifact,omitempty"`
	// Other are all other fields, as they were read.
	Other map[string]any `json:"-"`
}

type plainExpected ExpectedArtifact

// MarshalJSON writes it as Spinnaker has it.
func (e ExpectedArtifact) MarshalJSON() ([]byte, error) { return merge(e.Other, plainExpected(e)) }

// UnmarshalJSON reads an expected artifact.
func (e *ExpectedArtifact) UnmarshalJSON(data []byte) error {
	var in plainExpected
	other, err := read(data, &in)
	*e = ExpectedArtifact(in)
	e.Other = other
	return err
}

// Expect returns an artifact as an expected one that is its own default, so
// that the pipeline can be started by hand.
func Expect(id string, a Artifact) ExpectedArtifact {
	return ExpectedArtifact{ID: id, DisplayName: id, Match: a.Match(), UseDefault: true, Default: &a}
}
