package clover

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// deps lists the packages that a package of this module is built from.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "./"+pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps ./%s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// TestDependenciesStayLean holds what each library may pull into a program
// that imports it.
func TestDependenciesStayLean(t *testing.T) {
	heavy := regexp.MustCompile(`^(k8s\.io|sigs\.k8s\.io|istio\.io|github\.com/jaegertracing/jaeger/|github\.com/prometheus/prometheus|github\.com/spf13/cobra)`)
	none := regexp.MustCompile(`^$`)
	for _, c := range []struct {
		pkg    string
		forbid *regexp.Regexp
	}{
		{"tracing", regexp.MustCompile(`^github\.com/(opnfv/clover/(monitoring|visibility|api)|cockroachdb/|prometheus/client_golang/api)`)},
		{"monitoring", regexp.MustCompile(`^(github\.com/(opnfv/clover/(tracing|visibility|api)|cockroachdb/)|google\.golang\.org/grpc)`)},
		{"visibility", regexp.MustCompile(`^github\.com/(opnfv/clover/(visibility/|api)|cockroachdb/|redis/|apache/)`)},
		{"visibility/lease", regexp.MustCompile(`^github\.com/(opnfv/clover/(visibility/[^l]|api)|cockroachdb/|redis/)`)},
		{"visibility/redis", regexp.MustCompile(`^github\.com/(opnfv/clover/(visibility/[^r]|api|ids|loadbalancer|clovisor)|cockroachdb/)`)},
		{"loadbalancer", regexp.MustCompile(`^(github\.com/opnfv/clover/(ids|api|loadbalancer/|visibility)|google\.golang\.org/grpc)`)},
		{"loadbalancer/proxy", regexp.MustCompile(`^(github\.com/opnfv/clover/(ids|api|visibility)|google\.golang\.org/grpc)`)},
		{"loadbalancer/nginx", regexp.MustCompile(`^(github\.com/opnfv/clover/(ids|api|visibility)|google\.golang\.org/grpc)`)},
		{"loadbalancer/envoy", regexp.MustCompile(`^github\.com/opnfv/clover/(ids|api|visibility)`)},
		{"visibility/embedded", regexp.MustCompile(`^github\.com/apache/`)},
		{"visibility/spark", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^s])|cockroachdb/|go-zookeeper/|beltran/gosasl)`)},
		{"visibility/spark/job", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^s])|cockroachdb/|apache/|beltran/|parquet-go/)`)},
		{"visibility/cassandra", regexp.MustCompile(`^(github\.com/(opnfv/clover/(api|visibility/embedded)|cockroachdb/|rs/zerolog|stretchr/)|go\.uber\.org/zap)`)},
		{"visibility/spool", regexp.MustCompile(`^github\.com/(opnfv/clover/(visibility/[^s]|api|ids)|cockroachdb/|redis/|apache/)`)},
		{"visibility/parquet", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^p])|cockroachdb/|redis/|apache/|minio/)`)},
		{"visibility/parquet/s3", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^p])|cockroachdb/|redis/|apache/)`)},
		{"visibility/sql", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^s])|cockroachdb/|redis/|apache/|parquet-go/)`)},
		{"visibility/engine", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|visibility/[^es])|cockroachdb/|redis/|apache/|parquet-go/)`)},
		{"clovisor", regexp.MustCompile(`^github\.com/opnfv/clover/(api|ids|loadbalancer|visibility|monitoring)`)},
		{"clovisor/target", regexp.MustCompile(`^(github\.com/(opnfv/clover/([^c]|clovisor/[^pt])|redis/|cilium/|tetratelabs/)|google\.golang\.org/|net/http$)`)},
		{"clovisor/export", regexp.MustCompile(`^github\.com/(opnfv/clover/(api|ids|loadbalancer|visibility|clovisor/(config|kernel|target))|redis/|tetratelabs/)`)},
		{"clovisor/config", regexp.MustCompile(`^(github\.com/(opnfv/clover/(api|ids|loadbalancer|visibility|tracing|clovisor/[^c])|tetratelabs/)|google\.golang\.org/)`)},
		{"clovisor/plugin", regexp.MustCompile(`^(github\.com/(opnfv/clover/(api|ids|loadbalancer|visibility|tracing|clovisor/(config|export|kernel|session|target))|redis/)|google\.golang\.org/)`)},
		{"clovisor/plugin/guest", regexp.MustCompile(`^(github\.com/(tetratelabs/|opnfv/clover/clovisor/p[^l])|net/http$)`)},
		{"ids", regexp.MustCompile(`^(github\.com/(opnfv/clover/[^i]|[^go])|google\.golang\.org/|net/http$)`)},
		{"ids/starter", regexp.MustCompile(`^(github\.com/opnfv/clover/[^i]|google\.golang\.org/|net/http$)`)},
		{"ids/source", regexp.MustCompile(`^(github\.com/opnfv/clover/[^i]|google\.golang\.org/)`)},
		{"ids/engine", regexp.MustCompile(`^(github\.com/(opnfv/clover/(loadbalancer|api)|redis/)|google\.golang\.org/grpc)`)},
		{"ids/alert", regexp.MustCompile(`^(github\.com/(opnfv/clover/(loadbalancer|api|ids/engine)|redis/|goccy/)|google\.golang\.org/grpc)`)},
		{"ids/alert/redis", regexp.MustCompile(`^(github\.com/opnfv/clover/(loadbalancer|api|ids/engine)|google\.golang\.org/grpc)`)},
		{"clovisor/kernel", regexp.MustCompile(`^(github\.com/(opnfv/clover/(api|ids|loadbalancer|visibility|tracing)|redis/)|google\.golang\.org/grpc)`)},
		{"clovisor/packet", regexp.MustCompile(`^(github\.com/opnfv/clover/clovisor/[^p]|golang\.org/|net/http$)`)},
		{"clovisor/session", regexp.MustCompile(`^(github\.com/(opnfv/clover/([^c]|clovisor/[^ps])|redis/|cilium/)|google\.golang\.org/|net/http$)`)},
		{"spinnaker", regexp.MustCompile(`^(github\.com/(opnfv/clover/[^is]|[^go])|google\.golang\.org/)`)},
		{"spinnaker/halyard", regexp.MustCompile(`^(github\.com/(opnfv/clover/[^is]|[^go])|google\.golang\.org/)`)},
		{"spinnaker/gate", regexp.MustCompile(`^(github\.com/(opnfv/clover/[^is]|[^go])|google\.golang\.org/)`)},
		{"spinnaker/pipeline", regexp.MustCompile(`^(github\.com/(opnfv/clover/[^is]|[^go])|google\.golang\.org/)`)},
		{"spinnaker/artifact", regexp.MustCompile(`^(github\.com/opnfv/clover/[^is]|google\.golang\.org/|helm\.sh/)`)},
		{"jmeter", regexp.MustCompile(`^(github\.com/(opnfv/clover/(jmeter/|[a-hk-z])|[^go])|golang\.org/|google\.golang\.org/|net/http$)`)},
		{"jmeter/jtl", regexp.MustCompile(`^(github\.com/opnfv/clover/[a-hk-z]|google\.golang\.org/|net/http$)`)},
		{"jmeter/builtin", regexp.MustCompile(`^(github\.com/opnfv/clover/[a-hk-z]|google\.golang\.org/)`)},
		{"jmeter/master", regexp.MustCompile(`^(github\.com/opnfv/clover/[a-hk-z]|google\.golang\.org/)`)},
		{"jmeter/process", regexp.MustCompile(`^(github\.com/opnfv/clover/[a-hk-z]|google\.golang\.org/)`)},
		{"api/server", none},
		{"api/server/delivery", none},
		{"api/server/auth", none},
		{"api/server/certfile", none},
		{"api/server/dashboard", regexp.MustCompile(`^(github\.com/([^o]|opnfv/clover/([^a]|api/(clover|server$)))|google\.golang\.org/)`)},
	} {
		for _, dep := range deps(t, c.pkg) {
			if heavy.MatchString(dep) || c.forbid.MatchString(dep) {
				t.Errorf("%s depends on %s", c.pkg, dep)
			}
		}
	}
}

