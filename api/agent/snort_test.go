package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/ids/starter"
)

// refusing is an engine that refuses rules with a word in them; the real
// engine is in the tests of package engine and of the sample.
type refusing struct {
	engine.Engine
	word  string
	rules []byte
	seen  func() // is called while rules are tested
}

func (r *refusing) Replace(_ context.Context, rules []byte) (engine.Counts, error) {
	if r.seen != nil {
		r.seen()
	}
	if strings.Contains(string(rules), r.word) {
		return engine.Counts{}, &engine.RuleError{Engine: "test", Problems: []engine.RuleProblem{{Line: 1, Message: "no " + r.word}}}
	}
	r.rules = rules
	return engine.Counts{Loaded: strings.Count(string(rules), "sid:")}, nil
}

func (r *refusing) Current() ([]byte, error) { return r.rules, nil }

func (r *refusing) State() engine.State { return engine.State{Name: "test"} }

func addRule(t *testing.T, s *agent.Snort, sid, rev, msg string) (*snort.AddRulesResponse, error) {
	t.Helper()
	return s.AddRules(t.Context(), &snort.AddRulesRequest{Sid: sid, Rev: rev, Protocol: "tcp", Msg: msg, Content: `"a"; sid:5; `})
}

func TestRulesAreAddedOrNothingIs(t *testing.T) {
	base, _ := starter.Rules(ids.Suricata)
	e := &refusing{word: "nonsense"}
	s := &agent.Snort{Engine: e, Base: base, LocalFile: filepath.Join(t.TempDir(), "local.rules")}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, err := addRule(t, s, "10000003", "001", "a scan")
	if err != nil || res.GetMessage() != "Added to local rules" || int(res.GetRules()) != base.Len()+1 || strings.Contains(res.GetRule(), "sid:5;") || !strings.Contains(res.GetRule(), "sid:10000003;") {
		t.Fatalf("%v, %v", res, err)
	}
	kept := file(t, s.LocalFile)
	e.seen = func() {
		if file(t, s.LocalFile) != kept {
			t.Error("a rule is in the file before the engine has taken it")
		}
	}
	if _, err := addRule(t, s, "10000004", "1", "nonsense"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no nonsense") {
		t.Errorf("refused: %v", err)
	}
	e.seen = nil
	if file(t, s.LocalFile) != kept || strings.Contains(string(e.rules), "nonsense") {
		t.Error("a refused rule is kept")
	}
	if res, err := addRule(t, s, "10000003", "2", "another scan"); err != nil || int(res.GetRules()) != base.Len()+1 {
		t.Errorf("a later revision: %v, %v", res, err)
	}
	if _, err := addRule(t, s, "10000003", "1", "a scan"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "later revision 2") {
		t.Errorf("an earlier revision: %v", err)
	}
	if _, err := addRule(t, s, "x", "1", "a scan"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "sid") {
		t.Errorf("a wrong field: %v", err)
	}
	before := string(e.rules)
	s.LocalFile = filepath.Join(t.TempDir(), "missing", "local.rules")
	if _, err := addRule(t, s, "10000005", "1", "not kept"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a rule that cannot be kept: %v", err)
	}
	if string(e.rules) != before {
		t.Error("a rule that cannot be kept is in force")
	}
}

func file(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
