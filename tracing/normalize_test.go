package tracing

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw makes a span of key, value pairs.
func raw(kind Kind, pairs ...string) Span {
	s := NewSpan()
	s.Kind = kind
	for i := 0; i < len(pairs); i += 2 {
		s.Attributes = append(s.Attributes, Attribute{Key: pairs[i], Value: pairs[i+1]})
	}
	return s
}

func TestNormalizeDialects(t *testing.T) {
	tests := []struct {
		name string
		in   Span
		want func(*Span) // sets what is expected on a NewSpan
	}{
		{"current conventions, client",
			raw(KindClient, "http.request.method", "GET", "url.full", "https://shop/orders/17?x=1",
				"http.response.status_code", "503", "user_agent.original", "curl", "server.address", "shop",
				"server.port", "443", "network.protocol.version", "2", "network.peer.address", "10.0.0.7",
				"network.peer.port", "443", "http.request.body.size", "12", "custom", "x"),
			func(s *Span) {
				s.Kind, s.Method, s.URL, s.URLTemplate = KindClient, "GET", "https://shop/orders/17?x=1", "/orders/{id}"
				s.StatusCode, s.Error, s.UserAgent, s.Protocol, s.Peer = 503, true, "curl", "HTTP/2", "10.0.0.7:443"
				s.RequestSize, s.Attributes = 12, []Attribute{{Key: "custom", Value: "x"}}
			}},
		{"current conventions, server",
			raw(KindServer, "url.scheme", "http", "url.path", "/a/b", "url.query", "q=1", "server.address", "web",
				"server.port", "8080", "http.route", "/a/:x"),
			func(s *Span) {
				s.Kind, s.URL, s.URLTemplate = KindServer, "http://web:8080/a/b?q=1", "/a/:x"
			}},
		{"older conventions, server",
			raw(KindServer, "http.method", "PUT", "http.target", "/t?z", "http.host", "web:81", "http.scheme", "https",
				"http.user_agent", "ua", "http.flavor", "1.1", "net.sock.peer.addr", "10.1.1.1",
				"http.request_content_length", "7", "http.response_content_length", "9", "http.status_code", "404"),
			func(s *Span) {
				s.Kind, s.Method, s.URL, s.URLTemplate = KindServer, "PUT", "https://web:81/t?z", "/t"
				s.UserAgent, s.Protocol, s.Peer, s.RequestSize, s.ResponseSize = "ua", "HTTP/1.1", "10.1.1.1", 7, 9
				s.StatusCode = 404
			}},
		{"older conventions, client",
			raw(KindClient, "http.target", "/t", "net.peer.name", "::1", "net.peer.port", "8080"),
			func(s *Span) { s.Kind, s.URL, s.URLTemplate = KindClient, "http://[::1]:8080/t", "/t" }},
		{"gRPC of Envoy",
			raw(KindServer, "grpc.status_code", "14", "grpc.path", "/a.B/C", "response_flags", "UF,URX"),
			func(s *Span) {
				s.Kind, s.GRPCStatus, s.Error, s.ResponseFlags = KindServer, 14, true, "UF,URX"
				s.Attributes = []Attribute{{Key: "grpc.path", Value: "/a.B/C"}}
			}},
		{"gRPC by name, the client's fault",
			raw(KindServer, "rpc.response.status_code", "NOT_FOUND"),
			func(s *Span) { s.Kind, s.GRPCStatus = KindServer, 5 }},
		{"kind by inbound cluster",
			raw(KindUnspecified, "upstream_cluster.name", "inbound|80||;"),
			func(s *Span) { s.Kind, s.UpstreamCluster = KindServer, "inbound|80||" }},
		{"kind by outbound cluster",
			raw(KindUnspecified, "upstream_cluster", "outbound|80||a.b.svc.cluster.local"),
			func(s *Span) { s.Kind, s.UpstreamCluster = KindClient, "outbound|80||a.b.svc.cluster.local" }},
		{"both generations, equal and not",
			raw(KindServer, "http.status_code", "200", "http.response.status_code", "200",
				"http.url", "http://old/", "url.full", "http://new/", "http.url", "http://new/"),
			func(s *Span) {
				s.Kind, s.StatusCode, s.URL, s.URLTemplate = KindServer, 200, "http://new/", "/"
				s.Attributes = []Attribute{{Key: "http.url", Value: "http://old/"}, {Key: "http.url", Value: "http://new/"}}
			}},
		{"Jaeger's status",
			raw(KindInternal, "otel.status_code", "ERROR", "otel.status_description", "no route", "error", "true"),
			func(s *Span) { s.Kind, s.Error, s.StatusMessage = KindInternal, true, "no route" }},
		{"unreadable numbers stay",
			raw(KindServer, "http.status_code", "ok", "request_size", "-4"),
			func(s *Span) {
				s.Kind = KindServer
				s.Attributes = []Attribute{{Key: "http.status_code", Value: "ok"}, {Key: "request_size", Value: "-4"}}
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := NewSpan()
			test.want(&want)
			got := test.in
			Normalize(&got)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
			Normalize(&got)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("second time: got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

func TestNormalizeResource(t *testing.T) {
	s := raw(KindServer, "node_id", "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local")
	shared := []Attribute{
		{Key: "service.version", Value: "v2"}, {Key: "service.name", Value: "web"},
		{Key: "host.name", Value: "h1"}, {Key: "k8s.deployment.name", Value: "web"},
	}
	before := slices.Clone(shared)
	s.Resource, s.Duration = shared, -time.Second
	other := NewSpan()
	other.Resource = shared
	Normalize(&s)
	Normalize(&other)
	if !slices.Equal(shared, before) {
		t.Errorf("the shared resource was changed: %v", shared)
	}
	if s.Service != "web" || s.Version != "v2" || s.Namespace != "shop" || s.Workload != "web" || s.Duration != 0 {
		t.Errorf("got %+v", s)
	}
	if !strings.HasPrefix(s.Node, "sidecar~") || other.Node != "h1" {
		t.Errorf("node %q, and without node id %q", s.Node, other.Node)
	}
	want := []Attribute{{Key: "host.name", Value: "h1"}, {Key: "k8s.deployment.name", Value: "web"}}
	if !slices.Equal(s.Resource, want) {
		t.Errorf("resource %v, want %v", s.Resource, want)
	}
}

func TestDestination(t *testing.T) {
	tests := []struct{ cluster, url, peer, want string }{
		{"outbound|9180|v1|http-lb.default.svc.cluster.local", "", "", "http-lb.default"},
		{"outbound_.9180_._.http-lb.default.svc.cluster.local", "", "", "http-lb.default"},
		{"outbound|443||example.org", "", "", "example.org"},
		{"PassthroughCluster", "http://example.org:81/x", "", "example.org"},
		{"BlackHoleCluster", "", "10.0.0.1:80", "10.0.0.1:80"},
		{"local_service", "http://x/", "", "local_service"},
		{"-", "http://u@[::1]:80/", "", "[::1]"},
	}
	for _, test := range tests {
		s := Span{Kind: KindClient, UpstreamCluster: test.cluster, URL: test.url, Peer: test.peer}
		if got := s.Destination(); got != test.want {
			t.Errorf("cluster %q url %q: %q, want %q", test.cluster, test.url, got, test.want)
		}
	}
	inbound := Span{Kind: KindClient, UpstreamCluster: "InboundPassthroughCluster"}
	if inbound.Side() != SideNone {
		t.Errorf("a sidecar's call of its own application counts as %s", inbound.Side())
	}
	mirror := Span{URL: "http://snort-ids-shadow:80/a"}
	if !mirror.Mirrored() {
		t.Error("a mirrored request is not seen as one")
	}
}

func TestTemplate(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"http://h":                 "/",
		"http://h?q":               "/",
		"*":                        "*",
		"/orders/17/items/3?x=1#f": "/orders/{id}/items/{id}",
		"http://h:80/v1/hello3":    "/v1/hello3",
		"/u/6f1c2d3e-0000-4000-8000-aabbccddeeff": "/u/{id}",
		"/t/edf51ded81c4bd8a8940a334159c542c":     "/t/{id}",
		"/s/01ARZ3NDEKTSV4RRFFQ69G5FAV/x":         "/s/{id}/x",
		"/j/eyJhbGciOiJIUzI1NiIsInR5cCI6":         "/j/{id}",
		"/day/2026-11-24":                         "/day/{date}",
		"/day/2026-11-24T10:00:00Z":               "/day/{date}",
		"/mail/a.b@example.org":                   "/mail/{email}",
		"/mail/a%40example.org/":                  "/mail/{email}/",
		"/img/0000000001.png":                     "/img/{id}.png",
		"/img/file1.png":                          "/img/file1.png",
		"/a;jsessionid=12/b":                      "/a/b",
		"/clover/testurl":                         "/clover/testurl",
		"/kubernetes-dashboard-v2-settings":       "/kubernetes-dashboard-v2-settings",
		"/cafe/deadbeef/facade":                   "/cafe/deadbeef/facade",
		"/proxy/http://other/1":                   "/proxy/http://other/{id}",
		"/internationalization2024":               "/internationalization2024",
	} {
		if got := Template(in); got != want {
			t.Errorf("Template(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"http://h/1/x;y=2?z", "a://", "/;", "x/y://1", "/a@b.c/%40", "/1.png;2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		once := Template(url)
		if twice := Template(once); twice != once {
			t.Errorf("%q gives %q, that gives %q", url, once, twice)
		}
	})
}

// FuzzNormalize builds spans from lines "key=value"; a line of "--" begins
// the resource.
func FuzzNormalize(f *testing.F) {
	f.Add("http.url=http://a/b\nurl.full=http://a/b\nx=1\n--\nhost.name=h\nservice.name=s", uint8(2), "", 0)
	f.Add("http.target=/x\nhttp.host=h\nhttp.host=h\nurl.query=\nerror=false\nerror=", uint8(3), "http://h/x", 500)
	f.Add("network.protocol.name=http\nnetwork.protocol.version=\nhttp.flavor=2.0\nspan.kind=foo", uint8(0), "", 0)
	f.Add("net.peer.name=a\nnet.peer.port=80\nurl.path=/x\notel.scope.name=a b\notel.scope.version=1", uint8(3), "", 0)
	f.Fuzz(func(t *testing.T, lines string, kind uint8, url string, status int) {
		s := NewSpan()
		s.Kind, s.URL, s.StatusCode = Kind(kind), url, status
		list := &s.Attributes
		for line := range strings.SplitSeq(lines, "\n") {
			if line == "--" {
				list = &s.Resource
				continue
			}
			key, value, _ := strings.Cut(line, "=")
			*list = append(*list, Attribute{Key: key, Value: value})
		}
		unknown := unknownAttributes(&s)
		Normalize(&s)
		if got := unknownAttributes(&s); !slices.Equal(got, unknown) {
			t.Errorf("unknown attributes %q became %q", unknown, got)
		}
		once := s
		once.Attributes, once.Resource = slices.Clone(s.Attributes), slices.Clone(s.Resource)
		Normalize(&s)
		if !reflect.DeepEqual(s, once) {
			t.Errorf("once\n%+v\ntwice\n%+v", once, s)
		}
	})
}

func unknownAttributes(s *Span) []string {
	var out []string
	for i, list := range [...][]Attribute{s.Attributes, s.Resource} {
		for _, a := range list {
			if _, known := keyByName[a.Key]; !known {
				out = append(out, string(rune('0'+i))+a.Key+"="+a.Value)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Longer lists than the index holds in place.
func TestNormalizeManyAttributes(t *testing.T) {
	s := NewSpan()
	for i := range 1000 {
		s.Attributes = append(s.Attributes, Attribute{Key: "k" + string(rune('a'+i%26)), Value: "v"})
		s.Resource = append(s.Resource, Attribute{Key: "r", Value: "v"})
	}
	s.Attributes = append(s.Attributes, Attribute{Key: "http.method", Value: "GET"})
	s.Resource = append(s.Resource, Attribute{Key: "service.name", Value: "web"})
	Normalize(&s)
	if s.Method != "GET" || s.Service != "web" || len(s.Attributes) != 1000 || len(s.Resource) != 1000 {
		t.Errorf("method %q service %q, %d and %d attributes", s.Method, s.Service, len(s.Attributes), len(s.Resource))
	}
}

func BenchmarkNormalizeEnvoy(b *testing.B) {
	sample := sampleSpans(b, sampleNames[0])[0]
	work := make([]Attribute, len(sample.Attributes))
	b.ReportAllocs()
	for b.Loop() {
		s := sample
		copy(work, sample.Attributes)
		s.Attributes = work
		Normalize(&s)
	}
}

func BenchmarkTemplate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Template("http://proxy-access-control.default:9180/clover/testurl/4711")
	}
}
