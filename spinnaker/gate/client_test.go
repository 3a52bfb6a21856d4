package gate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/pipeline"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

func serve(t *testing.T, so spinnakertest.GateOptions, o gate.Options) (*spinnakertest.Gate, *gate.Client) {
	t.Helper()
	g := spinnakertest.NewGate(so)
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	o.URL, o.HTTP = srv.URL, srv.Client()
	o.FirstPoll = time.Millisecond
	c, err := gate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g, c
}

func demo() pipeline.Pipeline {
	return pipeline.HelmPipeline(pipeline.HelmOptions{
		Application: "demo", Name: "deliver it/now", Chart: pipeline.S3("my-s3", "s3://s3-account/test-0.1.0.tgz"), Account: "my-kubernetes-account",
	})
}

func TestAccounts(t *testing.T) {
	g, c := serve(t, spinnakertest.GateOptions{}, gate.Options{})
	ctx := t.Context()
	k := spinnaker.Kubernetes{Name: "my-kubernetes", Kubeconfig: spinnaker.NewSecret("hunter2")}
	if err := c.AddAccount(ctx, k.GateAccount()); err != nil {
		t.Fatal(err)
	}
	if got := g.Accounts()[0]; got["type"] != "kubernetes" || got["kubeconfigContents"] != "hunter2" {
		t.Errorf("saved %v", got)
	}
	if err := c.AddAccount(ctx, k.GateAccount()); !errors.Is(err, spinnaker.ErrExists) {
		t.Errorf("again: %v", err)
	}
	got, err := c.AccountDefinition(ctx, spinnaker.KubernetesProvider, "my-kubernetes")
	if err != nil || strings.Contains(fmt.Sprintf("%v %+v %#v", got, got, got), "hunter2") {
		t.Errorf("%v, %v", got, err)
	}
	got.Fields["context"] = "two"
	if err := c.EditAccount(ctx, got); err != nil || g.Accounts()[0]["context"] != "two" || g.Accounts()[0]["kubeconfigContents"] != "hunter2" {
		t.Errorf("edited: %v, %v", g.Accounts(), err)
	}
	list, err := c.Accounts(ctx)
	if err != nil || len(list) != 1 || list[0].CloudProvider != "kubernetes" || !list[0].Authorized {
		t.Errorf("accounts %+v, %v", list, err)
	}
	if err := c.DeleteAccount(ctx, spinnaker.KubernetesProvider, "my-kubernetes"); err != nil || len(g.Accounts()) != 0 {
		t.Errorf("delete: %v", err)
	}
	if err := c.DeleteAccount(ctx, spinnaker.KubernetesProvider, "my-kubernetes"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("delete again: %v", err)
	}
}

// TestManyAccounts reads several pages.
func TestManyAccounts(t *testing.T) {
	_, c := serve(t, spinnakertest.GateOptions{}, gate.Options{})
	for i := range 205 {
		a := spinnaker.DockerRegistry{Name: fmt.Sprintf("r%03d", i), Address: "https://registry.example"}.Account()
		if err := c.AddAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.AccountDefinitions(t.Context(), spinnaker.DockerRegistryProvider)
	if err != nil || len(all) != 205 || all[204].Name != "r204" {
		t.Errorf("%d, %v", len(all), err)
	}
}

func TestNoAccountStorage(t *testing.T) {
	_, c := serve(t, spinnakertest.GateOptions{NoAccountStorage: true}, gate.Options{})
	_, err := c.AccountDefinitions(t.Context(), spinnaker.KubernetesProvider)
	if !errors.Is(err, spinnaker.ErrUnsupported) || !strings.Contains(err.Error(), "account.storage.enabled") {
		t.Errorf("got %v", err)
	}
}

func TestPipelines(t *testing.T) {
	g, c := serve(t, spinnakertest.GateOptions{Polls: 1}, gate.Options{})
	ctx := t.Context()
	if err := c.CreateApplication(ctx, gate.Application{Name: "demo", Email: "a@b"}); err != nil {
		t.Fatal(err)
	}
	if app, err := c.Application(ctx, "demo"); err != nil || app.Email != "a@b" {
		t.Errorf("%+v, %v", app, err)
	}
	if _, err := c.Application(ctx, "nope"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Error(err)
	}
	if err := c.CreateApplication(ctx, gate.Application{}); !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), "must have a name") {
		t.Errorf("no name: %v", err)
	}
	p := demo()
	p.Name = "deliver"
	for range 2 { // the second takes the place of the first
		if err := c.SavePipeline(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.Pipelines()) != 1 {
		t.Fatalf("%d pipelines", len(g.Pipelines()))
	}
	p.Stages[1].After = []string{"9"}
	if err := c.SavePipeline(ctx, p); !errors.Is(err, spinnaker.ErrInvalid) {
		t.Errorf("a missing stage: %v", err)
	}
	got, err := c.Pipeline(ctx, "demo", "deliver")
	if err != nil || got.ID == "" || got.Check() != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	id, err := c.Start(ctx, "demo", "deliver", gate.Trigger{})
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	x, err := c.Watch(ctx, id, func(gate.Execution) { changes++ })
	if err != nil || x.Status != gate.Succeeded || len(x.Stages) != 2 || x.Stages[1].Status != gate.Succeeded || changes < 3 {
		t.Errorf("%+v, %v, %d changes", x, err, changes)
	}
	list, err := c.Executions(ctx, "demo", gate.ExecutionFilter{Pipeline: "deliver", Statuses: []gate.Status{gate.Succeeded}})
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.DeletePipeline(ctx, "demo", "deliver"); err != nil {
		t.Error(err)
	}
	if err := c.DeletePipeline(ctx, "demo", "deliver"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := c.Start(ctx, "demo", "deliver", gate.Trigger{}); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("started what is gone: %v", err)
	}
}

