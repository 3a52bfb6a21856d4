package spinnaker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/opnfv/clover/spinnaker"
)

const dockerFile = `name: mydockerhub
address: https://registry.example
username: if-you-images-aren't-publicly-available
password: fill-this-field
repositories:
- opnfv/clover
`

const kubernetesFile = `# name must match pattern ^[a-z0-9]+([-a-z0-9]*[a-z0-9])?$
name: my-kubernetes
providerVersion: V1
# make sure the kubeconfigFile can be use
kubeconfigFile: /path/to/kubeconfig
dockerRegistries:
- accountName: dockerhub
`

// TestGuideFiles reads the files that users of the guide have.
func TestGuideFiles(t *testing.T) {
	d, err := spinnaker.ReadDockerRegistry([]byte(dockerFile))
	if err != nil {
		t.Fatal(err)
	}
	wire, err := d.Account().Wire()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":"https://registry.example","name":"mydockerhub","password":"fill-this-field","repositories":["opnfv/clover"],"username":"if-you-images-aren't-publicly-available"}`
	if string(wire) != want {
		t.Errorf("got  %s\nwant %s", wire, want)
	}
	k, err := spinnaker.ReadKubernetes([]byte(kubernetesFile))
	if err != nil {
		t.Fatal(err)
	}
	wire, err = k.HalyardAccount(false).Wire()
	if err != nil {
		t.Fatal(err)
	}
	want = `{"dockerRegistries":[{"accountName":"dockerhub"}],"kubeconfigFile":"/path/to/kubeconfig","name":"my-kubernetes","providerVersion":"V2"}`
	if string(wire) != want {
		t.Errorf("got  %s\nwant %s", wire, want)
	}
	k.KubeconfigFile, k.Kubeconfig = "", spinnaker.NewSecret("kind: Config")
	wire, err = k.GateAccount().Wire()
	if want := `{"kubeconfigContents":"kind: Config","name":"my-kubernetes"}`; err != nil || string(wire) != want {
		t.Errorf("got %s, want %s", wire, want)
	}
}

func TestFilesRefuse(t *testing.T) {
	docker := func(s string) error { _, err := spinnaker.ReadDockerRegistry([]byte(s)); return err }
	kubernetes := func(s string) error { _, err := spinnaker.ReadKubernetes([]byte(s)); return err }
	for _, c := range []struct {
		read       func(string) error
		file, want string
	}{
		{docker, "", "empty"},
		{docker, "- a", "want keys with values"},
		{docker, "name: a\n---\nname: b", "a second document"},
		{docker, "name: [", "not YAML"},
		{docker, "name: x\naddress: d\nport: 1", `line 3, column 1: unknown key "port"; want one of: name, address`},
		{docker, "name: x\nname: y", "given twice"},
		{docker, "name: X\naddress: d", "lower-case letters"},
		{docker, "name: " + strings.Repeat("x", 64) + "\naddress: d", "at most 63"},
		{docker, "name: x\naddress: https://u:hunter2@d", "without user, password"},
		{docker, "name: x\naddress: d\npassword: hunter2", "a password without a username"},
		{docker, "name: x\naddress: d\nusername: u\npassword: hunter2\npasswordFile: f", "more than one of"},
		{docker, "name: x\naddress: d\nusername: u\npasswordSecret: f", "NAMESPACE/NAME/KEY"},
		{docker, "name: x\naddress: d\nrepositories: [Opnfv/Clover]", "repositories[0]"},
		{docker, "name: x\naddress: d\npassword: {hunter2: 1}", "want one value"},
		{docker, "name: x\naddress: d\ncacheThreads: hunter2", "not a whole number"},
		{docker, "name: x\naddress: d\ntrackDigests: hunter2", "not true or false"},
		{docker, "name: x\naddress: d\nusername: &a x\npassword: *a", "an anchor or alias"},
		{docker, strings.Repeat("#", 300<<10), "at most"},
		{kubernetes, "name: x", "kubeconfigFile: is missing"},
		{kubernetes, "name: x\nkubeconfigFile: f\nproviderVersion: V3", "want V2"},
		{kubernetes, "name: x\nkubeconfigFile: f\nserviceAccount: true", "beside a kubeconfig"},
		{kubernetes, "name: x\nkubeconfigFile: f\nkinds: [a]\nomitKinds: [b]", "omitKinds"},
		{kubernetes, "name: x\nkubeconfigFile: f\nnamespaces: [a]\nomitNamespaces: [b]", "omitNamespaces"},
		{kubernetes, "name: x\nkubeconfigFile: f\ndockerRegistries: [a, a]", "given twice"},
		{kubernetes, "name: x\nkubeconfigFile: f\ndockerRegistries: [{accountName: A}]", "dockerRegistries[0].accountName"},
	} {
		err := c.read(c.file)
		if err == nil || !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: got %v, want %q", c.file, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60q: the message has the password: %v", c.file, err)
		}
	}
}

func TestFilesTakeBothSpellings(t *testing.T) {
	d, err := spinnaker.ReadDockerRegistry([]byte(`{"name": "7", "address": "d", "cache-interval-seconds": "60", "Track_Digests": "yes", "repositories": "opnfv/clover", "permissions": {"READ": ["ops"]}}`))
	if err != nil || d.Name != "7" || d.CacheIntervalSeconds != 60 || !d.TrackDigests || len(d.Repositories) != 1 || d.Permissions.Read[0] != "ops" {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestSecretsDoNotPrint holds that no usual way of printing shows a secret.
func TestSecretsDoNotPrint(t *testing.T) {
	d, err := spinnaker.ReadDockerRegistry([]byte("name: x\naddress: d\nusername: u\npassword: hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	a := d.Account()
	a.Fields["nested"] = map[string]any{"list": []any{map[string]any{"clientSecret": "hunter2"}}, "url": "https://u:hunter2@host/x"}
	a.Fields["kubeconfigFile"] = "users:\n- hunter2\n"
	var logged strings.Builder
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	log.Info("x", "account", a, "file", d, "secret", d.Password)
	encoded, err := json.Marshal([]any{a, d, a.Redacted()})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %v", a, a, a, a, d, d, d, d.Password) + string(encoded) + logged.String()
	all += a.Hide()("bad password hunter2 for https://u:hunter2@host/x")
	if strings.Contains(all, "hunter2") {
		t.Error("a secret prints:", all)
	}
	if !strings.Contains(string(encoded), `"username":"u"`) || !strings.Contains(string(encoded), `https://host/x`) {
		t.Errorf("too much is hidden: %s", encoded)
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte(dockerFile))
	f.Add([]byte(kubernetesFile))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := spinnaker.ReadDockerRegistry(data); err == nil {
			if _, err := d.Account().Wire(); err != nil || d.Check() != nil {
				t.Errorf("%q: %v", data, err)
			}
		}
		if k, err := spinnaker.ReadKubernetes(data); err == nil {
			if _, err := k.HalyardAccount(true).Wire(); err != nil {
				t.Errorf("%q: %v", data, err)
			}
		}
	})
}
