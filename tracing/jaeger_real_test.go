package tracing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

var jaegerProtocols = []JaegerProtocol{JaegerAPIv3GRPC, JaegerAPIv3HTTP, JaegerLegacy}

func (r *realJaeger) client(t *testing.T, o JaegerOptions) *Jaeger {
	t.Helper()
	o.URL, o.GRPCAddr = r.QueryHTTP+"/", r.QueryGRPC
	return newTestJaeger(t, o)
}

func newTestJaeger(t *testing.T, o JaegerOptions) *Jaeger {
	t.Helper()
	setDefault(&o.Timeout, 2*time.Minute) // the machine may be busy
	j, err := NewJaeger(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// searchAll reads a whole search, each span once.
func searchAll(t *testing.T, j *Jaeger, q SearchQuery) (map[Identity]Span, []Page, error) {
	t.Helper()
	spans := map[Identity]Span{}
	var pages []Page
	for page, err := range j.Search(t.Context(), q) {
		if err != nil {
			return spans, pages, err
		}
		if len(page.Rejected) > 0 {
			t.Errorf("rejected: %v", page.Rejected)
		}
		for _, s := range page.Spans {
			if before, ok := spans[s.Identity()]; ok && !reflect.DeepEqual(before, s) {
				t.Errorf("a span came in two forms:\n%s%s", describe(&before), describe(&s))
			}
			spans[s.Identity()] = s
		}
		page.Spans = nil
		pages = append(pages, page)
	}
	return spans, pages, nil
}

// shopTraces makes n traces of two spans each, some of them with everything
// that a span can have.
func shopTraces(n int, start func(i int) time.Time) (spans []Span) {
	for i := range n {
		var trace TraceID
		binary.BigEndian.PutUint64(trace[8:], uint64(i)+1)
		server := NewSpan()
		server.TraceID, server.SpanID, server.Kind = trace, SpanID{7: 1}, KindServer
		server.Service, server.Operation = "shop", fmt.Sprintf("GET /item/%d", i%3)
		server.Start, server.Duration = start(i), time.Duration(i+1)*time.Microsecond
		server.Method, server.StatusCode, server.URL = "GET", 200, fmt.Sprintf("http://shop:8080/item/%d?q=ä", i)
		server.UserAgent, server.RequestSize, server.ResponseSize = "test/1", 0, int64(i)
		server.Attributes = []Attribute{
			{Key: "big", Value: "9007199254740995", Type: TypeInt}, {Key: "colour", Value: []string{"red", "blue"}[i%2]},
			{Key: "ok", Value: "true", Type: TypeBool}, {Key: "ratio", Value: "0.25", Type: TypeFloat},
		}
		server.Resource = []Attribute{{Key: "region", Value: "north"}}
		server.Scope = "shop-lib 1.2"
		server.Events = []Event{{Time: server.Start, Name: "cache miss", Attributes: []Attribute{{Key: "key", Value: "k"}}}}
		client := NewSpan()
		client.TraceID, client.SpanID, client.ParentID, client.Kind = trace, SpanID{7: 2}, server.SpanID, KindClient
		client.Service, client.Operation = "shop", "call stock"
		client.Start, client.Duration = server.Start.Add(10*time.Millisecond), time.Millisecond
		client.Method, client.StatusCode, client.Error = "POST", 503, true
		client.StatusMessage = "stock is down"
		for _, s := range []*Span{&server, &client} {
			Normalize(s)
			spans = append(spans, *s)
		}
	}
	return spans
}

func forEachJaeger(t *testing.T, maxTraces int, test func(t *testing.T, r *realJaeger)) {
	for _, version := range testutil.JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			test(t, startJaeger(t, version, maxTraces))
		})
	}
}

// TestJaegerRealSearch sends more than fits a page, in bursts, and expects
// each span once and alike over each protocol.
func TestJaegerRealSearch(t *testing.T) {
	forEachJaeger(t, 10000, func(t *testing.T, r *realJaeger) {
		base := time.Now().Add(-10 * time.Minute).Truncate(time.Second).UTC()
		sent := shopTraces(700, func(i int) time.Time {
			return base.Add(time.Duration(i/7)*333*time.Millisecond + time.Duration(i%7)*time.Microsecond)
		})
		r.send(t, sent)
		want := map[Identity]Span{}
		for _, s := range sent {
			want[s.Identity()] = s
		}
		query := SearchQuery{Service: "shop", From: base, To: base.Add(10 * time.Minute)}
		for _, protocol := range jaegerProtocols {
			t.Run(protocol.String(), func(t *testing.T) {
				j := r.client(t, JaegerOptions{Protocol: protocol, PageLimit: 20})
				var got map[Identity]Span
				poll(t, func() error {
					spans, pages, err := searchAll(t, j, query)
					if got = spans; err == nil && len(got) < len(want) {
						err = fmt.Errorf("%d of %d spans in %d pages", len(got), len(want), len(pages))
					}
					for _, page := range pages {
						if page.Truncated {
							t.Fatalf("truncated: %+v", page)
						}
					}
					return err
				})
				for id, s := range want {
					if g := got[id]; describe(&g) != describe(&s) {
						t.Fatalf("got\n%swant\n%s", describe(&g), describe(&s))
					}
				}
				checkJaegerReads(t, j, sent)
			})
		}
	})
}

