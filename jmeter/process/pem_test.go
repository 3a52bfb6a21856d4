package process_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter/process"
)

// TestPEMKeys has Java's own tool read what was written.
func TestPEMKeys(t *testing.T) {
	testutil.JMeter(t) // sees to it that there is a Java
	cert, key := testutil.NewAuthority(t).Server(t)
	dir := t.TempDir()
	keys, err := process.PEMKeys(cert, key, dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "keytool", "-list", "-keystore", keys.File, "-storepass", keys.Password).CombinedOutput()
	if err != nil || !strings.Contains(string(out), keys.Alias+", ") || !strings.Contains(string(out), "PrivateKeyEntry") {
		t.Errorf("%v: %s", err, out)
	}
	if again, err := process.PEMKeys(cert, key, dir); err != nil || again != keys {
		t.Errorf("another process of the same pair: %+v, %v; the first: %+v", again, err, keys)
	}
	if _, err := process.PEMKeys(cert, cert, dir); err == nil {
		t.Error("a certificate is taken for a key")
	}
}
