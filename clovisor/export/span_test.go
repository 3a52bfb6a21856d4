package export_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/tracing"
)

var began = time.Date(2026, 11, 26, 0, 10, 11, 123456789, time.UTC)

// get is a whole session of HTTP/1.1; change makes it another.
func get(change ...func(*session.Session)) *session.Session {
	s := &session.Session{
		Client: netip.MustParseAddrPort("10.0.0.1:44556"), Server: netip.MustParseAddrPort("10.0.0.2:9180"),
		Direction: packet.Ingress, Transport: packet.TCP, RequestSeq: 1000, ResponseSeq: 2000,
	}
	s.Protocol, s.Outcome, s.GRPCStatus = "HTTP/1.1", session.Paired, -1
	s.Method, s.Target, s.Host = "GET", "/orders/17?x=1", "web:9180"
	s.UserAgent, s.ContentType, s.Status, s.RequestID = "curl/8", "text/html", 200, "r-1"
	s.Request.First, s.Request.Last = began, began.Add(time.Millisecond)
	s.Request.HeaderBytes, s.Request.BodyBytes = 80, 12
	s.Response.First, s.Response.Last = began.Add(3*time.Millisecond), began.Add(5*time.Millisecond)
	s.Response.HeaderBytes, s.Response.BodyBytes = 120, 345
	for _, f := range change {
		f(s)
	}
	return s
}

var pod = export.Place{Node: "n1", Namespace: "default", Pod: "web-5d-x", PodUID: "u1", Container: "app",
	Kind: "Deployment", Workload: "web-v1", Service: "web"}

// list returns attributes as "key=value".
func list(attributes []tracing.Attribute) []string {
	out := make([]string, len(attributes))
	for i, a := range attributes {
		out[i] = a.Key + "=" + a.Value
	}
	return out
}

