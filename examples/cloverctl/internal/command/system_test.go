package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

// noCluster lets no configuration of the machine be found.
func noCluster(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	t.Setenv("KUBECONFIG", filepath.Join(dir, "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

// deadCluster is a configuration with an API server that does not answer.
func deadCluster(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	check(t, os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: kind,
clusters: [{name: c, cluster: {server: "http://`+testutil.FreeAddr(t)+`"}}], users: [{name: u, user: {}}],
contexts: [{name: kind, context: {cluster: c, user: u}}]}`), 0o600))
	return file
}

func TestSystemsWithoutACluster(t *testing.T) {
	noCluster(t)
	dead := deadCluster(t)
	for _, c := range []struct {
		args string
		in   string
		code int
		want []string
	}{
		{"create system visibility --dry-run=client", "", 0, []string{
			"Creating visibility services\nCreated clover-system namespace (dry run)\n",
			"Created deployment \"clover-controller\". (dry run)\nImage: opnfv/clover-controller:", "Created service \"clover-collector\" (dry run)"}},
		{"create system controller -t v9 -r registry.example/clover --dry-run", "", 0, []string{
			"Creating controller service\n", "Image: registry.example/clover/clover-controller:v9"}},
		{"create system controller nodeport --dry-run=client -o yaml", "", 0, []string{"nodePort: 32044", "kind: Service"}},
		{"create system controller nodeport --dry-run=client -o yaml --set controller.service.nodePort=30001", "", 0, []string{"nodePort: 30001"}},
		{"create system collector --dry-run=client -o yaml -f - --set collector.retention=1h", "collector: {retention: 2h, storage: {size: 7Gi}}", 0,
			[]string{"--retention=1h", "storage: 7Gi"}},
		{"create system visibility --store cassandra --collectors 3 --size small -t v9 --dry-run=client", "", 0, []string{
			"Created statefulset \"cassandra\". (dry run)\nImage: opnfv/clover-cassandra:v9", "Created service \"cassandra\"", "Created statefulset \"clover-collector\". (dry run)\n"}},
		{"create system visibility --store cassandra --size large --set cassandra.pods=1 --dry-run=client -o yaml", "", 0,
			[]string{"memory: 16Gi", "--cassandra-hosts=cassandra-0.cassandra.clover-system.svc\n"}},
		{"create system visibility --collectors 3 --dry-run=client", "", exitUsage, []string{"3 collectors need a store that they share", "--store cassandra"}},
		{"create system collector --store cassandra --dry-run=client", "", exitUsage, []string{"namespace clover-system has none", "create system visibility --store cassandra"}},
		{"create system visibility --store postgres --dry-run=client", "", exitUsage, []string{"collector.store: want embedded or cassandra"}},
		{"create system visibility --collectors 0 --size huge --dry-run=client", "", exitUsage, []string{"--size huge is not known; want one of small, medium, large"}},
		{"create system visibility --collectors -1 --dry-run=client", "", exitUsage, []string{"want 1 or more"}},
		{"create system sdc --store cassandra --dry-run=client", "", exitUsage, []string{"system sdc has no store"}},
		{"create system datastore --dry-run=client -o name -n elsewhere", "", 0, []string{"deployment.apps/redis", "namespace/elsewhere"}},
		{"create system sdc --dry-run=client -o json", "", 0, []string{`"proxy-access-control"`}},
		{"create system validation --dry-run=client -t v9", "", 0, []string{
			"Creating validation services\n", "Created deployment \"clover-jmeter-master\". (dry run)\nImage: opnfv/clover-jmeter-master:v9",
			"Created deployment \"clover-jmeter-slave\". (dry run)\n", "Created service \"clover-jmeter-slave\""}},
		{"create system validation --dry-run=client -o yaml --set validation.slaves=7 -n elsewhere", "", 0, []string{"replicas: 7", "clover-jmeter-slave.elsewhere.svc"}},
		{"create system clovisor --dry-run=client", "", 0, []string{
			"Creating clovisor services\nCreated clovisor namespace (dry run)\n", "Created daemonset \"clovisor\". (dry run)\nImage: opnfv/clovisor:", "Created service \"redis\""}},
		{"create system clovisor --dry-run=client -o yaml -n elsewhere", "", 0, []string{"name: clovisor-elsewhere", "redis.elsewhere.svc:6379"}},
		{"create system clovisor --dry-run=client -n clover-system", "", exitUsage, []string{"needs a namespace of its own"}},
		{"create system", "", exitUsage, []string{"which system? Want one of controller, controller nodeport"}},
		{"create system cassandra", "", exitUsage, []string{"system cassandra is not known; want one of"}},
		{"create", "", exitUsage, []string{"create what?"}},
		{"create system controller --dry-run=maybe", "", exitUsage, []string{"none, client, server"}},
		{"create system controller --dry-run=client -o xml", "", exitUsage, []string{"-o:"}},
		{"create system controller --dry-run=client --set controller.colour=red", "", exitUsage, []string{"controller", "colour"}},
		{"create system controller --dry-run=client -f absent.yaml", "", exitUsage, []string{"absent.yaml"}},
		{"create system controller --dry-run=client -f -", "a: b: c", exitUsage, []string{"-: "}},
		{"create system controller --dry-run=client --set x", "", exitUsage, []string{"--set x"}},
		{"delete system controller --dry-run=client", "", exitUsage, []string{"none or server"}},
		{"create system controller", "", exitUnreachable, []string{"no Kubernetes cluster is configured"}},
		{"create system controller --kubeconfig " + dead, "", exitUnreachable, []string{"(context kind) does not answer", "--context"}},
		{"delete system controller --kubeconfig " + dead, "", exitUnreachable, []string{"does not answer"}},
		{"diff system controller --kubeconfig " + dead, "", exitUnreachable, []string{"does not answer"}},
		{"get services --kubeconfig " + dead, "", exitUnreachable, []string{"does not answer"}},
		{"status --kubeconfig " + dead, "", exitUnreachable, []string{"does not answer"}},
		{"logs collector --kubeconfig " + dead, "", exitUnreachable, []string{"does not answer"}},
		{"get visibility --kubeconfig " + dead, "", exitUnreachable, []string{"the API server"}},
		{"create system controller --context prod --kubeconfig " + dead, "", exitUsage, []string{`context "prod" is not known; choose one with --context: kind`}},
		{"logs", "", exitUsage, []string{"logs of what?"}},
		{"logs collector -f -p --kubeconfig " + dead, "", exitUsage, []string{"give one"}},
		{"check -o xml", "", exitUsage, []string{"text or json"}},
		{"version --client", "", 0, []string{"cloverctl "}},
		{"version --client -o json", "", 0, []string{`"client":`}},
	} {
		code, out, errs := ctl(t, c.in, strings.Fields(c.args)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out+errs, want) {
				t.Errorf("%s: exit %d, want %d with %q\n%s%s", c.args, code, c.code, want, out, errs)
			}
		}
	}
}

func TestCheckWithoutAnything(t *testing.T) {
	noCluster(t)
	t.Setenv("CLOVER_CONTROLLER", "http://"+testutil.FreeAddr(t))
	code, out, errs := ctl(t, "", "check")
	if code != exitFailure || errs != "" || !strings.Contains(out, "- API server: no Kubernetes cluster is configured\n✗ controller: ") ||
		!strings.Contains(out, "    → Is it running") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = ctl(t, "", "check", "-o", "json")
	if code != exitFailure || !strings.Contains(out, `"ok": false`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	code, out, _ = ctl(t, "", "check", "--kubeconfig", deadCluster(t))
	if code != exitFailure || !strings.Contains(out, "✗ API server: the API server") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestCheckOfAController(t *testing.T) {
	noCluster(t)
	address, _ := controller(t)
	code, out, errs := ctl(t, "", "check", "--controller", address)
	for _, want := range []string{
		"✓ controller: " + address + " answers, version v9", "✗ Jaeger answers: none is configured", "- Prometheus answers: none is configured",
		"✓ spans arrive: 9 in the last 5m0s", "- Envoy sends spans: the spans are from the applications themselves",
	} {
		if code != exitFailure || !strings.Contains(out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", code, want, out, errs)
		}
	}
}

func TestAsAPluginOfKubectl(t *testing.T) {
	noCluster(t)
	var out, errs strings.Builder
	run := func(args ...string) int {
		out.Reset()
		errs.Reset()
		return Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Program: "/usr/local/bin/kubectl-clover"})
	}
	run("create", "system", "--help")
	if text := out.String(); !strings.Contains(text, "kubectl clover create system NAME [flags]") ||
		!strings.Contains(text, "  kubectl clover create system visibility --wait") || strings.Contains(text, "  cloverctl ") {
		t.Errorf("usage\n%s", text)
	}
	if code := run("create", "system", "nothing"); code != exitUsage || !strings.HasPrefix(errs.String(), "kubectl clover: ") {
		t.Errorf("exit %d, %s", code, errs.String())
	}
}

func TestCompletionOfSystems(t *testing.T) {
	noCluster(t)
	dead := deadCluster(t)
	for line, want := range map[string]string{
		"create system\x00":                                    "visibility\t",
		"create system controller\x00":                         "nodeport\t",
		"delete system\x00c":                                   "collector\t",
		"get services --kubeconfig " + dead + " --context\x00": "kind",
	} {
		head, last, _ := strings.Cut(line, "\x00")
		args := append(append([]string{"__complete"}, strings.Fields(head)...), last)
		if _, out, _ := ctl(t, "", args...); !strings.Contains(out, want) {
			t.Errorf("%q: %q, want %q", line, out, want)
		}
	}
}

func TestTokensAreNotSentInTheOpen(t *testing.T) {
	noCluster(t)
	file := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(file, []byte("secret\n"), 0o600))
	address, _ := controller(t)
	for args, c := range map[string]struct {
		code int
		want string
	}{
		"--controller http://clover.example --token x":                                          {exitUsage, "is not encrypted"},
		"--controller " + address + " --token-file " + file:                                     {0, "collector 44"},
		"--controller " + address + " --token x --token-file " + file:                           {exitUsage, "give one"},
		"--controller " + address + " --token-file " + file + ".absent":                         {exitUsage, "--token-file"},
		"--controller https://" + strings.TrimPrefix(address, "http://") + " --ca-file " + file: {exitUsage, "no certificate"},
	} {
		code, out, errs := ctl(t, "", append(strings.Fields(args), "get", "visibility", "status")...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", args, code, c.code, c.want, out, errs)
		}
	}
}
