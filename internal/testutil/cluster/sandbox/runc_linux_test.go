package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEditForRunc(t *testing.T) {
	const process = `{"args":["sh"],"capabilities":{"bounding":["CAP_KILL","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},` +
		`"oomScoreAdj":-999,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1,"soft":1}]}`
	nothing := func(int) bool { return false }
	const restricted = `{"args":["sh"],"capabilities":{"bounding":["CAP_KILL"],"effective":[]},"oomScoreAdj":0}`
	for _, c := range []struct {
		name, file, before, after string
		args                      func(path string) []string
	}{
		{
			"create", "config.json", `{"ociVersion":"1.0.2","process":` + process + `}`,
			`{"ociVersion":"1.0.2","process":` + restricted + `}`,
			func(path string) []string {
				return []string{"--root", "/r", "create", "--bundle", filepath.Dir(path), "--pid-file", "p", "id"}
			},
		},
		{
			"run with a short flag", "config.json", `{"process":{"oomScoreAdj":100}}`, `{"process":{"oomScoreAdj":100}}`,
			func(path string) []string { return []string{"run", "-b", filepath.Dir(path), "id"} },
		},
		{
			"exec", "process", process, restricted,
			func(path string) []string { return []string{"--log=l", "exec", "--process=" + path, "id"} },
		},
		{
			"state", "config.json", process, process,
			func(string) []string { return []string{"state", "id"} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := edit(c.args(path), nothing); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(after) != c.after {
				t.Errorf("the file is\n%s\nwant\n%s", after, c.after)
			}
		})
	}
}

func TestEditNamesTheFile(t *testing.T) {
	if err := edit([]string{"create", "--bundle", t.TempDir(), "id"}, func(int) bool { return true }); err == nil {
		t.Error("no error without a config.json")
	}
}

// TestPrivilegedMeansAll gives a privileged process the capabilities that its
// Docker does not know, where this machine has them.
func TestPrivilegedMeansAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "process")
	const before = `{"capabilities":{"bounding":["CAP_SYS_ADMIN","CAP_SYS_RESOURCE"],"effective":["CAP_KILL"]}}`
	const after = `{"capabilities":{"bounding":["CAP_SYS_ADMIN","CAP_SYS_RESOURCE","CAP_BPF","CAP_PERFMON"],"effective":["CAP_KILL"]}}`
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	may := func(c int) bool { return c != unix.CAP_CHECKPOINT_RESTORE }
	if err := edit([]string{"exec", "--process=" + path, "id"}, may); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != after {
		t.Errorf("the file is\n%s\nwant\n%s", got, after)
	}
}
