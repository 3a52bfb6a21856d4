package process_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter/process"
)

// TestPEMKeys has Java's own tool read what was written.
func TestPEMKeys(t *testing.T) {
	testutil.JMeter(t) // sees to it that there is a Java
	cert, key := testutil.NewAuthority(t).Server(t)
	keys, err := process.PEMKeys(cert, key, filepath.Join(t.TempDir(), "rmi.p12"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "keytool", "-list", "-keystore", keys.File, "-storepass", keys.Password).CombinedOutput()
	if err != nil || !strings.Contains(string(out), keys.Alias+", ") || !strings.Contains(string(out), "PrivateKeyEntry") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := process.PEMKeys(cert, cert, keys.File); err == nil {
		t.Error("a certificate is taken for a key")
	}
}
