package clovisor

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// sendFrames sends segments as frames on the two ends of a link.
func sendFrames(t testing.TB, in, out int, segments sessiontest.Segments) {
	t.Helper()
	for _, s := range segments {
		frame, err := packet.AppendFrame(nil, s)
		check(t, err)
		socket := out
		if servers[s.Destination.Port()] {
			socket = in
		}
		if _, err := unix.Write(socket, frame); err != nil {
			t.Fatalf("send %d bytes: %v", len(frame), err)
		}
	}
}

// aSession is a request and its response.
func aSession() sessiontest.Segments {
	s := sessiontest.Open(last, sessiontest.Server)
	s.Client(sessiontest.Get(1).Request())
	s.Server(sessiontest.Get(1).Response())
	return s.Segments
}

// TestLeavingPodIsAccountedFor holds that what the kernel has seen of a pod
// counts as the pod's when the pod is gone before it is read: what lies in the
// buffer, and packets that were dropped.
func TestLeavingPodIsAccountedFor(t *testing.T) {
	old := linger
	linger = 5 * time.Second // ten times as long as Latency
	t.Cleanup(func() { linger = old })
	ns := testutil.Namespace(t)
	in, out := rawSocket(t, "", ns.HostInterface), rawSocket(t, "/var/run/netns/"+ns.Name, ns.Interface)
	sink, source := &seen{}, newSettable(target.Set{Targets: []target.Target{pod(ns, httpPort(80))}})
	o := Options{Source: source, Sinks: []Sink{sink}}
	o.Kernel.Latency = 500 * time.Millisecond // so long a segment lies in the buffer
	tracer, _ := run(t, o)
	testutil.Eventually(t, limit, func() (bool, string) { return tracer.targets.attached() == 1, "not attached" })
	segments := aSession()
	sendFrames(t, in, out, segments)
	fragment, err := packet.AppendFrame(nil, segments[0])
	check(t, err)
	const moreFragments, flags = 0x20, 14 + 6 // behind the Ethernet header
	fragment[flags] |= moreFragments
	const fragments = 3
	for range fragments {
		_, err := unix.Write(in, fragment)
		check(t, err)
	}
	source.sets <- target.Set{}
	testutil.Eventually(t, limit, func() (bool, string) {
		tracer.targets.mu.RLock()
		defer tracer.targets.mu.RUnlock()
		return len(tracer.targets.byID) == 0, "not forgotten"
	})
	l := tracer.Ledger()
	if len(l.Entries) == 0 {
		t.Fatal("nothing is accounted for")
	}
	for _, e := range l.Entries {
		if e.Pod != ns.Name {
			t.Errorf("an entry of nobody: %+v", e)
		}
	}
	total := l.Total()
	if total.Packets != int64(len(segments)) || total.Outcomes[session.Paired] != 1 || total.Sessions != 1 || total.Dropped["fragment"] != fragments {
		t.Errorf("ledger %+v, want %d packets, a session, %d fragments", total, len(segments), fragments)
	}
	if got := fmt.Sprint(sink.lines()); len(sink.places) != 1 || sink.places[0].Pod != ns.Name {
		t.Errorf("sessions %s of %+v", got, sink.places)
	}
}
