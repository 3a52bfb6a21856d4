package kubernetes

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// TestFollow follows spans and logs while the controller is replaced, once
// through a port of the node and once through the API server.
func TestFollow(t *testing.T) {
	k := newKit(t)
	k.types("cloverctl create system visibility -t test --wait")
	otlp := k.nodePort(cloverNamespace, "clover-collector", 4317)
	forwarded := k.follow("cloverctl observe -f -o json")
	logs := k.follow("cloverctl logs controller -f")
	k.types("cloverctl create system controller nodeport -t test")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
	k.answers()
	direct := k.follow("cloverctl observe -f -o json")

	before := k.newSender(otlp, "before-the-restart")
	k.shows(before, forwarded, direct)
	first := k.pod(cloverNamespace, "app=clover-controller").Name
	k.replaced(cloverNamespace, "app=clover-controller")
	if second := k.pod(cloverNamespace, "app=clover-controller").Name; second == first {
		k.Fatalf("the controller is still %s", first)
	}
	k.shows(k.newSender(otlp, "after-the-restart"), forwarded, direct)
	k.eventually(func() (bool, string) { // a start each, and more if the cluster takes a slow one for dead
		return strings.Count(logs.out.String(), "clover-controller is ready") >= 2, logs.out.String() + logs.errors.String()
	})
	for _, f := range []*following{forwarded, direct} {
		if !strings.Contains(f.errors.String(), "connecting again in") {
			k.Errorf("%s does not say that it was cut off: %s", f.line, &f.errors)
		}
	}
	for _, f := range []*following{forwarded, direct, logs} {
		f.stop()
	}
}

// shows sends spans until each follower has shown one of them.
func (k *kit) shows(s *sender, followers ...*following) {
	k.Helper()
	k.eventually(func() (bool, string) {
		k.check(s.send(1))
		for _, f := range followers {
			if !strings.Contains(f.out.String(), s.service) {
				return false, f.line + ": " + f.errors.String()
			}
		}
		return true, ""
	})
}

// following is a command that goes on until it is interrupted.
type following struct {
	line        string
	out, errors testutil.Output
	stop        func()
}

// follow types a command line that goes on.
func (k *kit) follow(line string) *following {
	k.Helper()
	f := &following{line: line}
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.Context()))
	cmd := k.command(ctx, line)
	cmd.Stdout, cmd.Stderr = &f.out, &f.errors
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	k.check(cmd.Start())
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		const interrupted = 130
		if err := cmd.Wait(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != interrupted {
			k.Errorf("%s: it ends with %v, want that it is interrupted: %s", line, err, &f.errors)
		}
	}
	k.Cleanup(f.stop)
	return f
}

// command is a command line of the user.
func (k *kit) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.program, strings.Fields(line)[1:]...)
	cmd.Dir = k.home
	cmd.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+k.cluster.Kubeconfig(), "CLOVER_CONTROLLER=")
	return cmd
}