func TestSpanHTTP(t *testing.T) {
	s := get(func(s *session.Session) {
		s.TCP = session.TCP{Retransmissions: 1, RoundTrip: 250 * time.Microsecond}
		s.Trace = session.TraceContext{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", State: "a=b"}
	})
	got := export.Span(s, pod)
	want := tracing.NewSpan()
	want.Kind, want.Scope = tracing.KindServer, export.Scope
	want.TraceID, _ = tracing.ParseTraceID("0af7651916cd43dd8448eb211c80319c")
	want.ParentID, _ = tracing.ParseSpanID("b7ad6b7169203331")
	want.SpanID = got.SpanID
	want.Service, want.Namespace, want.Operation = "web.default", "default", "GET"
	want.Start, want.Duration = began, 5*time.Millisecond
	want.Method, want.URL, want.StatusCode, want.UserAgent = "GET", "http://web:9180/orders/17?x=1", 200, "curl/8"
	want.Protocol, want.Peer, want.RequestID = "HTTP/1.1", "10.0.0.1:44556", "r-1"
	want.RequestSize, want.ResponseSize = 12, 345
	want.Attributes, want.Resource = got.Attributes, got.Resource
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if got.SpanID.IsZero() || !got.Observed() {
		t.Error("no span id, or not known as one of Clovisor")
	}
	attributes := []string{
		"client.address=10.0.0.1", "client.port=44556", "clovisor.complete=true", "clovisor.outcome=paired",
		"clovisor.request.header.size=80", "clovisor.response.header.size=120",
		"clovisor.tcp.retransmissions=1", "clovisor.tcp.round_trip_ns=250000", "clovisor.time_to_first_byte_ns=3000000",
		"http.request.size=92", "http.response.header.content-type=text/html", "http.response.size=465",
		"network.local.address=10.0.0.2", "network.local.port=9180", "network.transport=tcp", "network.type=ipv4",
		"server.address=web", "server.port=9180", "w3c.tracestate=a=b",
	}
	if l := list(got.Attributes); !slices.Equal(l, attributes) {
		t.Errorf("attributes\n%q\nwant\n%q", l, attributes)
	}
	resource := []string{"k8s.container.name=app", "k8s.node.name=n1", "k8s.pod.name=web-5d-x", "k8s.pod.uid=u1",
		"k8s.service.name=web", "k8s.deployment.name=web-v1"}
	if l := list(got.Resource); !slices.Equal(l, resource) {
		t.Errorf("resource\n%q\nwant\n%q", l, resource)
	}
}

func TestSpanOthers(t *testing.T) {
	tests := []struct {
		name   string
		change func(*session.Session)
		place  export.Place
		want   func(*tracing.Span) bool
		has    []string
	}{
		{"outgoing", func(s *session.Session) { s.Direction = packet.Egress }, export.Place{Namespace: "shop", Workload: "front"},
			func(s *tracing.Span) bool {
				return s.Kind == tracing.KindClient && s.Service == "front.shop" && s.Peer == "10.0.0.2:9180"
			}, []string{"network.local.address=10.0.0.1", "client.address=10.0.0.1"}},
		{"no place", func(*session.Session) {}, export.Place{},
			func(s *tracing.Span) bool { return s.Service == "10.0.0.2:9180" && len(s.Resource) == 0 }, nil},
		{"host without Kubernetes", func(*session.Session) {}, export.Place{Node: "laptop"},
			func(s *tracing.Span) bool { return s.Resource[0].Key == "host.name" && s.Resource[0].Value == "laptop" }, nil},
		{"IPv6", func(s *session.Session) {
			s.Server, s.Host = netip.MustParseAddrPort("[fd00::2]:80"), "[fd00::2]"
			s.Client = netip.MustParseAddrPort("[fd00::1]:5000")
		}, pod, func(s *tracing.Span) bool {
			return s.URL == "http://[fd00::2]/orders/17?x=1" && s.Peer == "[fd00::1]:5000"
		},
			[]string{"network.type=ipv6", "server.address=fd00::2", "server.port=80", "client.address=fd00::1"}},
		{"server fault", func(s *session.Session) { s.Status = 503 }, pod,
			func(s *tracing.Span) bool { return s.Error }, []string{"error.type=503"}},
		{"client fault", func(s *session.Session) { s.Status = 404 }, pod, func(s *tracing.Span) bool { return !s.Error }, nil},
		{"reset", func(s *session.Session) {
			s.Response, s.Status, s.TCP.Resets, s.Outcome = session.Message{}, 0, 1, session.NoResponseReset
		}, pod, func(s *tracing.Span) bool {
			return s.Error && s.StatusMessage != "" && s.ResponseSize == -1 && s.Duration == time.Millisecond
		}, []string{"error.type=connection_reset", "clovisor.complete=false", "clovisor.outcome=no_response_reset"}},
		{"gap", func(s *session.Session) { s.Response.Truncated, s.TCP.LostBytes = true, 1448 }, pod,
			func(s *tracing.Span) bool { return !s.Error },
			[]string{"clovisor.complete=false", "clovisor.response.truncated=true", "clovisor.tcp.lost_bytes=1448"}},
		{"odd method", func(s *session.Session) { s.Method = "BREW" }, pod,
			func(s *tracing.Span) bool { return s.Method == "_OTHER" && s.Operation == "HTTP" },
			[]string{"http.request.method_original=BREW"}},
		{"response alone", func(s *session.Session) { s.Method, s.Target, s.Request = "", "", session.Message{} }, pod,
			func(s *tracing.Span) bool {
				return s.Method == "" && s.URL == "" && s.Operation == "HTTP" && s.Start.Equal(began.Add(3*time.Millisecond))
			}, nil},
		{"early response", func(s *session.Session) { s.Request.Last = began.Add(9 * time.Millisecond) }, pod,
			func(s *tracing.Span) bool { return s.Duration == 9*time.Millisecond }, nil},
		{"gRPC", func(s *session.Session) {
			s.Protocol, s.GRPCService, s.GRPCMethod, s.GRPCStatus = "gRPC", "shop.Cart", "Add", 14
			s.Method, s.Target, s.Request.Messages = "POST", "/shop.Cart/Add", 2
		}, pod, func(s *tracing.Span) bool {
			return s.Operation == "shop.Cart/Add" && s.GRPCStatus == 14 && s.Error && s.Protocol == "HTTP/2"
		}, []string{"rpc.system=grpc", "rpc.service=shop.Cart", "rpc.method=Add", "clovisor.request.messages=2", "error.type=Unavailable"}},
		{"redis", func(s *session.Session) {
			s.Protocol, s.Method, s.Target, s.Host, s.Status = "redis", "GET", "user:1", "", 0
			s.Attributes = []session.Attribute{{Key: "db.response.status_code", Value: "WRONGTYPE"}, {Key: "network.transport", Value: "fake"}}
		}, pod, func(s *tracing.Span) bool {
			return s.Operation == "GET" && s.Protocol == "REDIS" && s.Method == "" && s.RequestSize == -1
		}, []string{"db.system.name=redis", "db.operation.name=GET", "clovisor.request.size=92", "server.address=10.0.0.2",
			"db.response.status_code=WRONGTYPE", "network.transport=tcp"}},
		{"dns", func(s *session.Session) {
			s.Protocol, s.Method, s.Target, s.Host, s.Transport = "dns", "AAAA", "web.default", "", packet.UDP
		}, pod, func(s *tracing.Span) bool { return s.Operation == "AAAA" },
			[]string{"dns.question.name=web.default", "dns.question.type=AAAA", "network.transport=udp"}},
		{"plug-in", func(s *session.Session) {
			s.Protocol, s.Method, s.Target, s.Host = "memcached", "", "", ""
			s.Attributes = []session.Attribute{{Key: "db.operation.name", Value: "get"}}
		}, pod, func(s *tracing.Span) bool { return s.Operation == "get" && s.Protocol == "MEMCACHED" }, nil},
		{"too long", func(s *session.Session) { s.UserAgent = strings.Repeat("ü", 4000) }, pod,
			func(s *tracing.Span) bool { return len(s.UserAgent) == 4096 }, []string{"clovisor.clipped=true"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := export.Span(get(test.change), test.place)
			if !test.want(&got) {
				t.Errorf("%+v", got)
			}
			l := list(got.Attributes)
			for _, a := range test.has {
				if !slices.Contains(l, a) {
					t.Errorf("%s is not among %q", a, l)
				}
			}
			seen := map[string]bool{}
			for _, a := range got.Attributes {
				if seen[a.Key] {
					t.Errorf("%s is there twice", a.Key)
				}
				seen[a.Key] = true
			}
			readsBack(t, &got)
		})
	}
}

// readsBack holds that what is sent by OTLP comes in as the same span.
func readsBack(t *testing.T, s *tracing.Span) {
	t.Helper()
	want := *s
	want.Attributes, want.Resource = slices.Clone(s.Attributes), slices.Clone(s.Resource)
	spans, rejected := tracing.FromOTLP(tracing.ToOTLP([]tracing.Span{*s}))
	if len(spans) != 1 || len(rejected) != 0 {
		t.Fatalf("%d spans, rejected %v", len(spans), rejected)
	}
	tracing.Normalize(&want)
	want.Start = want.Start.UTC()
	if !reflect.DeepEqual(spans[0], want) {
		t.Errorf("it comes in as\n%+v\nwant\n%+v", spans[0], want)
	}
}

func TestTraceContext(t *testing.T) {
	const trace, span = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
	for _, test := range []struct {
		name, trace, span string
		joins             string
	}{
		{"128 bit", trace, span, trace},
		{"64 bit of B3", trace[16:], span, "0000000000000000" + trace[16:]},
		{"upper case", strings.ToUpper(trace), strings.ToUpper(span), trace},
		{"no span", trace, "", ""},
		{"zero trace", strings.Repeat("0", 32), span, ""},
		{"zero span", trace, strings.Repeat("0", 16), ""},
		{"short", "1", "1", ""},
		{"no hexadecimal", strings.Repeat("x", 32), span, ""},
		{"none", "", "", ""},
	} {
		for _, direction := range []packet.Direction{packet.Ingress, packet.Egress} {
			s := get(func(s *session.Session) {
				s.Direction, s.Trace.TraceID, s.Trace.SpanID, s.Trace.State = direction, test.trace, test.span, "x=y"
			})
			got := export.Span(s, pod)
			_, hasState := got.Attribute("w3c.tracestate")
			if test.joins == "" {
				if !got.ParentID.IsZero() || got.TraceID.IsZero() || hasState {
					t.Errorf("%s: trace %s, parent %s", test.name, got.TraceID, got.ParentID)
				}
			} else if got.TraceID.String() != test.joins || got.ParentID.String() != span || !hasState {
				t.Errorf("%s: trace %s, parent %s", test.name, got.TraceID, got.ParentID)
			}
			if got.SpanID.IsZero() || got.SpanID == got.ParentID {
				t.Errorf("%s: span id %s", test.name, got.SpanID)
			}
		}
	}
}

// TestIdentity holds what makes two reports one span, and what does not.
func TestIdentity(t *testing.T) {
	first := export.Span(get(), pod)
	same := map[string]func(*session.Session){
		"another interface": func(s *session.Session) { s.Interface = 7 },
		"seen later":        func(s *session.Session) { s.Request.First = began.Add(time.Microsecond) },
		"before the service's address was translated": func(s *session.Session) { s.Server = netip.MustParseAddrPort("10.96.0.9:80") },
		"4-in-6": func(s *session.Session) { s.Client = netip.MustParseAddrPort("[::ffff:10.0.0.1]:44556") },
	}
	for name, change := range same {
		if got := export.Span(get(change), pod); got.Identity() != first.Identity() {
			t.Errorf("%s: %v, want %v", name, got.Identity(), first.Identity())
		}
	}
	other := export.Span(get(func(s *session.Session) { s.Direction = packet.Egress }), export.Place{Workload: "client"})
	if other.TraceID != first.TraceID || other.SpanID != first.SpanID || other.Kind == first.Kind {
		t.Errorf("the two ends: %v and %v", other.Identity(), first.Identity())
	}
	different := map[string]func(*session.Session){
		"next request":   func(s *session.Session) { s.RequestSeq++ },
		"next response":  func(s *session.Session) { s.ResponseSeq++ },
		"another stream": func(s *session.Session) { s.Stream = 3 },
		"another port":   func(s *session.Session) { s.Client = netip.MustParseAddrPort("10.0.0.1:44557") },
		"UDP": func(s *session.Session) {
			s.Transport, s.RequestSeq, s.ResponseSeq = packet.UDP, 0, 0
		},
		"UDP later": func(s *session.Session) {
			s.Transport, s.RequestSeq, s.ResponseSeq, s.Request.First = packet.UDP, 0, 0, began.Add(1)
		},
		"UDP of another server": func(s *session.Session) {
			s.Transport, s.RequestSeq, s.ResponseSeq, s.Server = packet.UDP, 0, 0, netip.MustParseAddrPort("10.0.0.3:53")
		},
	}
	seen := map[tracing.SpanID]string{first.SpanID: "first"}
	for name, change := range different {
		got := export.Span(get(change), pod)
		if was, ok := seen[got.SpanID]; ok || got.TraceID == first.TraceID {
			t.Errorf("%s has the ids of %s", name, was)
		}
		seen[got.SpanID] = name
	}
}

func TestURL(t *testing.T) {
	for _, test := range []struct{ method, scheme, host, target, want string }{
		{"GET", "", "web", "/", "http://web/"},
		{"GET", "https", "web:8443", "/a?b#c", "https://web:8443/a?b#c"},
		{"GET", "", "", "/a", "http://10.0.0.2:9180/a"},
		{"GET", "", "proxy", "http://other/x", "http://other/x"},
		{"GET", "", "p", "http://me:secret@other/x", "http://REDACTED:REDACTED@other/x"},
		{"GET", "", "me:secret@web", "/x@y", "http://REDACTED:REDACTED@web/x@y"},
		{"GET", "", "web", "/x?a=1&sig=abc&Signature=&b=sig=2", "http://web/x?a=1&sig=REDACTED&Signature=&b=sig=2"},
		{"OPTIONS", "", "web", "*", "http://web"},
		{"CONNECT", "", "web:443", "web:443", "http://web:443"},
		{"GET", "", "web", "", ""},
		{"GET", "", "web", "/a\x1b[2J\x7f b\xff\u202e", "http://web/a%1B[2J%7F%20b%FF\u202e"},
		{"GET", "", "we\r\nb", "/", "http://we%0D%0Ab/"},
	} {
		s := get(func(s *session.Session) {
			s.Method, s.Scheme, s.Host, s.Target = test.method, test.scheme, test.host, test.target
		})
		if got := export.URL(s); got != test.want {
			t.Errorf("%s %s %q %q: %q, want %q", test.method, test.scheme, test.host, test.target, got, test.want)
		}
	}
}

// FuzzSpan holds that any text makes a span that OTLP takes and reads back,
// and one printable line.
func FuzzSpan(f *testing.F) {
	f.Add("GET", "web", "/x", "ua", "HTTP/1.1", "key", "value", uint8(1))
	f.Add("CONNECT", "[::1", "a://b@c?sig=1", "\xff", "gRPC", "error", "", uint8(2))
	f.Add("", "@:0", "*", "\u202e", "redis", "server.address", "\x1b[1m", uint8(0))
	f.Fuzz(func(t *testing.T, method, host, target, agent, protocol, key, value string, direction uint8) {
		s := get(func(s *session.Session) {
			s.Method, s.Host, s.Target, s.UserAgent, s.Protocol = method, host, target, agent, protocol
			s.Direction, s.Attributes = packet.Direction(direction), []session.Attribute{{Key: key, Value: value}}
		})
		span := export.Span(s, pod)
		if got, _ := tracing.FromOTLP(tracing.ToOTLP([]tracing.Span{span})); len(got) != 1 || got[0].Identity() != span.Identity() {
			t.Errorf("it comes in as %+v", got)
		}
		printable(t, s)
	})
}

// TestBesideASidecar holds that a request counts once where its sidecar
// reports it too.
func TestBesideASidecar(t *testing.T) {
	beside := pod
	beside.Sidecar = "istio-proxy"
	trace := session.TraceContext{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", Sampled: true}
	unsampled := trace
	unsampled.Sampled = false
	for name, c := range map[string]struct {
		place export.Place
		trace session.TraceContext
		want  tracing.Kind
	}{
		"sampled": {beside, trace, tracing.KindInternal}, "not sampled": {beside, unsampled, tracing.KindServer},
		"without a trace": {beside, session.TraceContext{}, tracing.KindServer}, "no sidecar": {pod, trace, tracing.KindServer},
	} {
		s := export.Span(get(func(s *session.Session) { s.Trace = c.trace }), c.place)
		if s.Kind != c.want {
			t.Errorf("%s: kind %v, want %v", name, s.Kind, c.want)
		}
	}
}

// TestNoPasswords holds that what an URL hides is not said beside it.
func TestNoPasswords(t *testing.T) {
	for _, change := range []func(*session.Session){
		func(s *session.Session) { s.Host = "me:hunter2@web:80" },
		func(s *session.Session) { s.Host = "me:hunter2@web" },
		func(s *session.Session) { s.Target = "http://me:hunter2@web/" },
		func(s *session.Session) { s.Target = "/file?sig=hunter2&a=1" },
		func(s *session.Session) { s.Method, s.Target = "CONNECT", "me:hunter2@web:443" },
	} {
		s := get(change)
		record, err := json.Marshal(export.NewRecord(s, pod))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(record), fmt.Sprintf("%+v", export.Span(s, pod)), line(t, s, pod, export.Text), line(t, s, pod, export.JSON)} {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s %s: %s", s.Target, s.Host, text)
			}
		}
	}
}
