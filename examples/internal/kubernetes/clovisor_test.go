package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opnfv/clover/clovisor"
	"github.com/opnfv/clover/internal/podtunnel"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/internal/testutil/images"
)

const clovisorNamespace = "clovisor"

// agent is whom the load says to be, which no probe does.
const agent = "curl/8.14.1"

// TestClovisor has the sample, which reports nothing itself, traced from the
// kernel: what Clover counts is what each service has counted.
func TestClovisor(t *testing.T) {
	k := newKit(t)
	for _, a := range images.Clover(k, repository, "clovisor") {
		k.cluster.LoadImage(k, a.File)
	}
	start := time.Now()
	k.types("cloverctl create system visibility -t test --wait")
	k.types("cloverctl create system sdc -t test --wait")
	k.types("cloverctl create system clovisor -t test --wait", "Creating clovisor services\nCreated clovisor namespace\n",
		lines(`Created daemonset "clovisor".`, "Image: opnfv/clovisor:test"), `Created service "redis"`)
	k.types("cloverctl status -n clovisor", "daemonset/clovisor")
	follow := k.follow("cloverctl observe -f --source kernel -o json")
	k.traced(sampleApps...)
	k.clovisorCounts()
	k.notOpen()
	k.eventually(func() (bool, string) {
		return strings.Contains(follow.out.String(), `"clover-server1.default"`), follow.errors.String()
	})
	follow.stop()
	k.clovisorRedis()
	k.clovisorPodGoes()
	granted := k.granted()
	maps.DeleteFunc(granted, func(account string, _ map[string]bool) bool {
		return !strings.HasPrefix(account, clovisorNamespace+":")
	})
	k.types("cloverctl delete system clovisor", "Deleting clovisor services\n", `Deleted daemonset "clovisor".`)
	if k.hasNamespace(k.Context(), clovisorNamespace) {
		k.Errorf("namespace %s is left", clovisorNamespace)
	}
	k.holdsRights(start, granted)
}

// kernelLedger is what Clovisor accounts for.
func (k *kit) kernelLedger() (l clovisor.Ledger) {
	k.Helper()
	k.check(json.Unmarshal(k.askClovisor("ledger"), &l))
	return l
}

// askClovisor reads what Clovisor says of itself, on its node's loopback.
func (k *kit) askClovisor(what string) []byte {
	k.Helper()
	pod := k.pod(clovisorNamespace, "app=clovisor")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return podtunnel.Dial(ctx, k.config, k.api.CoreV1().RESTClient(), pod.Namespace, pod.Name, 9466)
	}}
	req, err := http.NewRequestWithContext(k.Context(), http.MethodGet, "http://localhost/"+what, http.NoBody)
	k.check(err)
	res, err := transport.RoundTrip(req)
	k.check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	k.check(err)
	if res.StatusCode != http.StatusOK {
		k.Fatalf("/%s: %s: %s", what, res.Status, body)
	}
	return body
}

// notOpen holds that nobody on the network is told what Clovisor has seen.
func (k *kit) notOpen() {
	k.Helper()
	pod := k.pod(clovisorNamespace, "app=clovisor")
	if raw, err := k.api.CoreV1().Pods(clovisorNamespace).ProxyGet("http", pod.Name, "9466", "ledger", nil).DoRaw(k.Context()); err == nil {
		k.Errorf("at the node's address /ledger answers:\n%s", raw)
	}
}

// traced waits until something was seen of a pod of each app.
func (k *kit) traced(apps ...string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		l := k.kernelLedger()
		for _, app := range apps {
			if !slices.ContainsFunc(l.Entries, func(e clovisor.Entry) bool { return strings.HasPrefix(e.Pod, app+"-") && e.Packets > 0 }) {
				return false, fmt.Sprintf("nothing of %s: %+v", app, l)
			}
		}
		return true, ""
	})
}

// clovisorCounts sends requests through the sample and compares what Clover
// counts of what the kernel has seen with what the services have counted.
func (k *kit) clovisorCounts() {
	k.Helper()
	tally := k.sendLoad("load", "--rate", "60", "--requests", "200", "--seed", "5", "--agent", agent)
	served := map[string]int{}
	for _, app := range sampleApps {
		if n := k.metric(app, "clover_sdc_requests_total{"); n > 0 {
			served[app+"."+sampleNamespace] = n
		}
	}
	k.eventually(func() (bool, string) {
		counted := k.counts("service", "user_agent="+agent)
		return maps.Equal(counted, served), fmt.Sprintf("counted %v, served %v, %+v", counted, served, k.kernelLedger())
	})
	status := map[string]int{}
	for code, n := range tally.ByStatus {
		status[fmt.Sprint(code)] = n
	}
	if got := k.counts("status", "(service=proxy-access-control)and(user_agent="+agent+")"); !maps.Equal(got, status) {
		k.Errorf("by status %v, the tally has %v", got, status)
	}
	l := k.kernelLedger()
	for _, e := range l.Entries {
		if e.Balance() != 0 || len(e.Dropped) > 0 || e.LostBytes > 0 {
			k.Errorf("the ledger has %+v", e)
		}
	}
	k.types("cloverctl get visibility ledger", "clovisor@"+l.Node, " http")
}

