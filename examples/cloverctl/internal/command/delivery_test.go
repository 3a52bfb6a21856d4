package command

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/delivery"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/halyard"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

// delivering runs a controller of a Spinnaker.
func delivering(t *testing.T) (address string, h *spinnakertest.Halyard, g *spinnakertest.Gate) {
	t.Helper()
	h, g = spinnakertest.NewHalyard(spinnakertest.HalyardOptions{RemoteDaemon: true, Polls: 1}), spinnakertest.NewGate(spinnakertest.GateOptions{
		Polls: 1, Run: func(r spinnakertest.StageRun) ([]map[string]any, error) {
			if r.Stage["name"] == "Fail" {
				return nil, fmt.Errorf("it was to fail")
			}
			return nil, nil
		},
	})
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	byHalyard, byGate := httptest.NewServer(h), httptest.NewServer(g)
	service, err := delivery.New(delivery.Options{
		Halyard: halyard.Options{URL: byHalyard.URL, HTTP: client, FirstPoll: time.Millisecond},
		Gate:    gate.Options{URL: byGate.URL, HTTP: client, FirstPoll: time.Millisecond},
	})
	check(t, err)
	srv, err := server.New(t.Context(), v1.UnimplementedVisibilityServiceServer{}, server.Options{
		GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0", Delivery: service,
	})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		check(t, <-done)
		transport.CloseIdleConnections()
		byHalyard.Close()
		byGate.Close()
	})
	_, rest := srv.Addrs()
	return "http://" + rest, h, g
}

// apiServer answers as a cluster whose token is hunter3, and returns a
// kubeconfig for it.
func apiServer(t *testing.T) (kubeconfig string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hunter3" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"gitVersion":"v1.34.4"}`)
	}))
	t.Cleanup(srv.Close)
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	return fmt.Sprintf(`current-context: good
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
contexts: [{name: good, context: {cluster: c, user: u}}, {name: bad, context: {cluster: c, user: v}}]
users: [{name: u, user: {tokenFile: token}}, {name: v, user: {token: wrong}}]
`, srv.URL, ca)
}

const failFile = "application: demo\nname: fail\nstages: [{refId: a, type: wait, name: Fail, waitTime: 1}]\n"

// deliverySteps are typed one after the other; DIR is the folder of the files.
var deliverySteps = []struct {
	args, stdin string
	code        int
	want        []string
}{
	{"get provider docker-registry", "", 0, []string{"Nothing found."}},
	{"create provider docker-registry -f DIR/docker.yml --dry-run", "", 0, []string{"Would create docker-registry account mydockerhub"}},
	{"create provider docker-registry -f DIR/docker.yml", "", 0, []string{"Created docker-registry account mydockerhub"}},
	{"create provider docker-registry -f DIR/docker.yml", "", exitFailure, []string{"already"}},
	{"create provider docker-registry -f DIR/secret.yml", "", 0, []string{"account other"}},
	{"create provider docker-registry -f DIR/stdin.yml --password-stdin", "hunter2\n", 0, []string{"account third"}},
	{"create provider docker-registry -f DIR/bad.yml", "", exitUsage, []string{`line 2, column 1: unknown key "addr"; want one of`}},
	{"create provider docker-registry", "", exitUsage, []string{"-f FILE is needed"}},
	{"get provider docker-registry", "", 0, []string{"mydockerhub", "ann", "opnfv/clover"}},
	{"get provider docker-registry -n other -o json", "", 0, []string{`"password": "[hidden]"`}},
	{"create provider docker-registry -f DIR/docker.yml -n fourth -o json", "", 0, []string{`"name": "fourth"`}},
	{"get provider docker-registry -n nope", "", exitNotFound, []string{"no docker-registry account"}},
	{"delete provider docker-registry -n mydockerhub --dry-run", "", 0, []string{"Would delete"}},
	{"delete provider docker-registry -n mydockerhub", "", 0, []string{"Deleted docker-registry account mydockerhub"}},
	{"delete provider docker-registry -n mydockerhub", "", exitNotFound, []string{"mydockerhub"}},
	{"delete provider docker-registry", "", exitUsage, []string{"-n NAME is needed"}},
	{"create provider kubernetes -f DIR/kubernetes.yml", "", 0, []string{"Created kubernetes account my-kubernetes"}},
	{"create provider kubernetes -f DIR/kubernetes.yml -n second --account-context bad", "", exitFailure, []string{"context bad does not work", "--skip-reach"}},
	{"create provider kubernetes -f DIR/kubernetes.yml -n second --account-context bad --skip-reach", "", 0, []string{"account second"}},
	{"create provider kubernetes -f DIR/kubernetes.yml -n third --account-context x", "", exitUsage, []string{"want one of: bad, good"}},
	{"get provider kubernetes", "", 0, []string{"my-kubernetes", "V2", "good", "dockerhub"}},
	{"get provider", "", exitUsage, []string{"docker-registry, kubernetes"}},
	{"create pipeline -f DIR/wait.json --dry-run", "", 0, []string{"Would create pipeline wait"}},
	{"create pipeline -f DIR/wait.json", "", 0, []string{"Created pipeline wait of application demo"}},
	{"create pipeline -f -", failFile, 0, []string{"Created pipeline fail"}},
	{"create pipeline -f DIR/cycle.yaml", "", exitUsage, []string{"in a circle: a after a"}},
	{"get pipeline -a demo", "", 0, []string{"wait", "fail"}},
	{"get pipeline wait -a demo -o json", "", 0, []string{`"waitTime": 0`}},
	{"get pipeline", "", exitUsage, []string{"--application NAME is needed"}},
	{"start pipeline wait -a demo --wait", "", 0, []string{"Started pipeline wait, execution ", "Wait: RUNNING", "Wait: SUCCEEDED"}},
	{"start pipeline fail -a demo --wait", "", exitFailure, []string{"Fail: TERMINAL: it was to fail"}},
	{"start pipeline nope -a demo", "", exitNotFound, []string{"nope"}},
	{"start pipeline wait -a demo --parameter x", "", exitUsage, []string{"NAME=VALUE"}},
	{"get execution -a demo", "", 0, []string{"SUCCEEDED", "TERMINAL"}},
	{"get execution nope", "", exitNotFound, []string{"nope"}},
	{"stop execution nope", "", exitNotFound, []string{"nope"}},
	{"delete pipeline wait -a demo", "", 0, []string{"Deleted pipeline wait"}},
}