// TestOnePackageComment holds that each folder says once what it is for.
func TestOnePackageComment(t *testing.T) {
	comment := regexp.MustCompile(`(?m)^(// Package [a-z0-9]+ |// Command [a-z-]+ |// [A-Z][^\n]*\n)(//[^\n]*\n)*package `)
	folders := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, ".pb.") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if _, ok := folders[dir]; !ok {
			folders[dir] = nil
		}
		if loc := comment.FindIndex(src); loc != nil && !bytes.Contains(src[:loc[0]], []byte("\npackage ")) {
			folders[dir] = append(folders[dir], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, files := range folders {
		if generatedOnly(dir) {
			continue
		}
		if len(files) != 1 {
			t.Errorf("%s: package comment in %v, want exactly one", dir, files)
		}
	}
}

// generatedOnly reports whether a folder's Go files are all generated.
func generatedOnly(dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return false
	}
	for _, f := range files {
		if !strings.Contains(f, ".pb.") {
			return false
		}
	}
	return true
}

// TestBuildsElsewhere compiles everything, or cloverctl at least, for the
// systems that people run cloverctl on, without cgo.
func TestBuildsElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything again for each system")
	}
	everything, cloverctl := []string{"./..."}, []string{"-o", os.DevNull, "./examples/cloverctl"}
	for target, what := range map[string][]string{
		"darwin/arm64": everything, "windows/amd64": everything, "linux/arm64": everything,
		"darwin/amd64": cloverctl, "windows/arm64": cloverctl, "linux/amd64": cloverctl,
	} {
		goos, goarch, _ := strings.Cut(target, "/")
		cmd := exec.Command("go", append([]string{"build"}, what...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}
}
