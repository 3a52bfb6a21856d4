package process_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/process"
	"github.com/opnfv/clover/jmeter/runnertest"
)

// TestRemote runs a plan on two slaves with keys of our own. One of them is
// killed when it has done a part of it.
func TestRemote(t *testing.T) {
	t.Parallel()
	home := testutil.JMeter(t)
	keys, err := process.MakeKeys(t.Context(), "", filepath.Join(t.TempDir(), "rmi.p12"))
	if err != nil {
		t.Fatal(err)
	}
	program := process.JMeter{Home: home, JVMArgs: fast, Log: t.Output()}
	slaves, kill := startSlaves(t, program, keys)
	remote := &process.Remote{JMeter: program, Slaves: slaves, Host: "127.0.0.1", Keys: keys}
	recorder := &runnertest.Recorder{}
	server := httptest.NewServer(recorder)
	defer server.Close()
	parse := func(text string) *jmeter.Plan {
		plan, err := jmeter.ParsePlan([]byte(strings.ReplaceAll(text, "ADDR", server.URL)))
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plan := parse(`
groups:
- {name: all, load_spec: {num_threads: 2, loops: 5}, url_list: [{name: a, url: ADDR/remote/a}, {name: b, url: ADDR/remote/b}]}
- {name: long, load_spec: {num_threads: 1, loops: 80}, url_list: [{name: slow, url: ADDR/long/slow}]}
`)
	slow, quick := map[string]int{}, map[string]int{}
	var once sync.Once
	results, outcome, err := jmeter.Run(t.Context(), remote, plan, jmeter.RunOptions{RunID: "r-1", Sink: func(x *jmeter.Sample) error {
		host, _, _ := strings.Cut(x.Thread, "-")
		if x.Label == "slow" {
			slow[host]++
		} else {
			quick[host]++
		}
		if slow[slaves[1]] >= 2 && quick[slaves[1]] == 20 {
			once.Do(kill[1])
		}
		return nil
	}}, jmeter.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	records := recorder.Take("remote")
	if n := results.Label("a").Count + results.Label("b").Count; len(records) != 40 || n != 40 || results.All.Errors > 0 {
		t.Errorf("%d results, %d errors and %d requests, want 40 and no errors", n, results.All.Errors, len(records))
	}
	for _, r := range records {
		if r.Header.Get("X-Clover-Run-Id") != "r-1" {
			t.Errorf("the header of the run is %q", r.Header.Get("X-Clover-Run-Id"))
			break
		}
	}
	if len(outcome.Notes) != 1 || !strings.Contains(outcome.Notes[0], slaves[1]+" has died; ") || slow[slaves[0]] < 5 {
		t.Errorf("%v, %q", slow, outcome.Notes)
	}
}

func TestRemoteWantsKeys(t *testing.T) {
	plan, err := jmeter.ParsePlan([]byte("url_list: [{name: a, url: http://a/}]"))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&process.Remote{Slaves: []string{"a:1"}}).Check(plan); !errors.Is(err, jmeter.ErrUnsupported) {
		t.Error(err)
	}
	if err := (&process.Slave{Addr: "127.0.0.1:0"}).Run(t.Context()); !errors.Is(err, jmeter.ErrInvalid) {
		t.Error(err)
	}
}

// startSlaves starts two slaves. Each ends when it is killed, or with the test.
func startSlaves(t *testing.T, program process.JMeter, keys process.Keys) (slaves []string, kill []context.CancelFunc) {
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	for range 2 {
		s := &process.Slave{JMeter: program, Addr: testutil.FreeAddr(t), Keys: keys, Dir: t.TempDir()}
		ctx, cancel := context.WithCancel(context.Background())
		slaves, kill = append(slaves, s.Addr), append(kill, cancel)
		t.Cleanup(cancel)
		running.Go(func() {
			if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("slave: %v", err)
			}
		})
	}
	for _, s := range slaves {
		testutil.Eventually(t, 60*time.Second, func() (bool, string) { return process.Reachable(t.Context(), s), "slave " + s })
	}
	return slaves, kill
}
