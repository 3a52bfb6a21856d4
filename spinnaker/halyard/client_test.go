package halyard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/halyard"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

// serve starts a stand-in and returns a client of it.
func serve(t *testing.T, so spinnakertest.HalyardOptions, o halyard.Options) (*spinnakertest.Halyard, *halyard.Client) {
	t.Helper()
	h := spinnakertest.NewHalyard(so)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o.URL, o.HTTP = srv.URL, srv.Client()
	if o.FirstPoll == 0 {
		o.FirstPoll = time.Millisecond
	}
	c, err := halyard.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, c
}

func registry(name string) spinnaker.Account {
	return spinnaker.DockerRegistry{
		Name: name, Address: "https://registry.example", Username: "ann", Password: spinnaker.NewSecret("hunter2"),
		Repositories: []string{"opnfv/clover"},
	}.Account()
}

func TestAccounts(t *testing.T) {
	var events []halyard.Event
	h, c := serve(t, spinnakertest.HalyardOptions{Polls: 2}, halyard.Options{OnEvent: func(e halyard.Event) { events = append(events, e) }})
	ctx := t.Context()
	if err := c.Health(ctx); err != nil {
		t.Fatal(err)
	}
	if list, err := c.Accounts(ctx, spinnaker.DockerRegistryProvider); err != nil || len(list) != 0 {
		t.Fatalf("a fresh daemon: %v, %v", list, err)
	}
	if err := c.AddAccount(ctx, registry("mydockerhub")); err != nil {
		t.Fatal(err)
	}
	if !h.Enabled(spinnaker.DockerRegistryProvider) {
		t.Error("the provider is not enabled")
	}
	if saved := h.Accounts(spinnaker.DockerRegistryProvider); len(saved) != 1 || saved[0]["password"] != "hunter2" {
		t.Errorf("saved: %v", saved)
	}
	if err := c.AddAccount(ctx, registry("mydockerhub")); !errors.Is(err, spinnaker.ErrExists) {
		t.Errorf("a second of that name: %v", err)
	}
	got, err := c.Account(ctx, spinnaker.DockerRegistryProvider, "mydockerhub")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "hunter2") {
		t.Error("the password prints:", text)
	}
	got.Fields["username"] = "bob"
	if err := c.EditAccount(ctx, "mydockerhub", got); err != nil {
		t.Fatal(err)
	}
	if saved := h.Accounts(spinnaker.DockerRegistryProvider); saved[0]["username"] != "bob" || saved[0]["password"] != "hunter2" {
		t.Errorf("edited: %v", saved)
	}
	if err := c.DeleteAccount(ctx, spinnaker.DockerRegistryProvider, "mydockerhub"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Account(ctx, spinnaker.DockerRegistryProvider, "mydockerhub"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if err := c.DeleteAccount(ctx, spinnaker.DockerRegistryProvider, "mydockerhub"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if len(events) < 10 || events[0].Stage == "" || events[0].Timestamp == 0 {
		t.Errorf("events: %v", events)
	}
	for _, r := range h.Requests() {
		if strings.Contains(r.URI, "hunter2") {
			t.Error("the password is in a URL:", r.URI)
		}
	}
}

func TestDeployment(t *testing.T) {
	h, c := serve(t, spinnakertest.HalyardOptions{}, halyard.Options{})
	ctx := t.Context()
	v, err := c.Versions(ctx)
	if err != nil || v.LatestSpinnaker == "" || len(v.Versions) == 0 {
		t.Errorf("versions %+v, %v", v, err)
	}
	if latest, err := c.LatestVersion(ctx); err != nil || latest != v.LatestSpinnaker {
		t.Errorf("latest %q, %v", latest, err)
	}
	list, err := c.Deployments(ctx)
	if err != nil || len(list) != 1 || list[0].Name != "default" || list[0].DeploymentEnvironment.Location != "spinnaker" {
		t.Errorf("deployments %+v, %v", list, err)
	}
	if d, err := c.Deployment(ctx); err != nil || d.Version != v.LatestSpinnaker {
		t.Errorf("deployment %+v, %v", d, err)
	}
	if folder, err := c.Generate(ctx); err != nil || folder == "" {
		t.Errorf("generate: %q, %v", folder, err)
	}
	if err := c.Apply(ctx, halyard.ApplyOptions{Services: []string{"clouddriver"}, Options: []string{"WAIT_FOR_COMPLETION"}}); err != nil || h.Applied() != 1 {
		t.Errorf("apply: %v, %d", err, h.Applied())
	}
	last := h.Requests()[len(h.Requests())-2]
	if !strings.Contains(last.URI, "serviceNames=clouddriver") || !strings.Contains(last.URI, "deployOptions=WAIT_FOR_COMPLETION") {
		t.Error("apply asked", last.URI)
	}
}

func TestProblems(t *testing.T) {
	bad := halyard.Problem{Severity: halyard.Error, Location: "default.provider.dockerRegistry.hub", Message: "Unable to fetch tags", Remediation: "Can the provided user access this repository?", Options: []string{"a", "b"}}
	so := spinnakertest.HalyardOptions{Validate: func(string, map[string]any) []halyard.Problem { return []halyard.Problem{bad} }}
	h, c := serve(t, so, halyard.Options{})
	err := c.AddAccount(t.Context(), registry("hub"))
	var problems *halyard.ProblemError
	if !errors.As(err, &problems) || len(problems.Problems) != 1 || !errors.Is(err, spinnaker.ErrInvalid) || errors.Is(err, spinnaker.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if p := problems.Problems[0]; p.Remediation != bad.Remediation || len(p.Options) != 2 || p.Severity != halyard.Error {
		t.Errorf("problem %+v", p)
	}
	if !strings.Contains(err.Error(), "Can the provided user") || !strings.Contains(err.Error(), "one of: a, b") {
		t.Error("the message hides what to do:", err)
	}
	if len(h.Accounts(spinnaker.DockerRegistryProvider)) != 0 {
		t.Error("a refused account was saved")
	}
	for name, o := range map[string]halyard.Options{"severity": {Severity: halyard.Error}, "without validation": {SkipValidation: true}} {
		h, c := serve(t, so, o)
		if err := c.AddAccount(t.Context(), registry("hub")); err != nil || len(h.Accounts(spinnaker.DockerRegistryProvider)) != 1 {
			t.Errorf("%s: %v", name, err)
		}
		found, err := c.Validate(t.Context())
		if err != nil || len(found) != 1 {
			t.Errorf("%s: validate: %v, %v", name, found, err)
		}
	}
	if _, err := c.Provider(t.Context(), "nope"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("unknown provider: %v", err)
	}
	_, elsewhere := serve(t, spinnakertest.HalyardOptions{}, halyard.Options{Deployment: "prod"})
	if _, err := elsewhere.Accounts(t.Context(), spinnaker.KubernetesProvider); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("unknown deployment: %v", err)
	}
}

// TestQuotedSecrets has the daemon quote what it was sent.
func TestQuotedSecrets(t *testing.T) {
	quote := func(_ string, a map[string]any) []halyard.Problem {
		text := fmt.Sprint(a["password"], " ", a["kubeconfigFile"])
		return []halyard.Problem{{Severity: halyard.Error, Message: "cannot use " + text, Remediation: "not " + text, Options: []string{text}}}
	}
	_, c := serve(t, spinnakertest.HalyardOptions{Validate: quote}, halyard.Options{})
	a := registry("hub")
	a.Fields["kubeconfigFile"] = "users:\n- token: 0123456789abcdef0123\n"
	err := c.AddAccount(t.Context(), a)
	var problems *halyard.ProblemError
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "cannot use "+spinnaker.Hidden) {
		t.Fatalf("got %v", err)
	}
	if all := fmt.Sprintf("%v %+v", err, problems.Problems); strings.Contains(all, "hunter2") || strings.Contains(all, "0123456789abcdef") {
		t.Error("a secret prints:", all)
	}
}

// TestEnds goes through all that a task and an answer can come to.
func TestEnds(t *testing.T) {
	const accounts = "/v1/config/deployments/default/providers/dockerRegistry/accounts"
	for _, c := range []struct {
		name  string
		fault spinnakertest.Fault
		kind  error         // nil: it works
		state halyard.State // of the TaskError; "": none
		saved int
	}{
		{name: "slow", fault: spinnakertest.Fault{Kind: spinnakertest.Slow, Delay: 20 * time.Millisecond}, saved: 1},
		{name: "500 at the submit", fault: spinnakertest.Fault{Kind: spinnakertest.Status, Code: 500, Prefix: accounts}, kind: spinnaker.ErrTemporary},
		{name: "500 mid-task", fault: spinnakertest.Fault{Kind: spinnakertest.Status, Code: 500, Prefix: "/v1/tasks", Times: 3}, saved: 1},
		{name: "dropped mid-task", fault: spinnakertest.Fault{Kind: spinnakertest.Drop, Prefix: "/v1/tasks", Times: 3}, saved: 1},
		{name: "lost", fault: spinnakertest.Fault{Kind: spinnakertest.LoseTask, Prefix: accounts}, kind: spinnaker.ErrTemporary, state: halyard.Lost},
		{name: "lost when done", fault: spinnakertest.Fault{Kind: spinnakertest.LoseDoneTask, Prefix: accounts}, saved: 1},
		{name: "timed out", fault: spinnakertest.Fault{Kind: spinnakertest.TimeOutTask, Prefix: accounts}, kind: spinnaker.ErrTemporary, state: halyard.TimedOut},
		{name: "interrupted", fault: spinnakertest.Fault{Kind: spinnakertest.InterruptTask, Prefix: accounts}, kind: spinnaker.ErrTemporary, state: halyard.Interrupted},
		{name: "a page", fault: spinnakertest.Fault{Kind: spinnakertest.HTML, Prefix: accounts}, kind: spinnaker.ErrProtocol},
		{name: "a page mid-task", fault: spinnakertest.Fault{Kind: spinnakertest.HTML, Prefix: "/v1/tasks"}, kind: spinnaker.ErrProtocol},
		{name: "huge", fault: spinnakertest.Fault{Kind: spinnakertest.Huge, Bytes: 2 << 20, Prefix: accounts}, kind: spinnaker.ErrProtocol},
		{name: "401", fault: spinnakertest.Fault{Kind: spinnakertest.Status, Code: 401, Prefix: accounts}, kind: spinnaker.ErrDenied},
		{name: "400", fault: spinnakertest.Fault{Kind: spinnakertest.Status, Code: 400, Prefix: accounts}, kind: spinnaker.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, client := serve(t, spinnakertest.HalyardOptions{Polls: 1}, halyard.Options{MaxBytes: 1 << 20})
			h.Inject(c.fault)
			err := client.AddAccount(t.Context(), registry("hub"))
			if (c.kind == nil) != (err == nil) || !errors.Is(err, c.kind) {
				t.Fatalf("got %v, want %v", err, c.kind)
			}
			var task *halyard.TaskError
			if errors.As(err, &task) != (c.state != "") || (task != nil && (task.State != c.state || task.Error() == "")) {
				t.Errorf("got %v, want state %q", err, c.state)
			}
			if got := len(h.Accounts(spinnaker.DockerRegistryProvider)); got != c.saved {
				t.Errorf("%d accounts are saved, want %d", got, c.saved)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the password is in the error:", err)
			}
		})
	}
}

