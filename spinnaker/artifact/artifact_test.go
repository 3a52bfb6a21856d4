package artifact_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/artifact"
)

func TestMain(m *testing.M) { leak.Main(m) }

func chart() fstest.MapFS {
	return fstest.MapFS{
		"Chart.yaml":                {Data: []byte("apiVersion: v2\nname: test\nversion: 0.1.0\n")},
		"values.yaml":               {Data: []byte("replicas: 1\n")},
		"templates/deployment.yaml": {Data: []byte("kind: Deployment\n")},
		"templates/.hidden":         {Data: []byte("x")},
		"charts/sub/Chart.yaml":     {Data: []byte("apiVersion: v2\nname: sub\nversion: 1.0.0\n")},
		"notes/secret.txt":          {Data: []byte("x")},
		"a.bak":                     {Data: []byte("x")},
		"docs/b.bak":                {Data: []byte("x")},
		"docs/README.md":            {Data: []byte("read")},
		"build":                     {Data: []byte("a file")},
		".helmignore":               {Data: []byte("# what stays here\n*.bak\n/notes/\nbuild/\n")},
	}
}

// TestPackage has the Helm library read the archive: what Helm's own rules
// keep, and nothing else.
func TestPackage(t *testing.T) {
	var one, two bytes.Buffer
	c, err := artifact.Package(chart(), &one)
	if err != nil || c.FileName() != "test-0.1.0.tgz" {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := artifact.Package(chart(), &two); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("the same chart gives other bytes: %v", err)
	}
	loaded, err := loader.LoadArchive(&one)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range loaded.Raw {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if got, want := strings.Join(names, " "), ".helmignore Chart.yaml build charts/sub/Chart.yaml docs/README.md templates/deployment.yaml values.yaml"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if loaded.Name() != "test" || len(loaded.Dependencies()) != 1 || loaded.Validate() != nil {
		t.Errorf("%s, %d dependencies, %v", loaded.Name(), len(loaded.Dependencies()), loaded.Validate())
	}
}

func TestPackageRefuses(t *testing.T) {
	for want, change := range map[string]func(fstest.MapFS){
		"cannot be read":   func(m fstest.MapFS) { delete(m, "Chart.yaml") },
		"apiVersion":       func(m fstest.MapFS) { m["Chart.yaml"].Data = []byte("name: a") },
		"Chart.yaml: yaml": func(m fstest.MapFS) { m["Chart.yaml"].Data = []byte("name: [") },
		"name":             func(m fstest.MapFS) { m["Chart.yaml"].Data = []byte("apiVersion: v2\nname: ../x\nversion: 1.0.0") },
		"only dots":        nil,
		"semantic":         func(m fstest.MapFS) { m["Chart.yaml"].Data = []byte("apiVersion: v2\nname: a\nversion: one") },
		"too large":        func(m fstest.MapFS) { m["big"] = &fstest.MapFile{Data: make([]byte, 6<<20)} },
		"no regular file":  func(m fstest.MapFS) { m["link"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink} },
		"not supported":    func(m fstest.MapFS) { m[".helmignore"].Data = []byte("**/x") },
		"is no pattern":    func(m fstest.MapFS) { m[".helmignore"].Data = []byte("[") },
	} {
		m := chart()
		if change == nil {
			want = "name"
			m["Chart.yaml"].Data = []byte("apiVersion: v2\nname: ..\nversion: 1.0.0")
		} else {
			change(m)
		}
		if _, err := artifact.Package(m, new(bytes.Buffer)); !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestStore stores a chart in a real S3 server and fetches it again.
func TestStore(t *testing.T) {
	server := testutil.S3(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	store := func(secret string) *artifact.Store {
		s, err := artifact.NewStore(artifact.StoreOptions{URL: server.URL, AccessKey: server.AccessKey, SecretKey: spinnaker.NewSecret(secret), Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ctx, s := t.Context(), store(server.SecretKey)
	if _, err := s.PutChart(ctx, "my-s3", "s3-account", chart()); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("no bucket: %v", err)
	}
	for range 2 {
		if err := s.EnsureBucket(ctx, "s3-account"); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.PutChart(ctx, "my-s3", "s3-account", chart())
	if err != nil || a.Reference != "s3://s3-account/test-0.1.0.tgz" || a.Account != "my-s3" {
		t.Fatalf("%+v, %v", a, err)
	}
	data, err := s.Get(ctx, "s3-account", "test-0.1.0.tgz", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := loader.LoadArchive(bytes.NewReader(data)); err != nil || c.Name() != "test" {
		t.Errorf("what comes back is no chart: %v", err)
	}
	if _, err := s.Get(ctx, "s3-account", "test-0.1.0.tgz", 10); err == nil {
		t.Error("the limit does not hold")
	}
	if _, err := s.Get(ctx, "s3-account", "nope", 10); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("no object: %v", err)
	}
	err = store("a-wrong-secret").EnsureBucket(ctx, "other")
	if !errors.Is(err, spinnaker.ErrDenied) || strings.Contains(err.Error(), "a-wrong-secret") {
		t.Errorf("wrong secret: %v", err)
	}
	if err := s.EnsureBucket(ctx, "No_Bucket"); err == nil {
		t.Error("a bucket with a wrong name")
	}
}

func TestNewStoreRefuses(t *testing.T) {
	for _, o := range []artifact.StoreOptions{{}, {URL: "x"}, {URL: "http://u:hunter2@x"}, {URL: "http://x/path"}, {URL: "http://x"}} {
		if _, err := artifact.NewStore(o); !errors.Is(err, spinnaker.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
