package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Setenv("CLOVER_CACHE", t.TempDir())
	for _, c := range []struct {
		args         []string
		stdout, fail string
	}{
		{[]string{"status"}, "no cluster is up: make one by 'make cluster-up'\n", ""},
		{[]string{"-name", "none", "down"}, "", ""},
		{[]string{"load", "image.tar"}, "", "there is no cluster clover"},
		{[]string{"load"}, "", "usage: testcluster"},
		{nil, "", "usage: testcluster"},
		{[]string{"-nam", "none", "down"}, "", "not defined: -nam"},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), c.args, &stdout, &stderr)
		if c.fail == "" && err != nil || c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.fail)
		}
		if stdout.String() != c.stdout {
			t.Errorf("%q prints %q, want %q", c.args, &stdout, c.stdout)
		}
	}
}
