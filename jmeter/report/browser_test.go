package report_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// TestPageInABrowser opens the page from the disk, as a user does who got it
// from a CI job, in a browser that reaches no host.
func TestPageInABrowser(t *testing.T) {
	chromium := testutil.Require(t, components.Chromium())
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := sample(t).Write(out, "html"); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+dir, "--host-resolver-rules=MAP * ~NOTFOUND",
		"--enable-logging=stderr", "--dump-dom", "file://"+file)
	var said bytes.Buffer
	cmd.Stderr = &said
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	page := string(dom)
	for _, want := range []string{"<polyline", "url1", "&lt;script&gt;alert(1)&lt;/script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page as shown has no %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("a label has become a script")
	}
	if strings.Contains(said.String(), "CONSOLE") { // e.g. what the content security policy has refused
		t.Errorf("the browser complains:\n%s", said.String())
	}
}
