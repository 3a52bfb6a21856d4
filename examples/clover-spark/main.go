// Command clover-spark starts Apache Spark in a container that has no shell:
// what an image needs in place of Spark's own scripts.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "chmod", "rm", "bash":
		cli.Main(name, func(_ context.Context, args []string, _, _ io.Writer) error { return tools[name](args) })
	default:
		cli.Main("clover-spark", run)
	}
}

const usage = `Starts Apache Spark in a container.

Usage:
  clover-spark submit ARGS...   does what spark-submit does with these arguments
  clover-spark server ARGS...   Spark's SQL server, with arguments of spark-submit
  clover-spark executor         an executor; Spark's driver starts it in a pod
  clover-spark rows             turns rows of Cassandra into those of a table, for Spark's TRANSFORM

The environment: SPARK_HOME (/opt/spark).
`

// server is Spark's SQL server, which speaks Hive's protocol.
const server = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := pflag.NewFlagSet("clover-spark", pflag.ContinueOnError)
	f.SetInterspersed(false)
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := cli.Parse(f, args, stderr, usage); err != nil {
			return err
		}
		return cli.Usagef("say what to start: submit, server, executor or rows")
	}
	home := os.Getenv("SPARK_HOME")
	if home == "" {
		home = "/opt/spark"
	}
	var java []string
	var err error
	switch verb, rest := args[0], args[1:]; verb {
	case "rows":
		return rows(os.Stdin, stdout)
	case "submit":
		java, err = submit(ctx, home, rest)
	case "server":
		java, err = submit(ctx, home, append([]string{"--class", server}, append(rest, "spark-internal")...))
	case "executor":
		java, err = executor(home, os.Environ())
	default:
		return cli.Usagef("%q is not submit, server, executor or rows", verb)
	}
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, java[0], java[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = stdout, stderr, append(os.Environ(), "SPARK_HOME="+home)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("spark: %w", err)
	}
	return nil
}

//go:embed executor.yaml
var executorTemplate []byte

// submit asks Spark's launcher for the command of spark-submit. It knows which
// options Java needs.
func submit(ctx context.Context, home string, args []string) (java []string, err error) {
	template := filepath.Join(os.TempDir(), "executor.yaml")
	if err := os.WriteFile(template, executorTemplate, 0o600); err != nil {
		return nil, err
	}
	args = append([]string{"--conf", "spark.kubernetes.executor.podTemplateFile=" + template}, args...)
	launch := append([]string{"-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(home, "jars") + "/*", "org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit"}, args...)
	cmd := exec.CommandContext(ctx, "java", launch...)
	var stderr bytes.Buffer
	// The launcher would look for it in folders of Spark's own build.
	cmd.Env, cmd.Stderr = append(os.Environ(), "SPARK_HOME="+home, "SPARK_SCALA_VERSION=2.12"), &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("spark's launcher: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return launched(out)
}

// launched reads what the launcher prints: arguments that each end with NUL,
// after a line that is NUL alone.
func launched(out []byte) ([]string, error) {
	_, list, ok := bytes.Cut(out, []byte("\x00\n"))
	java := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	if !ok || java[0] == "" {
		return nil, fmt.Errorf("spark's launcher printed no command: %q", out)
	}
	return java, nil
}

// executor is the command of an executor, as the driver asks for it in the
// environment.
func executor(home string, environ []string) (java []string, err error) {
	env, options := map[string]string{}, map[int]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "SPARK_JAVA_OPT_")); err == nil && strings.HasPrefix(name, "SPARK_JAVA_OPT_") {
			options[n] = value
		}
	}
	java = []string{"java"}
	for _, n := range slices.Sorted(maps.Keys(options)) {
		java = append(java, options[n])
	}
	java = append(java, "-Xms"+env["SPARK_EXECUTOR_MEMORY"], "-Xmx"+env["SPARK_EXECUTOR_MEMORY"],
		"-cp", filepath.Join(home, "jars")+"/*", "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend")
	for _, o := range []struct{ flag, name string }{
		{"--driver-url", "SPARK_DRIVER_URL"}, {"--executor-id", "SPARK_EXECUTOR_ID"}, {"--cores", "SPARK_EXECUTOR_CORES"},
		{"--app-id", "SPARK_APPLICATION_ID"}, {"--hostname", "SPARK_EXECUTOR_POD_IP"},
		{"--resourceProfileId", "SPARK_RESOURCE_PROFILE_ID"}, {"--podName", "SPARK_EXECUTOR_POD_NAME"},
	} {
		if env[o.name] == "" {
			return nil, errors.New(o.name + " is not set: an executor is started by Spark's driver")
		}
		java = append(java, o.flag, env[o.name])
	}
	return java, nil
}
