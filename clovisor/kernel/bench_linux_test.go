package kernel

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

// BenchmarkPacket measures by the kernel's own statistics what the programs
// take for a packet that nobody wants, for one that is wanted, and so on.
// "nothing" is a program that does nothing, which shows what the measuring
// takes.
func BenchmarkPacket(b *testing.B) {
	payload := make([]byte, 1400)
	wanted := frame{from: server4, to: client4, flags: 0x10, payload: payload}
	other := frame{from: netip.MustParseAddrPort("203.0.113.9:8081"), to: client4, flags: 0x10, payload: payload}
	egress := []Egress{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Port: 443}}
	for _, c := range []struct {
		name   string
		frame  frame
		egress []Egress
		skip   bool
	}{
		{name: "of no interest", frame: other},
		{name: "of no interest with egress rules", frame: other, egress: egress},
		{name: "no payload", frame: frame{from: server4, to: client4, flags: 0x10}},
		{name: "100 bytes", frame: frame{from: server4, to: client4, flags: 0x10, payload: payload[:100]}},
		{name: "1400 bytes", frame: wanted},
		{name: "1400 bytes elided", frame: wanted, skip: true},
		{name: "1400 bytes IPv6", frame: frame{from: server6, to: client6, flags: 0x10, payload: payload}},
	} {
		for _, buffer := range []Buffer{Ring, Perf} {
			b.Run(fmt.Sprintf("%s/%s", c.name, buffer), func(b *testing.B) {
				r := start(b, Options{Buffer: buffer})
				r.discard.Store(true)
				ns := testutil.Namespace(b)
				r.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}, Egress: c.egress}})
				if c.skip {
					if err := r.SkipAll(1, packet.Flow{Source: server4, Destination: client4, Transport: packet.TCP}); err != nil {
						b.Fatal(err)
					}
				}
				p, err := r.obj.entry(r.targets[1].slot, wayEgress)
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				runProgram(b, p, c.frame.bytes())
			})
		}
	}
	b.Run("nothing", func(b *testing.B) {
		p, err := nothing()
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		runProgram(b, p, wanted.bytes())
	})
}

// runProgram runs a program on a packet and reports what the kernel counted.
func runProgram(b *testing.B, p *ebpf.Program, data []byte) {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		testutil.Missing(b, "run-time statistics", err.Error())
	}
	defer stats.Close()
	const batch = 1000 // as many fit into the buffer
	var each []float64
	for b.Loop() {
		before, err := p.Stats()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Run(&ebpf.RunOptions{Data: data, Repeat: batch}); err != nil {
			b.Fatal(err)
		}
		after, err := p.Stats()
		if err != nil {
			b.Fatal(err)
		}
		each = append(each, float64(after.Runtime-before.Runtime)/float64(after.RunCount-before.RunCount))
		time.Sleep(12 * time.Millisecond) // the buffer is emptied
	}
	// The median, because a batch that was interrupted counts for nothing.
	slices.Sort(each)
	b.ReportMetric(each[len(each)/2], "ns/packet")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(stats)
}

// BenchmarkRead measures what reading a record takes in this process.
func BenchmarkRead(b *testing.B) {
	record := make([]byte, recordBytes+200)
	record[24], record[36] = 200, 4
	r := reading{capture: new(Capture), deliver: func(*packet.Segment) {}}
	b.ReportAllocs()
	for b.Loop() {
		r.hand(record)
	}
}