// TestDelivering types what the guide says, and more.
func TestDelivering(t *testing.T) {
	address, h, g := delivering(t)
	dir := t.TempDir()
	files := map[string]string{
		"docker.yml":     "name: mydockerhub\naddress: https://registry.example\nusername: ann\npassword: hunter2\nrepositories:\n- opnfv/clover\n",
		"secret.yml":     "name: other\naddress: https://registry.example\nusername: ann\npasswordFile: password\n",
		"stdin.yml":      "name: third\naddress: https://registry.example\nusername: ann\n",
		"bad.yml":        "name: mydockerhub\naddr: x\npassword: hunter2\n",
		"password":       "hunter2\n",
		"kubernetes.yml": "name: my-kubernetes\nproviderVersion: V1\nkubeconfigFile: kubeconfig\ndockerRegistries:\n- accountName: dockerhub\n",
		"kubeconfig":     apiServer(t),
		"token":          "hunter3\n",
		"wait.json":      `{"application":"demo","name":"wait","stages":[{"refId":"1","type":"wait","name":"Wait","waitTime":0,"requisiteStageRefIds":[]}]}`,
		"cycle.yaml":     "application: demo\nname: c\nstages: [{refId: a, type: wait, waitTime: 1, requisiteStageRefIds: [a]}]\n",
	}
	for name, text := range files {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for _, c := range deliverySteps {
		args := append([]string{"-q", "--controller", address}, strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
		code, out, errs := ctl(t, c.stdin, args...)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.args, code, c.code, out, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: %q is not in\n%s%s", c.args, want, out, errs)
			}
		}
		if strings.Contains(out+errs, "hunter") {
			t.Errorf("%s: a secret prints:\n%s%s", c.args, out, errs)
		}
	}
	// A Spinnaker that comes back while it is waited for.
	h.Inject(spinnakertest.Fault{Kind: spinnakertest.Status, Code: http.StatusServiceUnavailable, Prefix: "/v1/config"})
	if code, out, errs := ctl(t, "", "--controller", address, "create", "provider", "docker-registry", "-f", filepath.Join(dir, "docker.yml"), "-n", "fifth", "--wait"); code != 0 || !strings.Contains(errs, "Waiting") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, a := range h.Accounts("dockerRegistry") {
		if a["password"] != "hunter2" {
			t.Errorf("%v has the password %q", a["name"], a["password"])
		}
	}
	path, _ := h.Accounts("kubernetes")[0]["kubeconfigFile"].(string)
	if text, _ := h.File(path); !strings.Contains(text, "token: hunter3") || strings.Contains(text, "wrong") {
		t.Errorf("Halyard has the kubeconfig\n%s", text)
	}
	for _, r := range append(h.Requests(), g.Requests()...) {
		if strings.Contains(r.URI, "hunter") {
			t.Error("a secret is in a URL:", r.URI)
		}
	}
}
