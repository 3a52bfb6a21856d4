// Package podlogs prints the logs of the pods of a component.
package podlogs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// Options say which logs, and how much of them.
type Options struct {
	Namespace string
	// Name is a component, or the label "app" of pods.
	Name      string
	Container string // "": the pod's first
	Follow    bool
	Previous  bool
	Tail      int64         // lines; < 0: all
	Since     time.Duration // 0: from the beginning
}

// NotFoundError says that no pod has the name.
type NotFoundError struct{ Name, Namespace string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no pod of %s is in namespace %s; see 'cloverctl status', or choose another namespace with -n", e.Name, e.Namespace)
}

// newPods is how often a followed component is looked through for new pods.
const newPods = 2 * time.Second

// Print prints until the logs end, or until ctx ends if they are followed.
func Print(ctx context.Context, c *kube.Cluster, o Options, out io.Writer) error {
	pods, err := find(ctx, c, o)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return &NotFoundError{o.Name, o.Namespace}
	}
	if o.Previous {
		if pods = restarted(pods); len(pods) == 0 {
			return fmt.Errorf("no container of %s in namespace %s has ended and begun again: there is no previous log", o.Name, o.Namespace)
		}
	}
	p := &printer{cluster: c, options: o, out: out, prefix: len(pods) > 1, reading: map[string]bool{}, ended: map[string]time.Time{}}
	if o.Follow {
		return p.follow(ctx)
	}
	var faults []error // of one pod; the others are printed all the same
	for i := range pods {
		faults = append(faults, p.pod(ctx, &pods[i], time.Time{}))
	}
	return errors.Join(faults...)
}

// restarted keeps the pods with a container that ran before.
func restarted(pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.RestartCount > 0 })
	})
}

// find lists the pods of a component, or those of an app.
func find(ctx context.Context, c *kube.Cluster, o Options) ([]corev1.Pod, error) {
	for _, selector := range []string{deploy.ComponentLabel + "=" + o.Name + ",app.kubernetes.io/part-of=clover", "app=" + o.Name} {
		list, err := c.Typed().CoreV1().Pods(o.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, kube.Explain(err)
		}
		if len(list.Items) > 0 {
			return list.Items, nil
		}
	}
	return nil, nil
}

// printer prints the lines of several pods.
type printer struct {
	cluster *kube.Cluster
	options Options
	prefix  bool

	mu      sync.Mutex // guards what follows
	out     io.Writer
	reading map[string]bool
	ended   map[string]time.Time // when a pod's log ended
}

// follow reads all pods, and those that come later.
func (p *printer) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(newPods)
	defer tick.Stop()
	for first := true; ; first = false {
		pods, err := find(ctx, p.cluster, p.options)
		if first && err != nil {
			return err
		}
		for i := range pods {
			pod := &pods[i]
			since, ok := p.begin(pod)
			if !ok {
				continue
			}
			group.Go(func() error {
				defer p.end(pod)
				err := p.pod(ctx, pod, since)
				if first && since.IsZero() && ctx.Err() == nil {
					return err // what was asked for cannot be had
				}
				return nil // lost for a moment; read again at the next tick
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

// begin reports whether a pod has to be read, and from when.
func (p *printer) begin(pod *corev1.Pod) (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading[pod.Name] || pod.Status.Phase == corev1.PodPending {
		return time.Time{}, false
	}
	p.reading[pod.Name] = true
	return p.ended[pod.Name], true
}

func (p *printer) end(pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.reading, pod.Name)
	p.ended[pod.Name] = time.Now()
}

// maxLine bounds a line of a log.
const maxLine = 1 << 20

// pod prints one pod's log.
func (p *printer) pod(ctx context.Context, pod *corev1.Pod, since time.Time) error {
	o := &corev1.PodLogOptions{Follow: p.options.Follow, Previous: p.options.Previous, Container: p.options.Container}
	if o.Container == "" && len(pod.Spec.Containers) > 0 {
		o.Container = pod.Spec.Containers[0].Name
	}
	switch {
	case !since.IsZero():
		o.SinceTime = &metav1.Time{Time: since}
	case p.options.Since > 0:
		seconds := max(int64(p.options.Since/time.Second), 1)
		o.SinceSeconds = &seconds
	}
	if p.options.Tail >= 0 && since.IsZero() {
		o.TailLines = &p.options.Tail
	}
	stream, err := p.cluster.Streams().CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, o).Stream(ctx)
	if err != nil {
		return fmt.Errorf("logs of pod %s: %w", pod.Name, kube.Explain(err))
	}
	defer stream.Close()
	prefix := ""
	if p.prefix {
		prefix = "[" + pod.Name + "] "
	}
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		p.mu.Lock()
		_, err := fmt.Fprintln(p.out, prefix+show.Clean(lines.Text()))
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return lines.Err()
}
