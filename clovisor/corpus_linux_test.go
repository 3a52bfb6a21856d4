package clovisor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
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
	ns := testutil.Namespace(t)
	// The link takes super-packets.
	for _, args := range [][]string{{"link", "set", ns.HostInterface, "mtu", "65535"}, {"-n", ns.Name, "link", "set", ns.Interface, "mtu", "65535"}} {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	in, out := rawSocket(t, "", ns.HostInterface), rawSocket(t, "/var/run/netns/"+ns.Name, ns.Interface)
	corpus := &corpus{T: t, in: in, out: out, target: pod(ns)}
	for port := range servers {
		corpus.target.Ports = append(corpus.target.Ports,
			target.Port{Number: port, Transport: packet.TCP}, target.Port{Number: port, Transport: packet.UDP})
	}
	corpus.source = newSettable(target.Set{})
	corpus.tracer, _ = run(t, Options{Source: corpus.source, Sinks: []Sink{&corpus.sink}})
	sent := 0
	for _, c := range sessiontest.Cases() {
		if sendable(c) {
			sent++
			corpus.send(c)
		}
	}
	t.Logf("%d of %d cases", sent, len(sessiontest.Cases()))
	if sent < len(sessiontest.Cases())/2 {
		t.Errorf("only %d cases of %d were sent", sent, len(sessiontest.Cases()))
	}
}

// corpus sends cases over a link that a Tracer looks at.
type corpus struct {
	*testing.T
	in, out int // sockets, into the pod and out of it
	target  target.Target
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

// send sends a case, on a target of its own, and compares.
func (c *corpus) send(of sessiontest.Case) {
	c.Helper()
	c.target.ID = of.Name
	c.source.sets <- target.Set{Targets: []target.Target{c.target}}
	c.attached(1)
	before := c.tracer.Ledger().Total()
	c.frames(of.Segments)
	// What comes out in the end is of the last packets that were sent.
	end := sessiontest.Open(last, sessiontest.Server)
	end.Client(sessiontest.Get(1).Request())
	end.Server(sessiontest.Get(1).Response())
	c.frames(end.Segments)
	testutil.Eventually(c, limit, func() (bool, string) {
		return len(c.sink.of(last)) > 0, fmt.Sprintf("%s: %v", of.Name, c.sink.lines())
	})
	c.source.sets <- target.Set{}
	c.attached(0)
	after := c.tracer.Ledger().Total() // once what was open has been handed on
	c.sink.mu.Lock()
	all := c.sink.sessions
	c.sink.sessions = nil
	c.sink.mu.Unlock()
	got := slices.DeleteFunc(slices.Clone(all), func(s session.Session) bool { return s.Client == last })
	for i := range got {
		got[i].Interface = 0 // the corpus has only one
	}
	if d := sessiontest.Compare(of.Want, got); d != "" {
		c.Errorf("%s:\n%s", of.Name, d)
	}
	if n := after.Sessions - before.Sessions; n != int64(len(all)) || after.Balance() != 0 || len(after.Dropped) > 0 {
		c.Errorf("%s: %d sessions, the ledger has %d: %+v", of.Name, len(all), n, after)
	}
}

// last is a client that is in no case.
var last = netip.MustParseAddrPort("10.9.9.9:999")

// frames sends segments as frames.
func (c *corpus) frames(segments sessiontest.Segments) {
	c.Helper()
	sendFrames(c, c.in, c.out, segments)
}

// of are the sessions of a client.
func (s *seen) of(client netip.AddrPort) (out []session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.sessions {
		if x.Client == client {
			out = append(out, x)
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
