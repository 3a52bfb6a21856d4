package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/api/snort"
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

// startLocal runs the whole sample as users of a laptop do, and returns the
// address of its front and what it prints.
func startLocal(t *testing.T, more ...string) (front string, base int, stdout *testutil.Output) {
	t.Helper()
	base, front, stdout = localPorts(t), testutil.FreeAddr(t), &testutil.Output{}
	t.Setenv("SDC_MIRROR_TIMEOUT", "60s") // the machine may be busy
	ctx, cancel := context.WithCancel(t.Context())
	var stderr testutil.Output
	done := make(chan error, 1)
	args := append([]string{"--local", "--ports", strconv.Itoa(base), "--http-addr", front}, more...)
	go func() { done <- run(ctx, args, stdout, &stderr) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s%s", err, stdout, &stderr)
		}
	})
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		return strings.Count(stdout.String(), "is ready:") == 9, stdout.String() + stderr.String()
	})
	return front, base, stdout
}

// attackLocal has a scanner send one request and waits until its client is
// kept out.
func attackLocal(t *testing.T, front string) {
	t.Helper()
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

func TestLocalSample(t *testing.T) {
	front, base, stdout := startLocal(t)
	if !strings.Contains(stdout.String(), "--balancer http-lb-v2=127.0.0.1:"+strconv.Itoa(base+12+controlOffset)) {
		t.Errorf("it does not say how to steer it:\n%s", stdout)
	}
	attackLocal(t, front)
}

// TestLocalSampleWithSuricata holds that a request is looked at once, although
// it passes the loopback interface at each hop.
func TestLocalSampleWithSuricata(t *testing.T) {
	program := testutil.Suricata(t)
	_ = testutil.Namespace(t) // who may not make one may not look at packets either
	front, base, stdout := startLocal(t, "--suricata", program.Path, "--state-dir", shortDir(t))
	ids := regexp.MustCompile(`snort-ids: .*admin (\S+)`).FindStringSubmatch(stdout.String())
	agent := &process{grpc: net.JoinHostPort("127.0.0.1", strconv.Itoa(base+21+controlOffset))}
	ctl := snort.NewControllerClient(dial(t, agent, nil))
	testutil.Eventually(t, 2*time.Minute, func() (bool, string) {
		s, err := ctl.GetStatus(t.Context(), &snort.GetStatusRequest{})
		return err == nil && s.GetPid() != 0 && s.GetProblem() == "" && s.GetRules() > 0, fmt.Sprint(s, err)
	})
	attackLocal(t, front)
	monitor := &process{admin: ids[1]}
	if n := monitor.metric(t, "clover_sdc_alerts_seen_total", ""); n != 1 {
		t.Errorf("%d alerts of one request", n)
	}
}
