package locate

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// read reads a value from YAML.
func read[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestThePortBehindAService(t *testing.T) {
	pod := read[corev1.Pod](t, "spec: {containers: [{name: c, ports: [{name: grpc, containerPort: 50054}, {name: https, containerPort: 8443}]}]}")
	for text, want := range map[string]int32{
		"spec: {ports: [{port: 50054, targetPort: grpc}, {port: 80, targetPort: https}]}": 8443,
		"spec: {ports: [{port: 80, targetPort: 9443}]}":                                   9443,
		"spec: {ports: [{port: 80, targetPort: absent}]}":                                 0,
		"spec: {ports: [{port: 50054, targetPort: grpc}]}":                                0,
	} {
		if got, err := targetPort(read[corev1.Service](t, text), pod); got != want || (err != nil) != (want == 0) {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestHowAServiceIsSpokenTo(t *testing.T) {
	for text, want := range map[string]string{
		"spec: {ports: [{port: 80, appProtocol: https}]}":               "https",
		"spec: {ports: [{port: 80}, {port: 8443, appProtocol: https}]}": "http",
		"spec: {ports: [{port: 80}]}":                                   "http",
	} {
		if got := scheme(read[corev1.Service](t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestAPodThatTakesRequests(t *testing.T) {
	list := read[corev1.PodList](t, `items:
- {metadata: {name: starting}, status: {conditions: [{type: Ready, status: "False"}]}}
- {metadata: {name: going, deletionTimestamp: "2026-11-24T12:00:00Z"}, status: {conditions: [{type: Ready, status: "True"}]}}
- {metadata: {name: good}, status: {conditions: [{type: Ready, status: "True"}]}}
`)
	if p := readyPod(list.Items); p == nil || p.Name != "good" {
		t.Errorf("%v, want the pod good", p)
	}
	if p := readyPod(list.Items[:2]); p != nil {
		t.Errorf("%s takes no requests", p.Name)
	}
}

func TestOnlyASecureWayCarriesTokens(t *testing.T) {
	for e, want := range map[Endpoint]bool{
		{URL: "https://10.0.0.1:32044", Via: viaNode}:      true,
		{URL: "http://10.0.0.1:32044", Via: viaNode}:       false,
		{URL: "http://clover-controller", Via: viaForward}: true,
	} {
		if got := e.Secure(); got != want {
			t.Errorf("%s by %s: %v, want %v", e.URL, e.Via, got, want)
		}
	}
}

func TestATokenFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer srv.Close()
	c := &http.Client{Transport: &Bearer{Source: File(file), Next: http.DefaultTransport}}
	defer c.CloseIdleConnections()
	for _, token := range []string{"one", "two\n", ""} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := c.Get(srv.URL)
		if token == "" {
			if err == nil {
				t.Error("an empty file is no token")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := "Bearer " + token[:3]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
