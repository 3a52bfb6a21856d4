package kube

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/opnfv/clover/internal/testutil"
)

// flagsOf are the flags of a command line.
func flagsOf(t *testing.T, args ...string) *Flags {
	t.Helper()
	f := NewFlags()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.Add(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

// kubeconfig is a file with the contexts "kind" and "prod", both of that
// server.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := `{apiVersion: v1, kind: Config, current-context: kind,
clusters: [{name: c, cluster: {server: "` + server + `"}}], users: [{name: u, user: {}}],
contexts: [{name: kind, context: {cluster: c, user: u}}, {name: prod, context: {cluster: c, user: u}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAContextThatIsNotKnown(t *testing.T) {
	_, err := flagsOf(t, "--kubeconfig", kubeconfig(t, "http://127.0.0.1:1"), "--context", "prd").Connect(io.Discard)
	var unknown *UnknownContextError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), `context "prd" is not known; choose one with --context: kind, prod`) {
		t.Errorf("%v, want the contexts that there are", err)
	}
}

func TestAnAPIServerThatIsNotThere(t *testing.T) {
	server := "http://" + testutil.FreeAddr(t)
	c, err := flagsOf(t, "--kubeconfig", kubeconfig(t, server)).Connect(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Typed().CoreV1().Pods("x").List(t.Context(), metav1.ListOptions{})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), server+" (context kind) does not answer") {
		t.Errorf("%v, want what does not answer", err)
	}
}

func TestNoCluster(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	f := flagsOf(t)
	if _, err := f.Connect(io.Discard); !errors.Is(err, ErrNoCluster) || f.Configured() {
		t.Errorf("configured %v, %v", f.Configured(), err)
	}
}

func TestAFileThatIsNone(t *testing.T) {
	var config *ConfigError
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("contexts: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{file, file + ".absent"} {
		if _, err := flagsOf(t, "--kubeconfig", file).Connect(io.Discard); !errors.As(err, &config) {
			t.Errorf("%s: %v, want a fault of the file", file, err)
		}
	}
}

func TestAShorthandThatIsTaken(t *testing.T) {
	set := pflag.NewFlagSet("provider", pflag.ContinueOnError)
	name := set.StringP("name", "n", "", "")
	f := NewFlags()
	f.Add(set)
	if err := set.Parse([]string{"-n", "docker", "--namespace", "spinnaker"}); err != nil {
		t.Fatal(err)
	}
	if *name != "docker" || f.Namespace("") != "spinnaker" {
		t.Errorf("name %q, namespace %q", *name, f.Namespace(""))
	}
}

func TestExplainNamesTheRight(t *testing.T) {
	forbidden := func(message string) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "web", errors.New(message))
	}
	for message, want := range map[string]string{
		`User "jane" cannot patch resource "deployments" in API group "apps" in the namespace "clover-system"`: `user "jane" may not patch deployments.apps in namespace clover-system`,
		`User "jane" cannot create resource "namespaces" in API group "" at the cluster scope`:                 `user "jane" may not create namespaces cluster-wide`,
	} {
		err := Explain(forbidden(message))
		var denied *DeniedError
		if !errors.As(err, &denied) || !strings.Contains(err.Error(), want) || !apierrors.IsForbidden(err) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	quota := forbidden("exceeded quota: small")
	if got := Explain(quota); !errors.Is(got, quota) {
		t.Errorf("%v, want it unchanged", got)
	}
	if err := Explain(apierrors.NewUnauthorized("expired")); !strings.Contains(err.Error(), "Log in again") {
		t.Errorf("%v", err)
	}
	if Explain(nil) != nil {
		t.Error("nil is not nil")
	}
}
