package main

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// localPorts finds a row of free ports, below those that other tests and
// outgoing connections get.
func localPorts(t *testing.T) int {
	t.Helper()
	free := func(port int) bool {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return err == nil && l.Close() == nil
	}
	for base := 10000; base < 17000; base += 2 * controlOffset {
		all := true
		for n := range 2 * controlOffset {
			all = all && free(base+n)
		}
		if all {
			return base
		}
	}
	t.Fatal("there is no row of free ports")
	return 0
}

// TestLocalSample runs the whole sample as users of a laptop do.
func TestLocalSample(t *testing.T) {
	base := localPorts(t)
	front := testutil.FreeAddr(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr testutil.Output
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--local", "--ports", strconv.Itoa(base), "--http-addr", front}, &stdout, &stderr)
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s%s", err, &stdout, &stderr)
		}
	}()
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		return strings.Count(stdout.String(), "is ready:") == 9, stdout.String() + stderr.String()
	})
	if !strings.Contains(stdout.String(), "--balancer http-lb-v2=127.0.0.1:"+strconv.Itoa(base+12+controlOffset)) {
		t.Errorf("it does not say how to steer it:\n%s", &stdout)
	}
	attacker := []string{"X-Forwarded-For", "203.0.113.9", "User-Agent", "asafaweb.com"}
	if code, body := get(t, "http://"+front+"/", attacker...); code != http.StatusOK {
		t.Errorf("%d %q", code, body)
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, body := get(t, "http://"+front+"/", "X-Forwarded-For", "203.0.113.9")
		return code == http.StatusForbidden, body
	})
	if code, _ := get(t, "http://"+front+"/", "X-Forwarded-For", "203.0.113.10"); code != http.StatusOK {
		t.Errorf("another client: %d", code)
	}
}
