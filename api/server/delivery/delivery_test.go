package delivery_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/api/server/delivery"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/halyard"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

func TestMain(m *testing.M) { leak.Main(m) }

const kubeconfig = `current-context: one
clusters: [{name: c, cluster: {server: "https://one.example:6443"}}, {name: d, cluster: {server: "https://two.example"}}]
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: d, user: v}}, {name: files, context: {cluster: d, user: w}}]
users: [{name: u, user: {token: hunter2}}, {name: v, user: {exec: {command: login}}}, {name: w, user: {tokenFile: /token}}]
`

func object(t *testing.T, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func url(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// installation returns services of the same Spinnaker by Halyard and by Gate.
func installation(t *testing.T) (h *spinnakertest.Halyard, g *spinnakertest.Gate, services map[string]*delivery.Service) {
	t.Helper()
	h, g = spinnakertest.NewHalyard(spinnakertest.HalyardOptions{RemoteDaemon: true}), spinnakertest.NewGate(spinnakertest.GateOptions{})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	byGate := gate.Options{URL: url(t, g), HTTP: client, FirstPoll: time.Millisecond}
	services = map[string]*delivery.Service{}
	for name, o := range map[string]delivery.Options{
		"halyard": {Halyard: halyard.Options{URL: url(t, h), HTTP: client, FirstPoll: time.Millisecond}, Gate: byGate},
		"gate":    {Gate: byGate},
		"nothing": {},
		"paths":   {Halyard: halyard.Options{URL: url(t, h), HTTP: client, FirstPoll: time.Millisecond}, KubeconfigPaths: true},
	} {
		s, err := delivery.New(o)
		if err != nil {
			t.Fatal(err)
		}
		services[name] = s
	}
	return h, g, services
}

func TestAccounts(t *testing.T) {
	h, g, services := installation(t)
	docker := map[string]any{"name": "mydockerhub", "address": "https://registry.example", "username": "ann", "password": "hunter2", "repositories": []any{"opnfv/clover"}}
	kube := map[string]any{"name": "my-kubernetes", "providerVersion": "V1", "kubeconfigContents": kubeconfig, "dockerRegistries": []any{map[string]any{"accountName": "dockerhub"}}}
	for _, by := range []string{"halyard", "gate"} {
		s, ctx := services[by], t.Context()
		for provider, account := range map[string]map[string]any{"docker-registry": docker, "kubernetes": kube} {
			r := &deliveryv1.CreateAccountRequest{Provider: provider, Account: object(t, account), DryRun: true}
			if res, err := s.CreateAccount(ctx, r); err != nil || !strings.HasPrefix(res.GetMessage(), "Would create") {
				t.Fatalf("%s %s: %v, %v", by, provider, res, err)
			}
			r.DryRun = false
			res, err := s.CreateAccount(ctx, r)
			if err != nil || !strings.HasPrefix(res.GetMessage(), "Created "+provider+" account my") || strings.Contains(protojson.Format(res), "hunter2") {
				t.Fatalf("%s %s: %v, %v", by, provider, res, err)
			}
			if _, err := s.CreateAccount(ctx, r); status.Code(err) != codes.AlreadyExists {
				t.Errorf("%s %s again: %v", by, provider, err)
			}
			list, err := s.ListAccounts(ctx, &deliveryv1.ListAccountsRequest{Provider: provider})
			if err != nil || len(list.GetAccounts()) != 1 || list.GetSource() != by || strings.Contains(protojson.Format(list), "hunter2") {
				t.Errorf("%s %s: %v, %v", by, provider, list, err)
			}
		}
		if _, err := s.GetAccount(ctx, &deliveryv1.GetAccountRequest{Provider: "kubernetes", Name: "my-kubernetes"}); err != nil {
			t.Error(err)
		}
	}
	path, _ := h.Accounts("kubernetes")[0]["kubeconfigFile"].(string)
	inHalyard, _ := h.File(path)
	var inGate string
	for _, a := range g.Accounts() {
		if text, _ := a["kubeconfigContents"].(string); text != "" {
			inGate = text
		}
	}
	for name, text := range map[string]string{"halyard": inHalyard, "gate": inGate} {
		if !strings.Contains(text, "hunter2") || strings.Contains(text, "two.example") {
			t.Errorf("%s has the kubeconfig\n%s", name, text)
		}
	}
	for _, by := range []string{"halyard", "gate"} {
		r := &deliveryv1.DeleteAccountRequest{Provider: "docker-registry", Name: "mydockerhub"}
		if _, err := services[by].DeleteAccount(t.Context(), r); err != nil {
			t.Error(err)
		}
		if _, err := services[by].DeleteAccount(t.Context(), r); status.Code(err) != codes.NotFound {
			t.Errorf("%s again: %v", by, err)
		}
	}
}

// TestPaths sends the path of a kubeconfig to a Halyard that takes paths.
func TestPaths(t *testing.T) {
	h, _, services := installation(t)
	r := &deliveryv1.CreateAccountRequest{Provider: "kubernetes", Account: object(t, map[string]any{"name": "a", "kubeconfigFile": "/home/spinnaker/kubeconfig"})}
	if res, err := services["paths"].CreateAccount(t.Context(), r); err != nil || !strings.Contains(strings.Join(res.GetNotes(), " "), "not checked") {
		t.Fatalf("%v, %v", res, err)
	}
	if text, _ := h.File(h.Accounts("kubernetes")[0]["kubeconfigFile"].(string)); text != "/home/spinnaker/kubeconfig" {
		t.Errorf("Halyard got %q", text)
	}
}

// TestNoHalyard has a Halyard whose name does not exist: Gate keeps accounts.
func TestNoHalyard(t *testing.T) {
	_, g, _ := installation(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := delivery.New(delivery.Options{
		Halyard: halyard.Options{URL: "http://spin-halyard.invalid:8064", HTTP: &http.Client{Transport: nowhere{}}},
		Gate:    gate.Options{URL: url(t, g), HTTP: &http.Client{Transport: transport}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.ListAccounts(t.Context(), &deliveryv1.ListAccountsRequest{Provider: "kubernetes"}); err != nil || res.GetSource() != "gate" {
		t.Errorf("%v, %v", res, err)
	}
}

// nowhere is a network without the host.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}}
}

func TestRefuses(t *testing.T) {
	_, _, services := installation(t)
	for _, c := range []struct {
		by, provider string
		account      map[string]any
		code         codes.Code
		want         string
	}{
		{"nothing", "kubernetes", nil, codes.FailedPrecondition, "--halyard URL"},
		{"gate", "", nil, codes.InvalidArgument, "provider"},
		{"gate", "a/b", nil, codes.InvalidArgument, "provider"},
		{"gate", "aws", map[string]any{"name": "a"}, codes.Unimplemented, "want docker-registry or kubernetes"},
		{"gate", "docker-registry", nil, codes.InvalidArgument, "empty"},
		{"gate", "docker-registry", map[string]any{"nam": "a"}, codes.InvalidArgument, "unknown key"},
		{"gate", "docker-registry", map[string]any{"name": "a", "address": "b", "username": "u", "passwordFile": "/etc/passwd"}, codes.InvalidArgument, "read by cloverctl"},
		{"halyard", "kubernetes", map[string]any{"name": "a", "kubeconfigFile": "/etc/passwd"}, codes.InvalidArgument, "a path means nothing here"},
		{"paths", "kubernetes", map[string]any{"name": "a", "kubeconfigContents": kubeconfig}, codes.InvalidArgument, "--halyard-path"},
		{"gate", "kubernetes", map[string]any{"name": "a", "kubeconfigContents": kubeconfig, "context": "two"}, codes.InvalidArgument, "--allow-exec-kubeconfig"},
		{"gate", "kubernetes", map[string]any{"name": "a", "kubeconfigContents": kubeconfig, "context": "files"}, codes.InvalidArgument, "tokenFile"},
		{"gate", "kubernetes", map[string]any{"name": "a", "kubeconfigContents": kubeconfig, "context": "x"}, codes.InvalidArgument, "want one of: files, one, two"},
	} {
		r := &deliveryv1.CreateAccountRequest{Provider: c.provider}
		if c.account != nil {
			r.Account = object(t, c.account)
		}
		_, err := services[c.by].CreateAccount(t.Context(), r)
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s %s %v: %v", c.by, c.provider, c.account["name"], err)
		}
	}
}

func TestPipelines(t *testing.T) {
	_, g, services := installation(t)
	s, ctx := services["gate"], t.Context()
	p := object(t, map[string]any{"application": "demo", "name": "wait", "stages": []any{
		map[string]any{"refId": "1", "type": "wait", "name": "Wait", "waitTime": 0, "requisiteStageRefIds": []any{}},
	}})
	for _, c := range []struct {
		dry  bool
		want string
	}{{true, "Would create"}, {false, "Created"}, {true, "Would replace"}, {false, "Replaced"}} {
		res, err := s.SavePipeline(ctx, &deliveryv1.SavePipelineRequest{Pipeline: p, DryRun: c.dry})
		if err != nil || !strings.HasPrefix(res.GetMessage(), c.want+" pipeline wait") {
			t.Fatalf("%v, %v; want %s", res, err, c.want)
		}
	}
	if len(g.Pipelines()) != 1 {
		t.Errorf("%d pipelines", len(g.Pipelines()))
	}
	list, err := s.ListPipelines(ctx, &deliveryv1.ListPipelinesRequest{Application: "demo"})
	if err != nil || len(list.GetPipelines()) != 1 || list.GetPipelines()[0].GetStages()[0] != "Wait" || list.GetPipelines()[0].GetProblem() != "" {
		t.Errorf("%v, %v", list, err)
	}
	if got, err := s.GetPipeline(ctx, &deliveryv1.GetPipelineRequest{Application: "demo", Name: "wait"}); err != nil || got.GetPipeline().GetFields()["id"].GetStringValue() == "" {
		t.Errorf("%v, %v", got, err)
	}
	started, err := s.StartPipeline(ctx, &deliveryv1.StartPipelineRequest{Application: "demo", Name: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := s.GetExecution(ctx, &deliveryv1.GetExecutionRequest{Id: started.GetExecutionId()}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.ListExecutions(ctx, &deliveryv1.ListExecutionsRequest{Application: "demo"})
	if err != nil || len(all.GetExecutions()) != 1 || all.GetExecutions()[0].GetStatus() != "SUCCEEDED" || all.GetExecutions()[0].GetEndTime() == nil {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := s.CancelExecution(ctx, &deliveryv1.CancelExecutionRequest{Id: "nope"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	if _, err := services["nothing"].ListPipelines(ctx, &deliveryv1.ListPipelinesRequest{Application: "demo"}); status.Code(err) != codes.FailedPrecondition {
		t.Error(err)
	}
	if _, err := s.DeletePipeline(ctx, &deliveryv1.DeletePipelineRequest{Application: "demo", Name: "wait"}); err != nil {
		t.Error(err)
	}
	g.Inject(spinnakertest.Fault{Kind: spinnakertest.Status, Code: 503})
	if _, err := s.ListPipelines(ctx, &deliveryv1.ListPipelinesRequest{Application: "demo"}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}
