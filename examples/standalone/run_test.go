package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// anyPorts are flags for a run beside others.
func anyPorts(dir string, more ...string) []string {
	return append([]string{"--data-dir", dir, "--rest-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0",
		"--otlp-grpc-addr", "127.0.0.1:0", "--otlp-http-addr", "127.0.0.1:0"}, more...)
}

var pageLine = regexp.MustCompile(`dashboard +(http://\S+)/`)

// start runs the program and returns its page's address and how to end it.
func start(t *testing.T, args []string) (page string, stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr testutil.Output
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, &stdout, &stderr) }()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		if m := pageLine.FindStringSubmatch(stdout.String()); m != nil {
			page = m[1]
			return true, ""
		}
		return false, stdout.String() + stderr.String()
	})
	return page, func() string {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v\n%s", err, stderr.String())
		}
		return stdout.String()
	}
}

// groups asks for requests by service.
func groups(t *testing.T, page string) map[string]string {
	t.Helper()
	res, err := http.Get(page + "/api/v1/visibility/stats?group_by=service")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct {
		Groups []struct {
			Values []string
			Stats  struct{ Count string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, g := range body.Groups {
		m[g.Values[0]] = g.Stats.Count
	}
	return m
}

func TestTheFirstAnswerComesByItselfAndTheDataStays(t *testing.T) {
	dir := t.TempDir()
	page, stop := start(t, anyPorts(dir, "--rate", "100"))
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		got := groups(t, page)
		return len(got) == 8, fmt.Sprint(got)
	})
	if err := run(t.Context(), anyPorts(dir), &testutil.Output{}, &testutil.Output{}); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a second start with the same directory: %v", err)
	}
	busy := anyPorts(t.TempDir())
	busy[3] = strings.TrimPrefix(page, "http://")
	if err := run(t.Context(), busy, &testutil.Output{}, &testutil.Output{}); err == nil || !strings.Contains(err.Error(), "--rest-addr") {
		t.Errorf("a start with the same port: %v", err)
	}
	if text := stop(); !strings.Contains(text, "Stopped. The data is in "+dir) {
		t.Errorf("it said %q", text)
	}

	page, stop = start(t, anyPorts(dir, "--no-sample"))
	if got := groups(t, page); len(got) != 8 {
		t.Errorf("after a restart: %v", got)
	}
	res, err := http.Get(page + "/")
	if err != nil {
		t.Fatal(err)
	}
	var html bytes.Buffer
	if _, err := html.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !strings.Contains(html.String(), "<title>Clover") {
		t.Errorf("the dashboard is %s", html.String())
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") {
		t.Errorf("policy %q", csp)
	}
	stop()
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--nonsense"}, {"--rate", "0"}, {"--log-level", "loud"}, {"something"},
		anyPorts(t.TempDir(), "--rest-addr", "0.0.0.0:0"), anyPorts(t.TempDir(), "--redis", "http://redis"),
	} {
		if err := run(t.Context(), args, &testutil.Output{}, &testutil.Output{}); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
