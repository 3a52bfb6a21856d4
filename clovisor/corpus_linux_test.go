package clovisor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// TestCorpusOffline reads each case of the corpus from a capture file: what
// comes out is what must.
func TestCorpusOffline(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		var file bytes.Buffer
		check(t, sessiontest.WriteCapture(&file, c.Segments))
		sink := &seen{}
		ledger, err := Replay(t.Context(), &file, ReplayOptions{Sinks: []Sink{sink}, Place: export.Place{Pod: "p"}})
		check(t, err)
		if hidden(c) {
			continue // a file does not say what was left out on purpose
		}
		want := slices.Clone(c.Want)
		for i := range want {
			want[i].Direction = 0 // a file does not say it either
		}
		if d := sessiontest.Compare(want, sink.sessions); d != "" {
			t.Errorf("%s:\n%s", c.Name, d)
		}
		if total := ledger.Total(); total.Balance() != 0 || total.Sessions != int64(len(sink.sessions)) {
			t.Errorf("%s: ledger %+v, %d sessions", c.Name, total, len(sink.sessions))
		}
	}
}

// hidden reports whether bytes of a case were left out because nobody needed
// them.
func hidden(c sessiontest.Case) bool {
	return slices.ContainsFunc(c.Segments, func(s packet.Segment) bool { return s.Elided })
}

// servers are the ports of the corpus on which servers are.
var servers = map[uint16]bool{80: true, 53: true, 443: true, 6379: true}

// TestCorpusThroughTheKernel sends the packets of each case over a real link,
// as frames: from the client into the pod and from the server out of it. The
// programs in the kernel and the Tracer make of them what must come out.
func TestCorpusThroughTheKernel(t *testing.T) {
	const lanes = 16 // the kernel takes its time for attaching, so cases share it
	c := &corpus{T: t, netns: "/var/run/netns/" + testutil.Namespace(t).Name, source: newSettable(target.Set{})}
	c.in, c.out = links(t, c.netns, lanes)
	c.tracer, _ = run(t, Options{Source: c.source, Sinks: []Sink{&c.sink}})
	all := sessiontest.Cases()
	cases := slices.DeleteFunc(slices.Clone(all), func(c sessiontest.Case) bool { return !sendable(c) })
	t.Logf("%d of %d cases", len(cases), len(all))
	if len(cases) < len(all)/2 {
		t.Errorf("only %d cases of %d are sent", len(cases), len(all))
	}
	for some := range slices.Chunk(cases, lanes) {
		c.send(some)
	}
}

// corpus sends cases over links that a Tracer looks at.
type corpus struct {
	*testing.T
	netns   string
	in, out []int // sockets, into each pod and out of it
	source  *settable
	tracer  *Tracer
	sink    seen
}

// attached waits until so many targets are, and others are forgotten.
func (c *corpus) attached(n int) {
	c.Helper()
	testutil.Eventually(c, limit, func() (bool, string) {
		c.tracer.targets.mu.RLock()
		defer c.tracer.targets.mu.RUnlock()
		have, known := len(c.tracer.targets.byKey), len(c.tracer.targets.byID)
		return have == n && known == n, fmt.Sprintf("%d targets are attached and %d known, want %d", have, known, n)
	})
}

// send sends cases, each to a pod of its own of the case's name, and compares.
func (c *corpus) send(cases []sessiontest.Case) {
	c.Helper()
	var set target.Set
	for i, of := range cases {
		pod := target.Target{ID: of.Name, Netns: c.netns, Interface: fmt.Sprint("a", i), Workload: target.Workload{Pod: of.Name}}
		for port := range servers {
			pod.Ports = append(pod.Ports, target.Port{Number: port, Transport: packet.TCP}, target.Port{Number: port, Transport: packet.UDP})
		}
		set.Targets = append(set.Targets, pod)
	}
	c.source.sets <- set
	c.attached(len(cases))
	for i, of := range cases {
		sendFrames(c, c.in[i], c.out[i], of.Segments)
		sendFrames(c, c.in[i], c.out[i], aSession()) // what comes out in the end is of the last packets that were sent
	}
	for _, of := range cases {
		testutil.Eventually(c, limit, func() (bool, string) {
			sessions := c.sink.of(of.Name)
			ended := slices.ContainsFunc(sessions, func(s session.Session) bool { return s.Client == last })
			return ended, fmt.Sprintf("%s: %d sessions", of.Name, len(sessions))
		})
	}
	c.source.sets <- target.Set{}
	c.attached(0)
	ledger := c.tracer.Ledger() // once what was open has been handed on
	for _, of := range cases {
		c.compare(of, &ledger)
	}
}

// compare compares what came of a case with what must, and the ledger with it.
func (c *corpus) compare(of sessiontest.Case, l *Ledger) {
	c.Helper()
	all := c.sink.of(of.Name)
	got := slices.DeleteFunc(slices.Clone(all), func(s session.Session) bool { return s.Client == last })
	for i := range got {
		got[i].Interface = 0 // the corpus has only one
	}
	if d := sessiontest.Compare(of.Want, got); d != "" {
		c.Errorf("%s:\n%s", of.Name, d)
	}
	var sum Entry
	for i := range l.Entries {
		if l.Entries[i].Pod == of.Name {
			sum.add(l.Entries[i])
		}
	}
	if sum.Sessions != int64(len(all)) || sum.Balance() != 0 || len(sum.Dropped) > 0 {
		c.Errorf("%s: %d sessions, the ledger has %+v", of.Name, len(all), sum)
	}
}

// last is a client that is in no case.
var last = netip.MustParseAddrPort("10.9.9.9:999")

// of are the sessions of a pod.
func (s *seen) of(pod string) (out []session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.places {
		if p.Pod == pod {
			out = append(out, s.sessions[i])
		}
	}
	return out
}

// sendable reports whether a case can be sent over a link: its packets are
// whole and fit, and no time has to pass for it.
func sendable(c sessiontest.Case) bool {
	const most = 65535 - 60
	if strings.Contains(c.Name, "lost part of a body") {
		return false // a Tracer leaves bodies out itself, and does not miss what was lost of them
	}
	for _, s := range c.Segments {
		if s.Elided || s.Length > len(s.Payload) || s.Length > most || servers[s.Source.Port()] == servers[s.Destination.Port()] {
			return false
		}
	}
	return !slices.ContainsFunc(c.Want, func(s session.Session) bool { return s.Outcome == session.NoResponseTimeout })
}

// inNetns calls f on a thread in a network namespace, "" for this one.
func inNetns(t testing.TB, netns string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		if netns == "" {
			done <- f()
			return
		}
		// The thread ends with the goroutine.
		runtime.LockOSThread()
		ns, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(ns, unix.CLONE_NEWNET)
			_ = unix.Close(ns)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	check(t, <-done)
}

// rawSocket sends frames from an interface of a network namespace, "" for
// this one.
func rawSocket(t testing.TB, netns, name string) (fd int) {
	t.Helper()
	inNetns(t, netns, func() (err error) {
		fd, err = openRaw(name)
		return err
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func openRaw(name string) (int, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	// Protocol 0 receives nothing.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	var protocol [2]byte
	binary.BigEndian.PutUint16(protocol[:], unix.ETH_P_ALL)
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(protocol[:]), Ifindex: link.Index})
	if err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	return fd, nil
}
