package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPasswordIsNoArgument holds that no argument has the password, and that
// the file that has it is for its owner alone.
func TestPasswordIsNoArgument(t *testing.T) {
	dir := t.TempDir()
	args, err := Keys{File: "/keys/rmi.p12", Password: `se\cret`}.args(false, dir)
	if err != nil || strings.Contains(strings.Join(args, " "), "cret") {
		t.Fatal(args, err)
	}
	file := filepath.Join(dir, "rmi.properties")
	data, err := os.ReadFile(file)
	if err != nil || !slices.Contains(args, file) {
		t.Fatal(args, err)
	}
	for _, want := range []string{`server.rmi.ssl.keystore.password=se\\cret`, `server.rmi.ssl.truststore.file=/keys/rmi.p12`, `server.rmi.ssl.keystore.alias=rmi`} {
		if !slices.Contains(strings.Split(string(data), "\n"), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if args, err := (Keys{}).args(true, dir); err != nil || !slices.Equal(args, []string{"-Jserver.rmi.ssl.disable=true"}) {
		t.Error(args, err)
	}
}
