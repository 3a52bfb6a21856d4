package session_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"testing"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// recorded is a keep-alive connection of n exchanges with responses of a
// size, in segments of at most mss bytes.
func recorded(n, size, mss int) (segments sessiontest.Segments, streams [2][]byte) {
	c := sessiontest.Open(sessiontest.Client(1, sessiontest.Server), sessiontest.Server)
	c.MSS = mss
	for i := range n {
		h := sessiontest.Post(i, 0, size)
		h.Method = "GET"
		for side, text := range [2]string{h.Request(), h.Response()} {
			c.Send(protocol.Side(side), []byte(text))
			streams[side] = append(streams[side], text...)
		}
	}
	c.Close()
	return c.Segments, streams
}

// run gives the segments to a new engine, as often as the benchmark asks.
func run(b *testing.B, segments sessiontest.Segments, sessions int) {
	b.Helper()
	var bytes int64
	for i := range segments {
		bytes += int64(segments[i].Length)
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	b.ResetTimer()
	got := 0
	e := session.New(session.Options{Session: func(*session.Session) { got++ }})
	for b.Loop() {
		for i := range segments {
			e.Segment(&segments[i])
		}
		e.Flush()
	}
	if got != sessions*b.N {
		b.Fatalf("%d sessions, want %d", got, sessions*b.N)
	}
	b.ReportMetric(float64(got)/b.Elapsed().Seconds(), "sessions/s")
}

// peer reads the same bytes with net/http: no reassembly, no pairing, but
// every header field.
func peer(b *testing.B, streams [2][]byte, sessions int) {
	b.SetBytes(int64(len(streams[0]) + len(streams[1])))
	b.ReportAllocs()
	for b.Loop() {
		requests, responses := bufio.NewReader(bytes.NewReader(streams[0])), bufio.NewReader(bytes.NewReader(streams[1]))
		for range sessions {
			request, err := http.ReadRequest(requests)
			if err != nil {
				b.Fatal(err)
			}
			response, err := http.ReadResponse(responses, request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(sessions)*float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

// BenchmarkHTTP1 follows recorded connections of HTTP/1.1, beside net/http.
// The names say the size of the responses' bodies and of the segments.
func BenchmarkHTTP1(b *testing.B) {
	for _, c := range []struct{ n, body, mss int }{{1000, 20, 1460}, {1000, 1000, 1460}, {200, 16 << 10, 1460}, {200, 16 << 10, 64 << 10}, {20, 1 << 20, 64 << 10}} {
		segments, streams := recorded(c.n, c.body, c.mss)
		name := fmt.Sprintf("body=%d,segment=%d", c.body, c.mss)
		b.Run(name+"/engine", func(b *testing.B) { run(b, segments, c.n) })
		b.Run(name+"/net-http", func(b *testing.B) { peer(b, streams, c.n) })
	}
}

// BenchmarkOneByte is the worst cutting there is.
func BenchmarkOneByte(b *testing.B) {
	segments, _ := recorded(20, 1000, 1)
	run(b, segments, 20)
}

// BenchmarkCases follows one case of each of the other protocols.
func BenchmarkCases(b *testing.B) {
	for _, c := range sessiontest.Cases() {
		switch c.Name {
		case "HTTP/2", "interleaved streams", "gRPC, segments of 0 bytes", "Redis, pipelined", "DNS over UDP", "chunks of every size":
			b.Run(c.Name, func(b *testing.B) { run(b, c.Segments, len(c.Want)) })
		}
	}
}

// BenchmarkConnections follows small exchanges on many connections at once,
// and says what a connection takes when it is idle then.
func BenchmarkConnections(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			segments := sessiontest.Flood(n, 3).Segments
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.GC() // what the pools of the test before kept
			runtime.ReadMemStats(&before)
			got := 0
			var e *session.Engine
			for b.Loop() {
				got = 0
				e = session.New(session.Options{Session: func(*session.Session) { got++ }})
				for i := range segments {
					e.Segment(&segments[i])
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(got)*float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/float64(n), "B/connection")
			b.ReportMetric(float64(e.MemoryBytes())/float64(n), "B/connection-accounted")
			runtime.KeepAlive(e)
			runtime.KeepAlive(segments)
		})
	}
}

// BenchmarkDecode reads frames.
func BenchmarkDecode(b *testing.B) {
	frame, err := packet.AppendFrame(nil, packet.Segment{
		Flow:   packet.Flow{Source: netip.MustParseAddrPort("10.0.0.1:1"), Destination: sessiontest.Server, Transport: packet.TCP},
		Length: 1400, Payload: make([]byte, 1400),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := packet.Decode(packet.Ethernet, frame, 0); err != nil {
			b.Fatal(err)
		}
	}
}