// TestNames holds that a name stays one segment of a path.
func TestNames(t *testing.T) {
	g, c := serve(t, spinnakertest.GateOptions{}, gate.Options{})
	for name, want := range map[string]string{"a/b": "a%2Fb", "..": "%2E%2E", "a b?c#d%2F": "a%20b%3Fc%23d%252F"} {
		if _, err := c.Pipeline(t.Context(), "demo", name); !errors.Is(err, spinnaker.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
		all := g.Requests()
		if got := all[len(all)-1].URI; got != "/applications/demo/pipelineConfigs/"+want {
			t.Errorf("%q asks %s", name, got)
		}
	}
}

func TestFailedStage(t *testing.T) {
	_, c := serve(t, spinnakertest.GateOptions{Run: func(s spinnakertest.StageRun) ([]map[string]any, error) {
		return nil, errors.New("failed to fetch " + fmt.Sprint(s.Artifacts["chart"]["reference"]))
	}}, gate.Options{})
	p := demo()
	p.Name = "deliver"
	if err := c.SavePipeline(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	other := pipeline.S3("my-s3", "s3://s3-account/test-0.1.0.tgz")
	other.Reference = "s3://s3-account/other.tgz"
	id, err := c.Start(t.Context(), "demo", "deliver", gate.Trigger{Artifacts: []pipeline.Artifact{other}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Watch(t.Context(), id, nil)
	var failed *gate.ExecutionError
	if !errors.As(err, &failed) || failed.Execution.Status != gate.Terminal || !strings.Contains(err.Error(), "failed to fetch s3://s3-account/other.tgz") {
		t.Errorf("got %v", err)
	}
}

func TestJudgeCancelPause(t *testing.T) {
	_, c := serve(t, spinnakertest.GateOptions{}, gate.Options{})
	ctx := t.Context()
	p := pipeline.Pipeline{Application: "demo", Name: "ask", Stages: []pipeline.Stage{{RefID: "1", Name: "Sure?", Do: &pipeline.ManualJudgment{}}}}
	if err := c.SavePipeline(ctx, p); err != nil {
		t.Fatal(err)
	}
	start := func() gate.Execution {
		id, err := c.Start(ctx, "demo", "ask", gate.Trigger{})
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.Execution(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for goOn, want := range map[bool]gate.Status{true: gate.Succeeded, false: gate.Terminal} {
		x := start()
		if err := c.Judge(ctx, x.ID, x.Stages[0].ID, goOn, ""); err != nil {
			t.Fatal(err)
		}
		if x, err := c.Watch(ctx, x.ID, nil); x.Status != want {
			t.Errorf("judged %t: %s, %v", goOn, x.Status, err)
		}
	}
	x := start()
	if err := errors.Join(c.Pause(ctx, x.ID), c.Resume(ctx, x.ID)); err != nil {
		t.Error(err)
	}
	if err := c.Cancel(ctx, x.ID, "enough"); err != nil {
		t.Error(err)
	}
	if x, err := c.Watch(ctx, x.ID, nil); x.Status != gate.Canceled || err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("%s, %v", x.Status, err)
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if _, err := c.Watch(soon, start().ID, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestWatchFaults goes on through what passes, and gives up on what does not.
func TestWatchFaults(t *testing.T) {
	for _, c := range []struct {
		fault spinnakertest.Fault
		want  error
	}{
		{spinnakertest.Fault{Kind: spinnakertest.Status, Code: 500, Times: 3}, nil},
		{spinnakertest.Fault{Kind: spinnakertest.Status, Code: 404, Times: 1}, nil}, // not there yet
		{spinnakertest.Fault{Kind: spinnakertest.Drop, Times: 3}, nil},
		{spinnakertest.Fault{Kind: spinnakertest.Slow, Delay: 10 * time.Millisecond}, nil},
		{spinnakertest.Fault{Kind: spinnakertest.HTML}, spinnaker.ErrProtocol},
		{spinnakertest.Fault{Kind: spinnakertest.Huge, Bytes: 2 << 20}, spinnaker.ErrProtocol},
		{spinnakertest.Fault{Kind: spinnakertest.Status, Code: 403}, spinnaker.ErrDenied},
	} {
		g, client := serve(t, spinnakertest.GateOptions{}, gate.Options{MaxBytes: 1 << 20})
		p := pipeline.Pipeline{Application: "demo", Name: "w", Stages: []pipeline.Stage{{RefID: "1", Name: "w", Do: &pipeline.Wait{WaitTime: 0}}}}
		if err := client.SavePipeline(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		id, err := client.Start(t.Context(), "demo", "w", gate.Trigger{})
		if err != nil {
			t.Fatal(err)
		}
		c.fault.Prefix = "/pipelines/"
		g.Inject(c.fault)
		if _, err := client.Watch(t.Context(), id, nil); (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v, want %v", c.fault, err, c.want)
		}
	}
}

func TestWhoAsks(t *testing.T) {
	so := spinnakertest.GateOptions{Users: map[string]string{"ann": "hunter2"}, Tokens: map[string]string{"spk_1": "bot"}}
	for name, auth := range map[string]gate.Auth{
		"bot":   {Token: spinnaker.NewSecret("spk_1")},
		"carol": {User: "carol"},
		"ann":   {BasicUser: "ann", BasicPassword: spinnaker.NewSecret("hunter2")},
	} {
		_, c := serve(t, so, gate.Options{Auth: auth})
		if u, err := c.User(t.Context()); err != nil || u.Username != name {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	_, c := serve(t, so, gate.Options{Auth: gate.Auth{Bearer: spinnaker.NewSecret("spk_1")}})
	if u, err := c.User(t.Context()); err != nil || u.Username != "bot" {
		t.Errorf("bearer: %+v, %v", u, err)
	}
	_, c = serve(t, so, gate.Options{})
	if _, err := c.User(t.Context()); !errors.Is(err, spinnaker.ErrDenied) {
		t.Errorf("nobody: %v", err)
	}
	if err := c.Login(t.Context(), "ann", spinnaker.NewSecret("wrong")); !errors.Is(err, spinnaker.ErrDenied) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
	if err := c.Login(t.Context(), "ann", spinnaker.NewSecret("hunter2")); err != nil {
		t.Fatal(err)
	}
	if u, err := c.User(t.Context()); err != nil || u.Username != "ann" {
		t.Errorf("session: %+v, %v", u, err)
	}
	if text := fmt.Sprintf("%v %+v %#v", so.Tokens, gate.Auth{Token: spinnaker.NewSecret("hunter2")}, gate.Auth{Token: spinnaker.NewSecret("hunter2")}); strings.Contains(text, "hunter2") {
		t.Error("a token prints:", text)
	}
}

// TestX509 shows a client certificate.
func TestX509(t *testing.T) {
	srv := httptest.NewUnstartedServer(spinnakertest.NewGate(spinnakertest.GateOptions{}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	try := func() error {
		transport := &http.Transport{TLSClientConfig: config.Clone()}
		defer transport.CloseIdleConnections()
		c, err := gate.New(gate.Options{URL: srv.URL, HTTP: &http.Client{Transport: transport}})
		if err != nil {
			return err
		}
		_, err = c.Version(t.Context())
		return err
	}
	if err := try(); !errors.Is(err, spinnaker.ErrTemporary) {
		t.Errorf("without a certificate: %v", err)
	}
	pair, err := tls.LoadX509KeyPair(testutil.NewAuthority(t).Client(t, "ann"))
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	if err := try(); err != nil {
		t.Error(err)
	}
}
