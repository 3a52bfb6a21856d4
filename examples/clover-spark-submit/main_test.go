package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/visibility/spark/job"
)

// script stands in for spark-submit: it does as the statement says, with a
// span in all.
const script = `#!/bin/sh
for file; do :; done
out=$(sed -n "s/.*DIRECTORY '\([^']*\)'.*/\1/p" "$file")
mkdir -p "$out"
echo '{"file":"day=1/a.parquet","hour":3600,"role":"server","spans":1}' >"$out/part-0.json"
: >"$out/_SUCCESS"
`

func TestRun(t *testing.T) {
	home, data, results := t.TempDir(), t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(home, "bin", "spark-submit"): script,
		filepath.Join(data, "day=1", "a.parquet"):  "",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SPARK_HOME", "")
	for _, c := range []struct {
		args         []string
		stdout, fail string
	}{
		{[]string{"--data", data}, "", "--data and --results are needed"},
		{[]string{"--data", data, "--results", results}, "", "--spark-home, --spark-addr or --pods is needed"},
		{[]string{"--data", data, "--results", results, "--spark-addr", "spark"}, "", "HOST:PORT"},
		{[]string{"--data", data, "--results", results, "--spark-home", home, "--once", "slow"}, "", `"slow" is not full or fast`},
		{[]string{"--data", data, "--results", results, "--spark-home", home, "--once", "full"}, "ok: attempt 1, 1 buckets, 1 spans", ""},
		{[]string{"--data", data, "--results", results, "--spark-home", data, "--once", "full"}, "failed: attempt 1", "spark-submit"},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), c.args, &stdout, &stderr)
		if c.fail == "" && err != nil || c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.fail)
		}
		if !strings.Contains(stdout.String(), c.stdout) {
			t.Errorf("%q prints %q, want %q", c.args, &stdout, c.stdout)
		}
	}
	state, err := job.ReadState(results)
	if err != nil || len(state.Runs) != 2 || state.Runs[0].Outcome != job.OK || state.Runs[1].Outcome != job.Failed || len(state.Buckets) != 1 {
		t.Errorf("%+v, %v", state, err)
	}
}
