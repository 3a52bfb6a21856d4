package ids

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Bounds of what is looked at and of what is kept of it.
const (
	maxInspected = 64 << 10
	maxKept      = 512
)

// Matcher finds the rules that match a packet.
type Matcher interface {
	Match(p Packet) []control.Rule
}

// Monitor answers the copies of requests and looks at them.
type Monitor struct {
	// Engine looks.
	Engine Matcher
	// Raise takes what was found; it must not block.
	Raise func(ctx context.Context, e Event)
	// TrustedHops is the number of proxies that append the address of who
	// connects to X-Forwarded-For; the first of them has seen the client.
	TrustedHops int
}

// ServeHTTP implements http.Handler.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxInspected))
	if err != nil {
		http.Error(w, "400 the body ends early", http.StatusBadRequest)
		return
	}
	p := packet(r, body, m.TrustedHops)
	for _, rule := range m.Engine.Match(p) {
		m.Raise(context.WithoutCancel(r.Context()), Event{
			Time: time.Now(), Rule: rule, Source: p.Source, Destination: p.Destination, Packet: kept(r),
		})
	}
	w.WriteHeader(http.StatusOK)
}

// packet writes a request as it is on the wire.
func packet(r *http.Request, body []byte, trustedHops int) Packet {
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host)
	for _, name := range sortedHeader(r.Header) {
		for _, v := range r.Header[name] {
			_, _ = fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	p := Packet{Payload: b.Bytes()}
	client := clientAddr(r, trustedHops)
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || peer.Addr().Unmap() != client {
		peer = netip.AddrPort{} // the client's own port is not known
	}
	p.Source = netip.AddrPortFrom(client, peer.Port())
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if a, err := netip.ParseAddrPort(local.String()); err == nil {
			p.Destination = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
	}
	return p
}

// clientAddr tells who sent a request: the peer, or with trusted hops the
// address that the first of them has seen. What comes from farther away in
// X-Forwarded-For is the client's own word and is not read. The address is
// invalid where nothing usable is there.
func clientAddr(r *http.Request, trustedHops int) netip.Addr {
	if trustedHops > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(hops) >= trustedHops {
			if a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-trustedHops])); err == nil {
				return a.Unmap()
			}
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// kept is what an event keeps of its request: nothing that may be a secret.
func kept(r *http.Request) string {
	text := fmt.Sprintf("%s %s %s, User-Agent: %s", r.Method, r.URL.Path, r.Proto, r.UserAgent())
	return text[:min(len(text), maxKept)]
}
