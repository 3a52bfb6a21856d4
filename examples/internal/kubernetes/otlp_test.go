package kubernetes

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodePort makes a port of the node lead to a port of the pods of an app.
func (k *kit) nodePort(namespace, app string, port int32) (address string) {
	k.Helper()
	s, err := k.api.CoreV1().Services(namespace).Create(k.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "test-" + app},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": app},
			Ports: []corev1.ServicePort{{Port: port}},
		},
	}, metav1.CreateOptions{})
	k.check(err)
	return net.JoinHostPort(k.cluster.NodeAddress(), fmt.Sprint(s.Spec.Ports[0].NodePort))
}

// sender sends spans of one service by OTLP, as an agent does: what is not
// acknowledged it sends again.
type sender struct {
	k       *kit
	service string
	at      time.Time // when requests end; zero: when they are sent
	conn    *grpc.ClientConn
	client  collector.TraceServiceClient
	acked   atomic.Int64
	refused atomic.Int64 // attempts without an acknowledgement
}

func (k *kit) newSender(address, service string) *sender {
	k.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	k.check(err)
	k.Cleanup(func() { _ = conn.Close() })
	return &sender{k: k, service: service, conn: conn, client: collector.NewTraceServiceClient(conn)}
}

// run sends batches until ctx ends and the last one is acknowledged.
func (s *sender) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.send(20); err != nil {
			return err
		}
	}
	return nil
}

// send sends one batch until it is acknowledged.
func (s *sender) send(spans int) error {
	batch := s.batch(spans)
	end := time.Now().Add(limit)
	for {
		ctx, cancel := context.WithTimeout(s.k.Context(), 5*time.Second)
		res, err := s.client.Export(ctx, batch)
		cancel()
		if err == nil && res.GetPartialSuccess().GetRejectedSpans() == 0 {
			s.acked.Add(int64(spans))
			return nil
		}
		s.refused.Add(1)
		if time.Now().After(end) {
			return fmt.Errorf("not acknowledged within %s: %w, %v", limit, err, res)
		}
		s.conn.Connect() // an agent's backoff is seconds
		time.Sleep(20 * time.Millisecond)
	}
}

// batch makes spans as Envoy reports them.
func (s *sender) batch(n int) *collector.ExportTraceServiceRequest {
	text := func(key, value string) *common.KeyValue {
		return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
	}
	id := make([]byte, 24*n)
	_, _ = rand.Read(id) // never fails
	end := s.at
	if end.IsZero() {
		end = time.Now()
	}
	now := uint64(end.UnixNano())
	var spans []*trace.Span
	for i := range n {
		spans = append(spans, &trace.Span{
			TraceId: id[24*i : 24*i+16], SpanId: id[24*i+16 : 24*i+24], Name: s.service + ":9180/*", Kind: trace.Span_SPAN_KIND_SERVER,
			StartTimeUnixNano: now - 1e6, EndTimeUnixNano: now, Attributes: []*common.KeyValue{
				text("http.url", "http://"+s.service+":9180/"), text("http.method", "GET"), text("http.status_code", "200"),
				text("upstream_cluster", "inbound|9180||"),
			},
		})
	}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{text("service.name", s.service)}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: spans}},
	}}}
}

// isCounted waits until Clover has counted just what was acknowledged.
func (s *sender) isCounted() {
	s.k.Helper()
	want := int(s.acked.Load())
	s.k.eventually(func() (bool, string) {
		if a := s.k.run("cloverctl get visibility status"); a.code != 0 {
			return false, a.errors
		}
		got := s.k.counts("service", "")[s.service]
		return got == want, fmt.Sprintf("%d spans of %s are counted, %d were acknowledged", got, s.service, want)
	})
	s.k.Logf("%s: %d spans acknowledged and counted, %d attempts without an acknowledgement", s.service, want, s.refused.Load())
}