// clovisorRedis configures Clovisor by the keys of 2019, without a restart.
func (k *kit) clovisorRedis() {
	k.Helper()
	secret, err := k.api.CoreV1().Secrets(clovisorNamespace).Get(k.Context(), "clovisor-redis", metav1.GetOptions{})
	k.check(err)
	c := redis.NewClient(&redis.Options{Addr: k.nodePort(clovisorNamespace, "redis", 6379), Password: string(secret.Data["password"])})
	defer func() { k.check(c.Close()) }()
	k.eventually(func() (bool, string) { // until the port of the node leads there
		err := c.LPush(k.Context(), "clovisor_labels", "default:app:snort-ids").Err()
		return err == nil, fmt.Sprint(err)
	})
	k.targets(1)
	k.clovisorLabel(c)
	k.check(c.Del(k.Context(), "clovisor_labels").Err())
	k.targets(10) // the sample's, and its Redis
	k.clovisorPlugin(c)
	k.check(k.api.CoreV1().Services(clovisorNamespace).Delete(k.Context(), "test-redis", metav1.DeleteOptions{}))
}

// clovisorLabel has a pod followed by a label that it gets and loses, and says
// how long that took. The limit is generous: the machine may be busy.
func (k *kit) clovisorLabel(c *redis.Client) {
	k.Helper()
	k.check(c.Del(k.Context(), "clovisor_labels").Err())
	k.check(c.LPush(k.Context(), "clovisor_labels", "default:clover-test:traced").Err())
	k.targets(0)
	pod := k.pod(sampleNamespace, "app=snort-ids").Name
	for _, step := range []struct {
		label string // in JSON
		want  int
	}{{`"traced"`, 1}, {"null", 0}} {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"clover-test":%s}}}`, step.label)
		start := time.Now()
		_, err := k.api.CoreV1().Pods(sampleNamespace).Patch(k.Context(), pod, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		k.check(err)
		k.targets(step.want)
		k.Logf("label %s: followed after %s", step.label, time.Since(start))
	}
}

// clovisorPlugin brings a plug-in into Clovisor as the guide of 2019 does. It
// is none, which the log says.
func (k *kit) clovisorPlugin(c *redis.Client) {
	k.Helper()
	k.write("wrong.wasm", "this is no module")
	pod := k.pod(clovisorNamespace, "app=clovisor").Name
	kubectl := filepath.Join(filepath.Dir(testutil.Require(k, components.Kubernetes())), "kubectl")
	cmd := exec.CommandContext(k.Context(), kubectl, "cp", filepath.Join(k.home, "wrong.wasm"), clovisorNamespace+"/"+pod+":/proto/wrong.wasm")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.cluster.Kubeconfig())
	if out, err := cmd.CombinedOutput(); err != nil {
		k.Fatalf("kubectl cp: %v: %s", err, out)
	}
	k.check(c.HSet(k.Context(), "clovisor_proto_cfg", "wrong", "/proto/wrong.wasm").Err())
	k.check(c.Publish(k.Context(), "clovisor_proto_plugin_cfg_chan", "wrong").Err())
	k.eventually(func() (bool, string) {
		a := k.run("cloverctl logs clovisor -n " + clovisorNamespace)
		return strings.Contains(a.out, "a plug-in is not loaded") && strings.Contains(a.out, "no plug-in of Clovisor"), a.all()
	})
}

// targets waits until so many interfaces are traced.
func (k *kit) targets(want int) {
	k.Helper()
	k.eventually(func() (bool, string) {
		raw := k.askClovisor("metrics")
		return strings.Contains(string(raw), fmt.Sprintf("\nclovisor_targets %d\n", want)), fmt.Sprintf("want %d targets:\n%s", want, raw)
	})
}

// clovisorPodGoes replaces a pod: the new one is traced.
func (k *kit) clovisorPodGoes() {
	k.Helper()
	k.replaced(sampleNamespace, "app=clover-server2")
	name := k.pod(sampleNamespace, "app=clover-server2").Name
	k.traced(strings.TrimSuffix(name, name[strings.LastIndexByte(name, '-'):]))
	k.eventually(func() (bool, string) {
		l := k.kernelLedger()
		return slices.ContainsFunc(l.Entries, func(e clovisor.Entry) bool { return e.Pod == name && e.Packets > 0 }), fmt.Sprintf("nothing of %s: %+v", name, l)
	})
}
