package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/internal/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var restLine = regexp.MustCompile(`REST (http://\S+),`)

// TestWithoutACollectorItSaysSo starts a controller whose collector is not
// there.
func TestWithoutACollectorItSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr testutil.Output
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--rest-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--collector", testutil.FreeAddr(t)}, &stdout, &stderr)
	}()
	var rest string
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		if m := restLine.FindStringSubmatch(stdout.String()); m != nil {
			rest = m[1]
		}
		return rest != "", stdout.String() + stderr.String()
	})
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable,
		"/api/v1/visibility/stats": http.StatusServiceUnavailable, "/": http.StatusServiceUnavailable,
	} {
		res, err := http.Get(rest + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWrongFlags(t *testing.T) {
	err := run(t.Context(), []string{"--grpc-addr", "0.0.0.0:0"}, &testutil.Output{}, &testutil.Output{})
	if err == nil || !strings.Contains(err.Error(), "--allow-remote") {
		t.Errorf("%v", err)
	}
}
