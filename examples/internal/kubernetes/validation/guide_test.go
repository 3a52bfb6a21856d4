package validation

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// small keeps the JVMs of a test small.
const small = " --set validation.master.resources.limits.memory=384Mi --set validation.slave.resources.limits.memory=320Mi"

// requests are those of the guide's plan: 5 users × 2 URLs × 2 loops.
const requests = 20

// TestGuide goes through chapter 3.3 of the configuration guide. What the
// results say is what the proxy of the sample has counted.
func TestGuide(t *testing.T) {
	k := newKit(t)
	k.install()
	before := k.objects()
	k.types("create system validation -t test"+small, "Creating validation services\n",
		`Created deployment "clover-jmeter-master".`, "Image: opnfv/clover-jmeter-master:test", `Created deployment "clover-jmeter-slave".`, `Created service "clover-jmeter-slave"`)
	k.types("status --wait -n " + namespace)
	k.ready("clover-jmeter-slave", 3)

	k.answers()
	k.guidePlan()
	k.types("create testplan -f jmeter_testplan.yaml")
	k.runs("start testplan", requests)
	k.results(requests)
	k.runs("start testplan -s 3", 3*requests)
	k.results(3 * requests)
	k.loses()
	k.keeps()

	k.types("delete system validation", "Deleting validation services\n", `Deleted deployment "clover-jmeter-master".`, `Deleted service "clover-jmeter-slave"`)
	k.eventually(func() (bool, string) {
		var left []string
		for name := range k.objects() {
			if !before[name] {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		return len(left) == 0, strings.Join(left, "\n")
	})
}

// install makes the controller, where users reach it, and the sample.
func (k *kit) install(flags ...string) {
	k.Helper()
	more := strings.Join(append([]string{""}, flags...), " ")
	k.types("create system controller -t test" + more)
	k.types("create system controller nodeport")
	k.types("create system sdc -t test --wait" + more)
	k.types("status --wait")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
}

// guidePlan writes the file of the guide, whose users begin within a second
// here and not a minute.
func (k *kit) guidePlan() {
	k.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "examples", "cloverctl", "yaml", "jmeter_testplan.yaml"))
	k.check(err)
	ramp := regexp.MustCompile(`ramp_time: \d+`)
	if !ramp.Match(text) {
		k.Fatalf("no ramp_time in %s", text)
	}
	k.write("jmeter_testplan.yaml", string(ramp.ReplaceAll(text, []byte("ramp_time: 1"))))
}

// runs runs a test to its end, and holds that the proxy has got as many
// requests.
func (k *kit) runs(line string, n int) {
	k.Helper()
	was := k.served("proxy-access-control")
	k.types(line + " --wait")
	if got := k.served("proxy-access-control") - was; got != n {
		k.Errorf("%s: the proxy has answered %d requests, want %d", line, got, n)
	}
}

// results reads those of the newest run, in the forms of the guide.
func (k *kit) results(n int) {
	k.Helper()
	last := regexp.MustCompile(fmt.Sprintf(`(?m)%d in 00:\d\d:\d\d =.*Err: +0 \(0\.00%%\)$`, n))
	for _, line := range []string{"get testresult", "get testresult log"} {
		if out := k.types(line); !last.MatchString(strings.TrimSpace(out)) {
			k.Errorf("%s: %s, want a summary of %d requests", line, out, n)
		}
	}
	line := regexp.MustCompile(`(?m)^\d{13},\d+,url[12],200,OK,[^,\n]+,text,true,,`)
	if got := len(line.FindAllString(k.types("get testresult detail"), -1)); got != n {
		k.Errorf("get testresult detail: %d lines of requests, want %d", got, n)
	}
	counts := map[string]int64{}
	for _, l := range k.report().Labels {
		counts[l.Label] = l.Count
	}
	if want := map[string]int64{"url1": int64(n / 2), "url2": int64(n / 2)}; !maps.Equal(counts, want) {
		k.Errorf("the report says %v, want %v", counts, want)
	}
}

// numbers is what is read of a report.
type numbers struct {
	Labels []struct {
		Label string
		Count int64
	}
	Notes []string
}

func (k *kit) report() (n numbers) {
	k.Helper()
	out := k.types("get testresult -o json")
	k.check(json.Unmarshal([]byte(out), &n))
	return n
}

// answers waits until the controller reaches the master.
func (k *kit) answers() {
	k.Helper()
	k.eventually(func() (bool, string) {
		code, out, errs := k.run(k.Context(), "get testplan")
		return code == 0, errs + out
	})
}

// loses kills a slave in the middle of a run: the run says so, and what its
// slave had done, and the others go on.
func (k *kit) loses() {
	k.Helper()
	k.write("long.yaml", "load_spec: {num_threads: 1, loops: 0, duration: 40}\nurl_list:\n- {name: url1, url: \"http://proxy-access-control.default:9180\"}\n")
	k.types("create testplan -f long.yaml --name long")
	slaves := k.pods("clover-jmeter-slave")
	k.types("start testplan long -s 3")
	var dead corev1.Pod
	k.eventually(func() (bool, string) { // until each has begun; the last one goes on longest
		_, out, errs := k.run(k.Context(), "get testresult detail")
		done := map[string]int{}
		for _, p := range slaves {
			done[p.Name] = strings.Count(out, ","+p.Status.PodIP+":1099-")
		}
		dead = slices.MinFunc(slaves, func(a, b corev1.Pod) int { return done[a.Name] - done[b.Name] })
		return done[dead.Name] > 0, fmt.Sprint(done, errs)
	})
	k.kill(dead.Name)
	k.eventually(func() (bool, string) {
		_, out, errs := k.run(k.Context(), "get testruns")
		return strings.Contains(out, "finished") && !strings.Contains(out, "running"), out + errs
	})
	report := k.report()
	want := regexp.MustCompile(`slave ` + regexp.QuoteMeta(dead.Status.PodIP) + `:1099 has died; [1-9]\d* of its results had arrived`)
	if !slices.ContainsFunc(report.Notes, want.MatchString) {
		k.Errorf("the notes are %q, want %s", report.Notes, want)
	}
	k.ready("clover-jmeter-slave", 3, dead.Name)
}

// keeps kills the master: what was measured is there when it is back.
func (k *kit) keeps() {
	k.Helper()
	const detail, runs = "get testresult detail", "get testruns -o json"
	before := map[string]string{}
	for _, line := range []string{detail, runs} {
		code, out, errs := k.run(k.Context(), line)
		if code != 0 || out == "" {
			k.Fatalf("cloverctl %s: exit code %d, %s", line, code, errs)
		}
		before[line] = out
	}
	pod := k.pods("clover-jmeter-master")[0].Name
	k.kill(pod)
	k.ready("clover-jmeter-master", 1, pod)
	for line, want := range before {
		k.eventually(func() (bool, string) { // until the controller has found the new pod
			_, out, errs := k.run(k.Context(), line)
			return out == want, fmt.Sprintf("cloverctl %s: %s%d bytes, before there were %d", line, errs, len(out), len(want))
		})
	}
}
