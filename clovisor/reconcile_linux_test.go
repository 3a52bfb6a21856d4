package clovisor

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// hanging is a capture that hangs when it attaches to one interface.
type hanging struct {
	capture
	name  string
	hangs chan struct{} // closed when it does
	until chan struct{}
}

func (h *hanging) Attach(t kernel.Target) error {
	if t.Interface == h.name {
		close(h.hangs)
		<-h.until
	}
	return h.capture.Attach(t)
}

// TestReadsWhileItAttaches holds that what is captured goes its way while the
// kernel takes its time for another target, as for hundreds of pods at start.
func TestReadsWhileItAttaches(t *testing.T) {
	ns, slow := testutil.Namespace(t), testutil.Namespace(t)
	serve(t, ns.Listen(8080))
	serve(t, slow.Listen(8080))
	sink, source := &seen{}, newSettable(target.Set{Targets: []target.Target{pod(ns, httpPort(8080))}})
	hang := &hanging{name: slow.HostInterface, hangs: make(chan struct{}), until: make(chan struct{})}
	tracer, _ := run(t, Options{Source: source, Sinks: []Sink{sink}}, func(tracer *Tracer) {
		hang.capture, tracer.targets.capture = tracer.targets.capture, hang
	})
	release := sync.OnceFunc(func() { close(hang.until) })
	t.Cleanup(release)
	source.sets <- target.Set{Targets: []target.Target{pod(slow, httpPort(8080)), pod(ns, httpPort(8080))}}
	<-hang.hangs
	get(t, fmt.Sprintf("http://%s:8080/meanwhile", ns.Addr))
	sink.shows(t, "/meanwhile 200")
	if n := tracer.targets.attached(); n != 1 {
		t.Errorf("%d targets are attached, want 1", n)
	}
	release()
	testutil.Eventually(t, limit, func() (bool, string) {
		n := tracer.targets.attached()
		return n == 2, fmt.Sprintf("%d targets are attached", n)
	})
	get(t, fmt.Sprintf("http://%s:8080/after", slow.Addr))
	sink.shows(t, "/after 200")
}

// wanderer is a thread, as one process and the next with its number are for
// whoever knows no more than the number: its path leads to one network
// namespace, then to another.
func wanderer(t *testing.T) (path string, enter func(*testutil.NetNamespace)) {
	t.Helper()
	thread, to, done := make(chan int), make(chan string), make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		thread <- unix.Gettid()
		for name := range to {
			ns, err := os.Open("/var/run/netns/" + name)
			if err == nil {
				err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
				_ = ns.Close()
			}
			done <- err
		}
	}()
	t.Cleanup(func() { close(to) })
	return fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), <-thread), func(ns *testutil.NetNamespace) {
		t.Helper()
		to <- ns.Name
		check(t, <-done)
	}
}

// woken is a Source that is told to look again.
type woken struct {
	*settable
	wakes chan struct{}
}

func (w woken) Wake() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

// TestNamespaceIsAnother holds that a pod whose process has ended is looked
// for again, and that no other pod is traced under its name.
func TestNamespaceIsAnother(t *testing.T) {
	ns, other := testutil.Namespace(t), testutil.Namespace(t)
	path, enter := wanderer(t)
	enter(ns)
	var st unix.Stat_t
	check(t, unix.Stat(path, &st))
	inside := pod(ns, httpPort(8080))
	inside.Interface, inside.Inside, inside.Loopback = "lo", true, true
	inside.Netns, inside.NetnsDevice, inside.NetnsInode = path, st.Dev, st.Ino
	enter(other)
	source := woken{newSettable(target.Set{Targets: []target.Target{inside}}), make(chan struct{}, 1)}
	tracer, _ := run(t, Options{Source: source})
	<-source.wakes
	testutil.Eventually(t, limit, func() (bool, string) {
		l := tracer.Ledger()
		return len(l.Problems) == 1 && strings.Contains(l.Problems[0].Reason, "another network namespace"), fmt.Sprintf("%+v", l)
	})
	if n := tracer.targets.attached(); n != 0 {
		t.Errorf("%d targets are attached, want none", n)
	}
	inside.Netns = "/var/run/netns/" + ns.Name
	source.sets <- target.Set{Targets: []target.Target{inside}}
	testutil.Eventually(t, limit, func() (bool, string) {
		l := tracer.Ledger()
		return len(l.Problems) == 0 && tracer.targets.attached() == 1, fmt.Sprintf("%+v", l)
	})
}