// checkJaegerReads checks everything but an unrestricted search.
func checkJaegerReads(t *testing.T, j *Jaeger, sent []Span) {
	t.Helper()
	ctx := t.Context()
	if services, err := j.Services(ctx); err != nil || !slices.Contains(services, "shop") {
		t.Errorf("services: %v, %v", services, err)
	}
	wantOps := []Operation{{"GET /item/0", KindServer}, {"GET /item/1", KindServer}, {"GET /item/2", KindServer}, {"call stock", KindClient}}
	if operations, err := j.Operations(ctx, "shop"); err != nil || !slices.Equal(operations, wantOps) {
		t.Errorf("operations: %v, %v", operations, err)
	}
	if operations, err := j.Operations(ctx, "nobody"); err != nil || len(operations) > 0 {
		t.Errorf("operations of nobody: %v, %v", operations, err)
	}
	spans, err := j.Trace(ctx, sent[10].TraceID)
	if err != nil || len(spans) != 2 || spans[0].TraceID != sent[10].TraceID {
		t.Errorf("trace: %v, %v", spans, err)
	}
	if _, err := j.Trace(ctx, TraceID{1, 2, 3}); !errors.Is(err, ErrNotFound) || !errors.Is(err, ErrInvalid) {
		t.Errorf("missing trace: %v", err)
	}
	from, to := sent[0].Start, sent[len(sent)-1].End()
	count := func(q SearchQuery) int {
		q.Service, q.From, q.To = "shop", from, to
		spans, _, err := searchAll(t, j, q)
		if err != nil {
			t.Errorf("%+v: %v", q, err)
		}
		return len(spans)
	}
	if n := count(SearchQuery{Operation: "GET /item/1"}); n != 2*233 {
		t.Errorf("by operation: %d spans", n)
	}
	if n := count(SearchQuery{Tags: map[string]string{"colour": "red"}}); n != 2*350 {
		t.Errorf("by tag: %d spans", n)
	}
	if n := count(SearchQuery{Operation: "GET /item/0", MinDuration: 600 * time.Microsecond, MaxDuration: 650 * time.Microsecond}); n != 2*17 {
		t.Errorf("by duration: %d spans", n)
	}
	for _, q := range []SearchQuery{
		{Service: "nobody", From: from, To: to},
		{Service: "shop", From: from.Add(-time.Hour), To: from.Add(-30 * time.Minute)},
	} {
		if spans, pages, err := searchAll(t, j, q); err != nil || len(spans) > 0 || len(pages) != 1 {
			t.Errorf("%+v: %d spans, %v", q, len(spans), err)
		}
	}
}

// TestJaegerRealFlood fills an instant with more than can be asked for. The
// memory storage of Jaeger 2 does not agree to be asked for more than it can
// hold, which the client finds out.
func TestJaegerRealFlood(t *testing.T) {
	forEachJaeger(t, 400, func(t *testing.T, r *realJaeger) {
		instant := time.Now().Add(-time.Minute).Truncate(time.Second).UTC()
		sent := shopTraces(300, func(i int) time.Time {
			return instant.Add(time.Duration(max(0, i-289)) * time.Microsecond) // 290 at once, then 10 alone
		})
		r.send(t, sent)
		query := SearchQuery{Service: "shop", Operation: "", From: instant.Add(-time.Second), To: instant.Add(time.Second)}
		for _, protocol := range jaegerProtocols {
			t.Run(protocol.String(), func(t *testing.T) {
				all := r.client(t, JaegerOptions{Protocol: protocol, PageLimit: 10, MaxTraces: 100000})
				poll(t, func() error {
					spans, pages, err := searchAll(t, all, query)
					if err == nil && len(spans) != len(sent) {
						err = fmt.Errorf("%d of %d spans in %d pages", len(spans), len(sent), len(pages))
					}
					return err
				})
				j := r.client(t, JaegerOptions{Protocol: protocol, PageLimit: 10, MaxTraces: 50})
				spans, pages, err := searchAll(t, j, query)
				if err != nil {
					t.Fatal(err)
				}
				var truncated []Page
				for _, page := range pages {
					if page.Truncated {
						truncated = append(truncated, page)
					}
				}
				// The servers' spans and, 10 ms later, the clients'; over
				// the legacy API the neighbours may be truncated, too.
				if len(truncated) < 2 || len(truncated) > 6 || protocol != JaegerLegacy && len(truncated) != 2 {
					t.Errorf("truncated: %+v", truncated)
				}
				for _, page := range truncated {
					if page.Reason != TruncatedInstant || page.To.Sub(page.From) != time.Microsecond {
						t.Errorf("truncated: %+v", page)
					}
				}
				if len(spans) < 2*(50+8) {
					t.Errorf("%d spans", len(spans))
				}
			})
		}
	})
}

