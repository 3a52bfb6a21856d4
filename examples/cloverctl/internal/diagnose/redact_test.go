package diagnose

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// hidden is in every place of these texts that must not be reported.
const hidden = "hunter2hunter2"

func TestNoSecretIsReported(t *testing.T) {
	for _, text := range []string{
		`{kind: Secret, data: {tls.key: ` + hidden + `}, stringData: {x: ` + hidden + `}}`,
		`{kind: Pod, spec: {containers: [{env: [{name: API_TOKEN, value: ` + hidden + `}, {name: DB_PASSWORD, value: ` + hidden + `}]}]}}`,
		`{kind: Pod, spec: {containers: [{args: [--token=` + hidden + `, --password, ` + hidden + `]}]}}`,
		`{kind: Pod, metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: ` + hidden + `}}}`,
		`{kind: Pod, metadata: {managedFields: [{manager: ` + hidden + `}]}}`,
		`{kind: ConfigMap, data: {url: "http://user:` + hidden + `@jaeger:16686"}}`,
		`{kind: ConfigMap, data: {app.conf: "password = ` + hidden + `\nport = 1"}}`,
	} {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		Object(u)
		out, err := yaml.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), hidden) {
			t.Errorf("%s\nis reported as\n%s", text, out)
		}
	}
	for _, line := range []string{
		"GET / Authorization: Bearer " + hidden, "using token eyJhbGciOiJSUzI1NiJ9." + hidden + ".sig", "token=" + hidden,
		"-----BEGIN RSA PRIVATE KEY-----\n" + hidden + "\n-----END RSA PRIVATE KEY-----", `{"password": "` + hidden + `"}`,
	} {
		if out := Text(line); strings.Contains(out, hidden) {
			t.Errorf("%q is reported as %q", line, out)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	const text = `kind: Pod
spec:
  containers:
  - args:
    - --auth=kubernetes
    - --token-file=/etc/clover/tokens
    - --collector=clover-collector:50054
    env:
    - name: GOMEMLIMIT
      value: 460MiB
    image: opnfv/clover-controller:1.0
`
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	Object(u)
	if out, err := yaml.Marshal(u.Object); err != nil || string(out) != text {
		t.Errorf("%v\n%s", err, out)
	}
}

// FuzzText holds that the removal of secrets comes to an end and is stable.
func FuzzText(f *testing.F) {
	f.Add("token=abc Bearer abcdefghijkl http://a:b@c")
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if len(once) > 8*len(s)+64 {
			t.Errorf("%q grew to %d bytes", s, len(once))
		}
	})
}
