package master_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/master"
	"github.com/opnfv/clover/jmeter/process"
)

// TestTargets holds which hosts tests may reach.
func TestTargets(t *testing.T) {
	service := func(_ context.Context, host string) (bool, error) {
		return host == "proxy.default" || host == "kubernetes.default.svc" || host == "rebound.default", nil
	}
	lookup := func(_ context.Context, host string) ([]net.IPAddr, error) {
		if host == "rebound.default" {
			return []net.IPAddr{{IP: net.ParseIP("169.254.169.254")}}, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}
	m, _ := open(t, master.Options{
		Dir: t.TempDir(), JMeter: &process.JMeter{Home: "nowhere"},
		Targets: master.Targets{Allow: []string{"10.0.0.0/8", "*.example.org"}, Deny: []string{"10.96.0.1", "kubernetes.default*"}, Service: service, Lookup: lookup},
	})
	for host, allowed := range map[string]bool{
		"proxy.default": true, "10.1.2.3": true, "web.example.org": true,
		"other.default": false, "example.com": false, "10.96.0.1": false, "kubernetes.default.svc": false,
		"169.254.169.254": false, "[fd00:ec2::254]": false, "127.0.0.1": false, "localhost": false, "rebound.default": false,
	} {
		_, err := m.SetPlan(master.Plan{Text: "url_list: [{name: a, url: 'http://" + host + "/'}]"})
		if err == nil {
			_, err = m.Start(t.Context(), master.StartOptions{Engine: master.JMeter, Queue: true})
		}
		if (err == nil) != allowed || err != nil && !errors.Is(err, jmeter.ErrDenied) {
			t.Errorf("%s: %v, want allowed: %v", host, err, allowed)
		}
		if allowed {
			_, _ = m.Stop("", true)
		}
	}
	for name, text := range map[string]string{
		"a variable":  "variables: {h: evil}\nurl_list: [{name: a, url: 'http://${h}/'}]",
		"functions":   "functions: true\nurl_list: [{name: a, url: 'http://10.0.0.1/'}]",
		"files":       "url_list: [{name: a, url: 'http://10.0.0.1/', method: POST, body_file: /etc/passwd}]",
		"other files": "data: [{file: ../x.csv}]\nurl_list: [{name: a, url: 'http://10.0.0.1/'}]",
	} {
		if _, err := m.SetPlan(master.Plan{Text: text}); !errors.Is(err, jmeter.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatCannotBegin holds that what is wrong is told at once, with what to do.
func TestWhatCannotBegin(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir()})
	if _, err := m.Start(t.Context(), master.StartOptions{}); !errors.Is(err, jmeter.ErrNotFound) || !strings.Contains(err.Error(), "create testplan") {
		t.Error(err)
	}
	plan(t, m, w, "", shortPlan)
	for want, o := range map[string]master.StartOptions{
		"no JMeter":       {Engine: master.JMeter},
		"has no JMeter":   {Slaves: 3},
		"slaves are":      {Engine: master.Builtin, Slaves: 1},
		"engine \"x\"":    {Engine: "x"},
		"run ID":          {RunID: "../x"},
		"another name":    {RunID: master.Latest},
		"-1 slaves":       {Slaves: -1},
		"p95":             {Criteria: []string{"p95 < 5"}},
		"a limit of":      {Limit: -1},
		"there is no tes": {Plan: "nothing"},
		"plan name":       {Plan: "../x"},
	} {
		if _, err := m.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if runs, _ := m.Runs(); len(runs) != 0 {
		t.Error(runs)
	}
	withSlaves, _ := open(t, master.Options{
		Dir: t.TempDir(), JMeter: &process.JMeter{Home: "nowhere"}, Plain: true,
		Slaves: func(context.Context) ([]string, error) { return []string{"127.0.0.1:1"}, nil },
	})
	plan(t, withSlaves, w, "", shortPlan)
	if _, err := withSlaves.Start(t.Context(), master.StartOptions{Slaves: 3}); !errors.Is(err, master.ErrNoSlaves) || !strings.Contains(err.Error(), "1 are known") {
		t.Error(err)
	}
}

// TestPlansWithFiles gives plans with the files that they read, with too many
// and with too few.
func TestPlansWithFiles(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir()})
	text := strings.ReplaceAll("data: [{file: sub/users.csv, variables: [name]}]\nload_spec: {loops: 2}\nurl_list: [{name: a, url: 'ADDR/${name}'}]", "ADDR", w.URL)
	users := []byte("ann\nbob\n")
	for want, files := range map[string]map[string][]byte{
		"which is not given": nil,
		"does not read":      {"sub/users.csv": users, "other": nil},
		"at most":            {"sub/users.csv": make([]byte, master.MaxPlanBytes)},
	} {
		if _, err := m.SetPlan(master.Plan{Text: text, Files: files}); !errors.Is(err, jmeter.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := m.SetPlan(master.Plan{Text: text, Files: map[string][]byte{"sub/users.csv": users}})
	check(t, err)
	run := reaches(t, m, start(t, m, master.StartOptions{}).ID, master.Finished)
	if run.Numbers.Count != 2 || run.Numbers.Errors != 0 || !run.Passed {
		t.Errorf("%+v", run)
	}
	if _, err := m.SetPlan(master.Plan{Text: "load_spec: {num_threads: 1000000}\nurl_list: [{url: 'http://a'}]"}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Error(err)
	}
}

// TestAFullDisk has the results of a run go to a disk that is full: the run
// ends by itself, and says how many of its results are missing there.
func TestAFullDisk(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Logf("%v: this system has no disk that is always full", err)
		return
	}
	w, dir := newWeb(t), t.TempDir()
	m, _ := open(t, master.Options{Dir: dir})
	plan(t, m, w, "held", heldPlan)
	plan(t, m, w, "long", longPlan)
	first := start(t, m, master.StartOptions{Plan: "held"}).ID
	id := start(t, m, master.StartOptions{Plan: "long", Queue: true}).ID
	check(t, os.Symlink(full, filepath.Join(dir, "runs", id, "results.jtl")))
	close(w.release)
	reaches(t, m, first, master.Finished)
	run := reaches(t, m, id, master.Failed)
	if run.Numbers.Count == 0 || !strings.Contains(run.Problem, "results are counted but not written") || !strings.Contains(run.Problem, "no space left") {
		t.Errorf("%+v", run)
	}
	if run.Numbers.Count != w.requests()-1 { // the one that was held
		t.Errorf("%d counted, %d have arrived", run.Numbers.Count, w.requests()-1)
	}
}