// TestRestart kills the daemon while a task runs.
func TestRestart(t *testing.T) {
	h, c := serve(t, spinnakertest.HalyardOptions{Polls: 5}, halyard.Options{})
	h.Inject(spinnakertest.Fault{Kind: spinnakertest.Restart, Method: http.MethodGet, Prefix: "/v1/tasks", Times: 4})
	_, err := c.LatestVersion(t.Context())
	var task *halyard.TaskError
	if !errors.As(err, &task) || task.State != halyard.Lost || !strings.Contains(err.Error(), "restarted") {
		t.Fatalf("got %v", err)
	}
	if _, err := c.LatestVersion(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestPatience gives up on a daemon that stays away.
func TestPatience(t *testing.T) {
	h, c := serve(t, spinnakertest.HalyardOptions{}, halyard.Options{Patience: 30 * time.Millisecond})
	h.Inject(spinnakertest.Fault{Kind: spinnakertest.Drop, Prefix: "/v1/tasks", Times: -1})
	_, err := c.LatestVersion(t.Context())
	var task *halyard.TaskError
	if !errors.As(err, &task) || task.State != halyard.Lost || task.Err == nil {
		t.Fatalf("got %v", err)
	}
}

// TestCancel interrupts the task that nobody waits for any more.
func TestCancel(t *testing.T) {
	h, c := serve(t, spinnakertest.HalyardOptions{Polls: 1 << 30}, halyard.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := c.LatestVersion(ctx)
		done <- err
	}()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		tasks, err := c.Tasks(t.Context())
		// Who submits a task knows it when he asks for it.
		known := len(tasks) == 1 && slices.ContainsFunc(h.Requests(), func(r spinnakertest.Request) bool { return strings.Contains(r.URI, tasks[0].ID) })
		return known, fmt.Sprintf("tasks %+v, %v", tasks, err)
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	tasks, err := c.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].State != halyard.Interrupted {
		t.Errorf("tasks %+v, %v", tasks, err)
	}
	if err := c.Interrupt(t.Context(), "nope"); !errors.Is(err, spinnaker.ErrNotFound) {
		t.Errorf("an unknown task: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []halyard.Options{{}, {URL: "ftp://x"}, {URL: "http://u:pw@x"}, {URL: "http://x?a=b"}, {URL: "http://x", Severity: "BAD"}} {
		if _, err := halyard.New(o); !errors.Is(err, spinnaker.ErrInvalid) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", o.URL, err)
		}
	}
}

// TestRemoteFile sends a kubeconfig as content to a daemon that takes files so.
func TestRemoteFile(t *testing.T) {
	h, c := serve(t, spinnakertest.HalyardOptions{RemoteDaemon: true}, halyard.Options{})
	k := spinnaker.Kubernetes{Name: "my-kubernetes", ProviderVersion: "V1", Kubeconfig: spinnaker.NewSecret("kind: Config\n"), DockerRegistries: []spinnaker.DockerRegistryReference{{AccountName: "dockerhub"}}}
	if err := c.AddAccount(t.Context(), k.HalyardAccount(true)); err != nil {
		t.Fatal(err)
	}
	saved := h.Accounts(spinnaker.KubernetesProvider)
	path, _ := saved[0]["kubeconfigFile"].(string)
	if content, ok := h.File(path); !ok || content != "kind: Config\n" {
		t.Errorf("saved %v", saved)
	}
	if saved[0]["providerVersion"] != "V2" {
		t.Errorf("version %v", saved[0]["providerVersion"])
	}
}
