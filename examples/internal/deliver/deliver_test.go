package deliver

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/opnfv/clover/spinnaker/pipeline"
)

// TestDryRun prints a pipeline that can be read again.
func TestDryRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), []string{"--chart", "../../deliver/chart", "--set", "greeting=hi", "--release", "helm-test", "--dry-run"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Read(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	bake, _ := p.Stages[0].Do.(*pipeline.BakeManifest)
	if bake == nil || bake.Overrides["greeting"] != "hi" || bake.OutputName != "helm-test" || p.ExpectedArtifacts[0].Default.Reference != "s3://s3-account/test-0.1.0.tgz" {
		t.Errorf("%s", out.String())
	}
}

func TestUsage(t *testing.T) {
	for want, args := range map[string]string{
		"--chart": "", "KEY=VALUE": "--chart x --set y", "no such file": "--chart x --s3-secret-key-file /nope", "Chart.yaml": "--chart . --dry-run",
	} {
		err := Run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
