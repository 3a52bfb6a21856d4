package cluster

import (
	"bytes"
	_ "embed"
	"os"
	"path/filepath"
	"text/template"
)

// kindTemplate is kind's configuration of a cluster.
//
//go:embed kind.yaml
var kindTemplate string

// auditPolicy says what the API server's audit log has.
//
//go:embed audit-policy.yaml
var auditPolicy []byte

// writeConfig writes kind's configuration, and the files that it names, to
// the cluster's folder. images is the archive of the components' images, for
// a node image that is made here.
func (c *cluster) writeConfig(images string) (string, error) {
	t, err := template.New("kind.yaml").Parse(kindTemplate)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, struct{ Dir, Images string }{c.dir, images}); err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(c.dir, auditDir), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(c.dir, "audit-policy.yaml"), auditPolicy, 0o644); err != nil {
		return "", err
	}
	config := filepath.Join(c.dir, "kind.yaml")
	return config, os.WriteFile(config, b.Bytes(), 0o600)
}