// TestJaegerRealZipkin sends a client's and a server's span with one id: it
// has to come back as it was sent, and not as Jaeger adjusts it for its UI.
func TestJaegerRealZipkin(t *testing.T) {
	forEachJaeger(t, 1000, func(t *testing.T, r *realJaeger) {
		start := time.Now().Add(-time.Minute).Truncate(time.Millisecond).UTC()
		const span = `{"traceId":"00000000000000aa","id":"00000000000000bb","parentId":"00000000000000aa","kind":"%s","name":"get","timestamp":%d,"duration":1000,"localEndpoint":{"serviceName":"%s"},"tags":{"http.status_code":"200"}%s}`
		r.sendZipkin(t, "["+strings.Join([]string{
			fmt.Sprintf(span, "CLIENT", start.UnixMicro(), "front", ""),
			fmt.Sprintf(span, "SERVER", start.Add(time.Hour).UnixMicro(), "back", `,"shared":true`), // a clock that is ahead
		}, ",")+"]")
		for _, protocol := range jaegerProtocols {
			t.Run(protocol.String(), func(t *testing.T) {
				j := r.client(t, JaegerOptions{Protocol: protocol})
				trace := TraceID{15: 0xaa}
				var spans []Span
				poll(t, func() (err error) {
					if spans, err = j.Trace(t.Context(), trace); err == nil && len(spans) != 2 {
						err = fmt.Errorf("%d spans", len(spans))
					}
					return err
				})
				found, _, err := searchAll(t, j, SearchQuery{Service: "back", From: start, To: start.Add(2 * time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				for _, list := range [][]Span{spans, slices.Collect(maps.Values(found))} {
					if len(list) != 2 {
						t.Fatalf("%d spans", len(list))
					}
					for _, s := range list {
						want := map[string]time.Time{"front": start, "back": start.Add(time.Hour)}[s.Service]
						if s.SpanID != (SpanID{7: 0xbb}) || !s.Start.Equal(want) {
							t.Errorf("adjusted:\n%s", describe(&s))
						}
					}
				}
			})
		}
	})
}

func TestJaegerRealDetect(t *testing.T) {
	forEachJaeger(t, 100, func(t *testing.T, r *realJaeger) {
		root := strings.TrimSuffix(r.QueryHTTP, "/jaeger")
		addr := strings.TrimPrefix(root, "http://")
		without := func(paths ...string) string {
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
			proxy.Transport = &http.Transport{DisableKeepAlives: true}
			return serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				for _, path := range paths {
					if strings.HasPrefix(req.URL.Path, path) {
						http.NotFound(w, req)
						return
					}
				}
				proxy.ServeHTTP(w, req)
			})).URL
		}
		for _, test := range []struct {
			name string
			o    JaegerOptions
			want JaegerProtocol
		}{
			{"both ports", JaegerOptions{URL: r.QueryHTTP, GRPCAddr: r.QueryGRPC}, JaegerAPIv3GRPC},
			{"gRPC URL", JaegerOptions{URL: "grpc://" + r.QueryGRPC}, JaegerAPIv3GRPC},
			{"gRPC port", JaegerOptions{GRPCAddr: r.QueryGRPC}, JaegerAPIv3GRPC},
			{"HTTP port", JaegerOptions{URL: addr + "/jaeger/"}, JaegerAPIv3HTTP},
			{"gRPC is elsewhere", JaegerOptions{URL: addr + "/jaeger", GRPCAddr: testutil.FreeAddr(t)}, JaegerAPIv3HTTP},
			{"gRPC is HTTP", JaegerOptions{URL: addr + "/jaeger", GRPCAddr: addr}, JaegerAPIv3HTTP},
			{"no api_v3", JaegerOptions{URL: without("/jaeger/api/v3") + "/jaeger"}, JaegerLegacy},
		} {
			j := newTestJaeger(t, test.o)
			if got, err := j.Detect(t.Context()); err != nil || got != test.want {
				t.Errorf("%s: %v, %v", test.name, got, err)
			}
		}
		for _, path := range []string{"", "/other"} {
			j := newTestJaeger(t, JaegerOptions{URL: root + path})
			if _, err := j.Detect(t.Context()); err == nil || Classify(err) == ErrorTemporary {
				t.Errorf("base path %q: %v", path, err)
			}
		}
	})
}
