package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		args         []string
		stdout, fail string
	}{
		{[]string{"-list"}, "envoy        Envoy 1.40.0\n", ""},
		{[]string{"-list", "-only", "jaeger-v2, envoy"}, "jaeger-v2    Jaeger 2.13.0", ""},
		{[]string{"-list", "-set", "programs", "-only", "envoy,istio"}, "envoy        Envoy 1.40.0\n", ""},
		{[]string{"-list", "-set", "cluster", "-only", "envoy,istio"}, "istio        Istio", ""},
		{[]string{"-set", "all"}, "", `-set "all"`},
		{[]string{"-only", "hunter"}, "", `unknown component "hunter"`},
		{[]string{"envoy"}, "", `unexpected argument "envoy"`},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), c.args, &stdout, &stderr)
		if c.fail == "" && err != nil || c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.fail)
		}
		if !strings.HasPrefix(stdout.String(), c.stdout) {
			t.Errorf("%q prints %q, want %q", c.args, &stdout, c.stdout)
		}
	}
}

func TestRunReportsEachThatFails(t *testing.T) {
	t.Setenv("CLOVER_CACHE", "main.go") // no folder
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-only", "envoy,prometheus"}, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "Envoy 1.40.0: ") || !strings.Contains(err.Error(), "Prometheus ") {
		t.Errorf("error is %v, want both components in it", err)
	}
}
