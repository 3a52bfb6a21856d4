package kubernetes

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestFaults installs visibility, measures it, and ends one part after the
// other while it is in use.
func TestFaults(t *testing.T) {
	k := newKit(t)
	k.install()
	k.figures()
	k.startJaeger()
	k.startPrometheus()
	k.write("start_visibility.yaml", startFile)
	k.types("cloverctl start visibility -f start_visibility.yaml")
	otlp := k.nodePort(cloverNamespace, "clover-collector", 4317)
	k.collectorCrashes(k.newSender(otlp, "crash"))
	k.collectorPodGoes(k.newSender(otlp, "reschedule"))
	k.controllerGoes()
	k.jaegerRestarts(k.newSender(k.nodePort(jaegerNamespace, "jaeger", 4317), "through-jaeger"))
	k.apiServerRestarts(k.newSender(otlp, "no-api-server"))
	k.types("cloverctl get visibility", "proxy_access_control")
}

// install installs visibility on a node that has the images, and holds how
// long that may take: 30 s with CLOVER_STRICT=1.
func (k *kit) install() {
	k.Helper()
	start := time.Now()
	k.types("cloverctl create system visibility -t test --wait")
	took := time.Since(start)
	k.Logf("create system visibility --wait: %s", took.Round(100*time.Millisecond))
	most := limit // on a machine that has other work
	if os.Getenv("CLOVER_STRICT") != "" {
		most = 30 * time.Second
	}
	if took > most {
		k.Errorf("create system visibility --wait has taken %s, want %s at most", took, most)
	}
	k.types("cloverctl create system controller nodeport")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
	k.write("set_visibility.yaml", setFile)
	k.answers()
	k.types("cloverctl set visibility -f set_visibility.yaml")
}

// figures holds what Clover needs when nothing happens.
func (k *kit) figures() {
	k.Helper()
	for app, most := range map[string]int{"clover-controller": 64, "clover-collector": 128} {
		mib := k.resident(k.pod(cloverNamespace, "app="+app))
		k.Logf("%s, idle: %d MiB", app, mib)
		if mib > most {
			k.Errorf("%s needs %d MiB, want %d at most", app, mib, most)
		}
	}
	pods, err := k.api.CoreV1().Pods(cloverNamespace).List(k.Context(), metav1.ListOptions{})
	k.check(err)
	sum := int64(0)
	for _, p := range pods.Items {
		for _, c := range p.Spec.Containers {
			sum += c.Resources.Requests.Memory().Value()
		}
	}
	k.Logf("memory requests: %d MiB", sum>>20)
	if sum == 0 || sum > 512<<20 {
		k.Errorf("memory requests are %d MiB, want 512 at most", sum>>20)
	}
}

// under runs fault while spans are sent, until some are acknowledged after
// it, and compares.
func (k *kit) under(s *sender, fault func()) {
	k.Helper()
	ctx, stop := context.WithCancel(k.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	progress := func() {
		k.Helper()
		before := s.acked.Load()
		k.eventually(func() (bool, string) {
			return s.acked.Load() > before+500, fmt.Sprintf("%d spans acknowledged, %d before\n%s", s.acked.Load(), before, k.podStates(cloverNamespace))
		})
	}
	progress()
	fault()
	progress()
	stop()
	k.check(<-done)
	s.isCounted()
}

func (k *kit) collectorCrashes(s *sender) {
	k.Helper()
	k.under(s, func() {
		for range 2 {
			pod := k.pod(cloverNamespace, "app=clover-collector")
			k.kill(pod)
			k.eventually(func() (bool, string) {
				p := k.pod(cloverNamespace, "app=clover-collector")
				c := p.Status.ContainerStatuses[0] // it is the same pod
				return c.Ready && c.RestartCount > pod.Status.ContainerStatuses[0].RestartCount, k.podStates(cloverNamespace)
			})
		}
	})
	if s.refused.Load() == 0 {
		k.Error("the crash was not noticed")
	}
}

func (k *kit) collectorPodGoes(s *sender) {
	k.Helper()
	k.under(s, func() { k.replaced(cloverNamespace, "app=clover-collector") })
}

func (k *kit) controllerGoes() {
	k.Helper()
	k.replaced(cloverNamespace, "app=clover-controller")
	k.answers()
	k.types("cloverctl get visibility", "proxy_access_control", "http://tracing.istio-system:80")
}

func (k *kit) jaegerRestarts(s *sender) {
	k.Helper()
	k.check(s.send(50))
	s.isCounted()
	k.replaced(jaegerNamespace, "app=jaeger")
	k.check(s.send(50))
	s.isCounted()
}

// apiServerRestarts kills the API server: spans are taken meanwhile, and
// questions are answered again afterwards.
func (k *kit) apiServerRestarts(s *sender) {
	k.Helper()
	k.check(s.send(50))
	pod := k.pod("kube-system", "component=kube-apiserver")
	k.kill(pod)
	k.check(s.send(50))
	k.eventually(func() (bool, string) {
		a := k.run("cloverctl status --wait")
		return a.code == 0, a.all()
	})
	s.isCounted()
}
