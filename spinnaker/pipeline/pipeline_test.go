package pipeline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

func deck(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/deck.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestNothingIsLost reads and writes a pipeline with stages of all types and
// fields that the package does not know.
func TestNothingIsLost(t *testing.T) {
	p, err := pipeline.Read(deck(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(deck(t), &want), json.Unmarshal(out, &got)); err != nil {
		t.Fatal(err)
	}
	if missing := subset("", want, got); missing != "" {
		t.Error("lost:", missing)
	}
	for i, step := range []pipeline.Step{
		&pipeline.BakeManifest{}, &pipeline.ManualJudgment{}, &pipeline.DeployManifest{}, &pipeline.Wait{},
		&pipeline.CheckPreconditions{}, &pipeline.Webhook{}, &pipeline.RunJob{}, &pipeline.Unknown{},
	} {
		if got := p.Stages[i].Do; reflect.TypeOf(got) != reflect.TypeOf(step) {
			t.Errorf("stage %d is %T, want %T", i, got, step)
		}
	}
	order, err := p.Order()
	if err != nil || fmt.Sprint(order) != "[1 2 3 4 5 6 7 8]" {
		t.Errorf("order %v, %v", order, err)
	}
}

// subset returns the first place of want that got lacks. Empty values may be
// left out.
func subset(at string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if s := subset(at+"."+k, v, g[k]); s != "" {
				return s
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return at
		}
		for i := range w {
			if s := subset(fmt.Sprintf("%s[%d]", at, i), w[i], g[i]); s != "" {
				return s
			}
		}
		return ""
	}
	if got == nil && (want == false || want == "" || want == float64(0)) {
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s: %v, got %v", at, want, got)
	}
	return ""
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"a missing stage", `"requisiteStageRefIds": ["4"]`, `"requisiteStageRefIds": ["44"]`, []string{`"44" is no stage`}},
		{"a cycle", `"refId": "1", "requisiteStageRefIds": []`, `"refId": "1", "requisiteStageRefIds": ["5"]`, []string{"in a circle: 1 after 5 after 4 after 3 after 2 after 1"}},
		{"itself", `"refId": "1", "requisiteStageRefIds": []`, `"refId": "1", "requisiteStageRefIds": ["1"]`, []string{"1 after 1"}},
		{"twice", `"refId": "2"`, `"refId": "1"`, []string{"stages[1].refId"}},
		{"an unknown artifact", `"manifestArtifactId": "baked"`, `"manifestArtifactId": "other"`, []string{`stages[2].manifestArtifactId: "other" is expected neither`}},
		{"an artifact of a later stage", `"requisiteStageRefIds": ["2"], "type": "deployManifest"`, `"requisiteStageRefIds": [], "type": "deployManifest"`, []string{`"baked" is expected neither`}},
		{"no name", `"name": "everything"`, `"name": " "`, []string{"name:"}},
		{"wait", `"waitTime": 30`, `"waitTime": -1`, []string{"whole seconds"}},
		{"wait for words", `"waitTime": 30`, `"waitTime": "long"`, []string{"want seconds"}},
		{"renderer", `"HELM3"`, `"HELM9"`, []string{"templateRenderer"}},
		{"password in a URL", `http://example.com/done`, `http://u:hunter2@example.com/done`, []string{"stages[5].url", "customHeaders"}},
		{"method", `"method": "POST"`, `"method": "YELL"`, []string{`"YELL"; want one of GET`}},
		{"job", `"kind": "Job"`, `"kind": "Pod"`, []string{"want Job"}},
		{"S3", `"reference": "s3://s3-account/test-0.1.0.tgz"`, `"reference": "http://x"`, []string{"want s3://BUCKET/KEY"}},
		{"no account", `"account": "my-kubernetes-account", "cloudProvider": "kubernetes", "moniker"`, `"moniker"`, []string{"stages[2].account"}},
		{"no type", `"type": "wait"`, `"x": "wait"`, []string{"stages[3].type"}},
		{"type of a field", `"limitConcurrent": true`, `"limitConcurrent": "x"`, []string{"limitConcurrent: is a string; want bool"}},
		{"parameter", `"default": "latest"`, `"default": "old"`, []string{`"old" is none of the options`}},
	} {
		file := strings.Replace(string(deck(t)), c.from, c.to, 1)
		if file == string(deck(t)) {
			t.Fatalf("%s changes nothing", c.name)
		}
		_, err := pipeline.Read([]byte(file))
		for _, want := range c.want {
			if err == nil || !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", c.name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"":                         "empty",
		"[]":                       "want keys",
		"- a":                      "want keys",
		"a: [":                     "neither JSON nor YAML",
		"a: b\n---\nc: d":          "more than one",
		"1: 2":                     "want keys",
		"a: {1: 2}":                "not JSON",
		"stages: 3":                "stages: is a number",
		strings.Repeat(" ", 5<<20): "at most",
		"application: a\nname: b\nstages: [{refId: a, type: wait, waitTime: 1, requisiteStageRefIds: 3}]": "is a number",
	} {
		if _, err := pipeline.Read([]byte(file)); !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", file, err, want)
		}
	}
}

// TestLongChain checks a pipeline as long as may be, in reverse order.
func TestLongChain(t *testing.T) {
	p := pipeline.Pipeline{Application: "a", Name: "b"}
	for i := range 1000 {
		s := pipeline.Stage{RefID: fmt.Sprint(i), Name: "w", Do: &pipeline.Wait{WaitTime: 1}}
		if i < 999 {
			s.After = []string{fmt.Sprint(i + 1)}
		}
		p.Stages = append(p.Stages, s)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	order, err := p.Order()
	if err != nil || order[0] != "999" || order[999] != "0" {
		t.Errorf("%v", err)
	}
}

func TestHelmPipeline(t *testing.T) {
	p := pipeline.HelmPipeline(pipeline.HelmOptions{
		Application: "demo", Name: "deliver", Chart: pipeline.S3("my-s3", "s3://s3-account/test-0.1.0.tgz"),
		Release: "helm-test", Account: "my-kubernetes-account",
	})
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/helm.json")
	if err != nil || string(got)+"\n" != string(want) {
		t.Errorf("%v: got\n%s", err, got)
	}
}

// Example builds the pipeline of the guide: a chart from an S3 store is
// rendered and deployed.
func Example() {
	p := pipeline.HelmPipeline(pipeline.HelmOptions{
		Application: "demo", Name: "deliver", Chart: pipeline.S3("my-s3", "s3://s3-account/test-0.1.0.tgz"), Account: "my-kubernetes-account",
	})
	for _, s := range p.Stages {
		fmt.Println(s.RefID, s.Name, s.Do.Type(), s.After)
	}
	fmt.Println(p.Check())
	// Output:
	// 1 Bake (Manifest) bakeManifest []
	// 2 Deploy (Manifest) deployManifest [1]
	// <nil>
}

func FuzzRead(f *testing.F) {
	f.Add(deck(f))
	f.Add([]byte("application: a\nname: b\nstages: [{refId: 1, type: wait, waitTime: 1}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := pipeline.Read(data)
		if err != nil {
			return
		}
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		again, err := pipeline.Read(first)
		if err != nil {
			t.Fatalf("%q became %q: %v", data, first, err)
		}
		second, err := json.Marshal(again)
		if err != nil || string(first) != string(second) {
			t.Errorf("%q\nthen %q: %v", first, second, err)
		}
		if _, err := p.Order(); err != nil {
			t.Error(err)
		}
	})
}
