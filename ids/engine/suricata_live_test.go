package engine_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/internal/testutil"
)

const (
	scanRule = `alert http any any -> any any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; flow:established,to_server; http.user_agent; content:"asafaweb.com"; classtype:trojan-activity; sid:10000003; rev:1;)` + "\n"
	pingRule = `alert icmp any any -> any any (msg:"ping"; itype:8; sid:10000002; rev:1;)` + "\n"
	badRule  = `alert http any any -> any any (msg:"x"; http.user_agentt; content:"x"; sid:10000009; rev:1;)` + "\n"
)

// bench is a Suricata that looks at the link of a namespace in which a web
// server answers.
type bench struct {
	*engine.Suricata
	ns  *testutil.NetNamespace
	url string
}

func start(t *testing.T, o engine.SuricataOptions) *bench {
	t.Helper()
	return startAt(t, o, false)
}

// startAt has the engine at this machine's end of the link, or as a rule at
// the other, like the engine of a pod.
func startAt(t *testing.T, o engine.SuricataOptions, host bool) *bench {
	t.Helper()
	program := testutil.Suricata(t)
	ns := testutil.Namespace(t)
	l := ns.Listen(80)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	home := filepath.Join(t.TempDir(), "s")
	o.Program = append(ns.Exec(), program.Path)
	o.Interfaces = []string{ns.Interface}
	if host {
		o.Program, o.Interfaces = []string{program.Path}, []string{ns.HostInterface}
	}
	o.Socket = filepath.Join(socketDir(t), "s")
	o.Logger = testutil.Logger(t)
	s, err := engine.NewSuricata(home, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
		<-served
	})
	b := &bench{Suricata: s, ns: ns, url: "http://" + ns.Addr.String() + "/"}
	if !o.Stopped {
		b.await(t, true)
	}
	return b
}

// socketDir is short, unlike the folders of tests.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (b *bench) await(t *testing.T, running bool) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		s := b.State()
		return s.Running == running, s.String() + " " + s.LastExit
	})
}

// request sends one request on a connection of its own.
func (b *bench) request(t *testing.T, agent string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", agent)
	r.Header.Set("X-Forwarded-For", "198.51.100.7, 203.0.113.9")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// alerts waits until the engine has written an alert of that rule.
func (b *bench) alerted(t *testing.T, sid string) {
	t.Helper()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		data, err := os.ReadFile(b.EVEFile())
		return err == nil && strings.Contains(string(data), `"signature_id":`+sid), string(data)
	})
}

func TestSuricataChangesRulesLive(t *testing.T) {
	b := start(t, engine.SuricataOptions{})
	if c, err := b.Replace(t.Context(), []byte(scanRule)); err != nil || c != (engine.Counts{Loaded: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	pid := b.State().PID
	b.request(t, "asafaweb.com")
	b.alerted(t, "10000003")
	if c, err := b.Replace(t.Context(), []byte(scanRule+pingRule)); err != nil || c.Loaded != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	b.ns.Ping()
	b.alerted(t, "10000002")

	_, err := b.Replace(t.Context(), []byte(scanRule+badRule+pingRule+pingRule))
	var refused *engine.RuleError
	if !errors.As(err, &refused) || !errors.Is(err, engine.ErrRules) || len(refused.Problems) != 2 {
		t.Fatalf("broken rules: %v", err)
	}
	if p := refused.Problems[0]; p.Line != 2 || p.Message != "unknown rule keyword 'http.user_agentt'." || !strings.Contains(p.Rule, "10000009") {
		t.Errorf("%+v", p)
	}
	if p := refused.Problems[1]; p.Line != 4 || !strings.Contains(p.Message, "Duplicate signature") {
		t.Errorf("%+v", p)
	}
	long := strings.Replace(scanRule, "ASafaWeb", strings.Repeat("a", 8192-len(scanRule)+1+len("ASafaWeb")), 1)
	if _, err := b.Replace(t.Context(), []byte(long)); !errors.Is(err, engine.ErrRules) || !strings.Contains(err.Error(), "line 1: the rule has 8192 bytes") {
		t.Errorf("a rule that is too long: %v", err)
	}
	if now, err := b.Current(); err != nil || string(now) != scanRule+pingRule {
		t.Errorf("after the refusal: %s, %v", now, err)
	}
	if c, err := b.Counts(t.Context()); err != nil || c != (engine.Counts{Loaded: 2}) {
		t.Errorf("%+v, %v", c, err)
	}
	if err := os.Truncate(b.EVEFile(), 0); err != nil {
		t.Fatal(err)
	}
	b.request(t, "asafaweb.com")
	b.alerted(t, "10000003")
	if s := b.State(); s.PID != pid || s.Restarts != 0 || !strings.HasPrefix(s.Version, "7.") {
		t.Errorf("the engine was to run on: %+v, was %d", s, pid)
	}
	if err := b.Health(t.Context()); err != nil {
		t.Error(err)
	}
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		s, err := b.Stats(t.Context())
		return err == nil && s.Packets > 0 && s.Alerts >= 3 && s.Rules.Loaded == 2, errText(err)
	})
}

func errText(err error) string {
	if err == nil {
		return "not yet counted"
	}
	return err.Error()
}

// TestSuricataReadsTheLongestRule holds that not one byte less is taken than
// the engine can read, and that it does not look at what its filter leaves out.
func TestSuricataReadsTheLongestRule(t *testing.T) {
	t.Parallel()
	b := start(t, engine.SuricataOptions{Filter: "icmp"})
	long := strings.Replace(scanRule, "ASafaWeb", strings.Repeat("a", 8191-len(scanRule)+1+len("ASafaWeb")), 1)
	if c, err := b.Replace(t.Context(), []byte(long+pingRule)); err != nil || c.Loaded != 2 || len(long) != 8191+1 {
		t.Errorf("%+v, %v, %d bytes with the end of the line", c, err, len(long))
	}
	b.request(t, "asafaweb.com")
	b.ns.Ping()
	b.alerted(t, "10000002")
	if text, err := os.ReadFile(b.EVEFile()); err != nil || strings.Contains(string(text), "10000003") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestSuricataStopsAndStarts(t *testing.T) {
	t.Parallel()
	b := start(t, engine.SuricataOptions{Stopped: true})
	if c, err := b.Replace(t.Context(), []byte(scanRule)); err != nil || c.Loaded != 1 {
		t.Fatalf("while stopped: %+v, %v", c, err)
	}
	if err := b.Health(t.Context()); !errors.Is(err, engine.ErrNotRunning) {
		t.Errorf("health %v", err)
	}
	if _, err := b.Counts(t.Context()); !errors.Is(err, engine.ErrNotRunning) {
		t.Errorf("counts %v", err)
	}
	s, err := b.Start(t.Context())
	if err != nil || !s.Running || s.Started() != "Started Suricata on pid: "+itoa(s.PID) {
		t.Fatalf("%+v, %v", s, err)
	}
	b.request(t, "asafaweb.com")
	b.alerted(t, "10000003")

	p, err := os.FindProcess(s.PID)
	if err != nil || p.Kill() != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		now := b.State()
		return now.Running && now.PID != s.PID && now.Restarts == 1 && strings.Contains(now.LastExit, "killed"), now.String()
	})
	b.request(t, "asafaweb.com")
	stopped, err := b.Stop(t.Context())
	if err != nil || stopped.Stopped() != "Stopped Suricata on pid: "+itoa(stopped.PID)+", Cleared Suricata logs" || b.State().Running {
		t.Fatalf("%+v, %v", stopped, err)
	}
	if _, err := os.Stat(b.EVEFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
}
