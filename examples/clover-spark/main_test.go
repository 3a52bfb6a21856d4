package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// TestSubmit has the real Spark answer a statement.
func TestSubmit(t *testing.T) {
	home := filepath.Dir(filepath.Dir(testutil.Require(t, components.Spark())))
	if err := components.EnsureJava(t.Context(), nil); err != nil {
		testutil.Missing(t, components.Spark().Name, err.Error())
	}
	t.Setenv("SPARK_HOME", home)
	t.Setenv("TMPDIR", t.TempDir())
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{
		"submit", "--master", "local[1]", "--conf", "spark.ui.enabled=false",
		"--conf", "spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:memory:metastore;create=true",
		"--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal", "-e", "SELECT 6*7 AS answer",
	}, &stdout, &stderr)
	if err != nil || strings.TrimSpace(stdout.String()) != "42" {
		t.Fatalf("%v: %s\n%s", err, &stdout, &stderr)
	}
	if _, err := os.Stat(filepath.Join(os.TempDir(), "executor.yaml")); err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"submit, server, executor or rows": {},
		`"start" is not`:                   {"start"},
		"SPARK_DRIVER_URL is not set":      {"executor"},
		"unknown flag: --master":           {"--master", "local"},
	} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), args, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// TestExecutor holds that an executor is what the environment asks for, its
// options in their order.
func TestExecutor(t *testing.T) {
	env := []string{
		"SPARK_DRIVER_URL=spark://driver", "SPARK_EXECUTOR_ID=1", "SPARK_EXECUTOR_CORES=2", "SPARK_APPLICATION_ID=app",
		"SPARK_EXECUTOR_POD_IP=10.0.0.1", "SPARK_RESOURCE_PROFILE_ID=0", "SPARK_EXECUTOR_POD_NAME=exec-1", "SPARK_EXECUTOR_MEMORY=512m",
		"SPARK_JAVA_OPT_10=-Dlast=1", "SPARK_JAVA_OPT_2=-Dfirst=a=b",
	}
	got, err := executor("/opt/spark", env)
	want := strings.Fields("java -Dfirst=a=b -Dlast=1 -Xms512m -Xmx512m -cp /opt/spark/jars/* org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend" +
		" --driver-url spark://driver --executor-id 1 --cores 2 --app-id app --hostname 10.0.0.1 --resourceProfileId 0 --podName exec-1")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLaunched(t *testing.T) {
	got, err := launched([]byte("some warning\n\x00\njava\x00-cp\x00a b\x00"))
	if err != nil || !slices.Equal(got, []string{"java", "-cp", "a b"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "Usage: spark-submit", "\x00\n"} {
		if got, err := launched([]byte(bad)); err == nil {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

func TestTools(t *testing.T) {
	dir := t.TempDir()
	file, sub := filepath.Join(dir, "file"), filepath.Join(dir, "sub")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.MkdirAll(filepath.Join(sub, "deep"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(chmod([]string{"0644", file}), chmod([]string{"1777", sub})); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{file: 0o644, sub: fs.ModeDir | fs.ModeSticky | 0o777} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info, err, want)
		}
	}
	if err := remove([]string{"-rf", file, sub}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for _, err := range []error{chmod([]string{"u+x", dir}), chmod([]string{"644"}), remove([]string{dir}), remove([]string{"-rf", "/"}), remove([]string{"-rf", ".."}), chmod([]string{"644", file})} {
		if err == nil {
			t.Error("no error")
		}
	}
}
