package command

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadTest runs plans as users do and looks at exit codes and outputs.
func TestLoadTest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	plan := func(text string) string {
		file := filepath.Join(dir, "plan.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "ADDR", server.URL)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const good = "load_spec: {num_threads: 2, loops: 3}\nurl_list: [{name: a, url: ADDR/a}]"
	for _, c := range []struct {
		name, plan string
		args       []string
		code       int
		want       string
	}{
		{"good", good, nil, exitOK, `"count": 6`},
		{"criterion", good, []string{"--criterion", "errors < 1%"}, exitOK, `"passed": true`},
		{"missed criterion", good, []string{"--criterion", "count > 100"}, exitFailure, `"passed": false`},
		{"wrong criterion", good, []string{"--criterion", "speed > 1"}, exitUsage, "want count, errors"},
		{"all fail", "url_list: [{name: a, url: ADDR/bad}]", nil, exitFailure, `"errors": 1`},
		{"wrong plan", "load_spec: {num_threads: many}\nurl_list: []", nil, exitUsage, "line 1, column 26: load_spec.num_threads"},
		{"unknown format", good, []string{"-o", "pdf"}, exitUsage, "want table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := append([]string{"test", "-q", "-f", plan(c.plan), "-o", "json"}, c.args...)
			code := Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
			if code != c.code || !strings.Contains(out.String()+errs.String(), c.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", code, c.code, c.want, out.String(), errs.String())
			}
			if code != exitUsage && !json.Valid(out.Bytes()) {
				t.Errorf("no JSON: %s", out.String())
			}
		})
	}
	results := filepath.Join(dir, "results.jtl")
	code := Run(t.Context(), []string{"test", "-q", "-f", plan(good), "--results", results}, Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	data, err := os.ReadFile(results)
	if code != exitOK || err != nil || strings.Count(string(data), "\n") != 7 {
		t.Errorf("exit code %d, %v: %s", code, err, data)
	} // A test that cannot begin leaves the results of the one before.
	for _, args := range [][]string{{"--run-id", "a\nb"}, {"--jmeter", dir}} {
		args = append([]string{"test", "-q", "-f", plan("http2: true\n" + good), "--results", results}, args...)
		code := Run(t.Context(), args, Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
		if after, err := os.ReadFile(results); code != exitUsage || err != nil || !bytes.Equal(after, data) {
			t.Errorf("%q: exit code %d, %v: %s", args, code, err, after)
		}
	}
}
