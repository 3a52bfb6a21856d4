package ids

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/alert"
)

// Bounds of what is looked at and of what is kept of it.
const (
	maxInspected = 64 << 10
	maxKept      = 512
)

// Matcher finds the rules that match a request.
type Matcher interface {
	Match(r *Request) []*ids.Rule
}

// Monitor answers the copies of requests and looks at them.
type Monitor struct {
	// Engine looks.
	Engine Matcher
	// Raise takes what was found; it must not block.
	Raise func(a *alert.Alert)
	// TrustedHops is the number of proxies that append the address of who
	// connects to X-Forwarded-For; the first of them has seen the client.
	TrustedHops int
	// Traceparent tells the trace of a request. nil: its header does.
	Traceparent func(ctx context.Context) string
}

// ServeHTTP implements http.Handler.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxInspected))
	if err != nil {
		http.Error(w, "400 the body ends early", http.StatusBadRequest)
		return
	}
	p := request(r, body, m.TrustedHops)
	for _, rule := range m.Engine.Match(p) {
		m.Raise(m.alert(r, p, rule))
	}
	w.WriteHeader(http.StatusOK)
}

// alert describes a rule that has matched a request. What it keeps of the
// request has nothing that may be a secret.
func (m *Monitor) alert(r *http.Request, p *Request, rule *ids.Rule) *alert.Alert {
	a := &alert.Alert{
		ID: fmt.Sprintf("%s-%016x", EngineName, rand.Uint64()), Source: EngineName, Engine: EngineName, Time: time.Now().UTC(),
		GeneratorID: rule.GID(), SignatureID: rule.SID(), Revision: rule.Rev(), Signature: rule.Message(), Category: rule.Class(),
		Priority: priority(rule), Action: "allowed", Protocol: protocolTCP, AppProtocol: "http",
		SourceIP: p.Source.Addr(), SourcePort: p.Source.Port(), DestinationIP: p.Destination.Addr(), DestinationPort: p.Destination.Port(),
		HTTP: &alert.HTTP{Host: r.Host, URL: r.URL.Path, Method: r.Method, Protocol: r.Proto, UserAgent: r.UserAgent()},
	}
	parent := r.Header.Get("Traceparent")
	if m.Traceparent != nil {
		parent = m.Traceparent(r.Context())
	}
	kept := fmt.Sprintf("%s %s %s\r\nTraceparent: %s\r\nUser-Agent: %s\r\n", r.Method, r.URL.Path, r.Proto, parent, r.UserAgent())
	a.Payload = []byte(kept[:min(len(kept), maxKept)])
	return a
}

// protocolTCP is IP's number of TCP.
const protocolTCP = 6

// priority is the rule's own, or else that of most classes.
func priority(rule *ids.Rule) uint32 {
	if o, ok := rule.Option("priority"); ok {
		if n, err := strconv.ParseUint(strings.TrimSpace(o.Value), 10, 32); err == nil {
			return uint32(n)
		}
	}
	return defaultPriority
}

// defaultPriority is that of attacks on web applications in the engines' own
// classification.config.
const defaultPriority = 1

// request takes a request apart, as Suricata does.
func request(r *http.Request, body []byte, trustedHops int) *Request {
	var header bytes.Buffer
	_ = r.Header.Write(&header) // never fails
	raw := r.URL.RequestURI()
	line := fmt.Sprintf("%s %s %s", r.Method, raw, r.Proto)
	host, _, _ := strings.Cut(r.Host, ":")
	p := &Request{Buffers: map[string][]byte{
		ids.Payload:           []byte(line + "\r\nHost: " + r.Host + "\r\n" + header.String() + "\r\n" + string(body)),
		"http.request_line":   []byte(line),
		"http.method":         []byte(r.Method),
		"http.uri":            []byte(r.URL.Path + query(r)),
		"http.uri.raw":        []byte(raw),
		"http.protocol":       []byte(r.Proto),
		"http.host":           []byte(strings.ToLower(host)),
		"http.host.raw":       []byte(r.Host),
		"http.header":         header.Bytes(),
		"http.header.raw":     header.Bytes(),
		"http.user_agent":     []byte(r.UserAgent()),
		"http.cookie":         []byte(r.Header.Get("Cookie")),
		"http.referer":        []byte(r.Referer()),
		"http.content_type":   []byte(r.Header.Get("Content-Type")),
		"http.request_body":   body,
		"http.request_header": header.Bytes(),
	}}
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

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
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
