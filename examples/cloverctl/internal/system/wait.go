package system

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opnfv/clover/examples/cloverctl/internal/health"
)

// NotReadyError says which pod keeps a system from being ready, and why.
type NotReadyError struct {
	Workload  string // as in deployment "clover-controller"
	Namespace string
	Pod       string // "": the fault is the workload's own
	Component string
	Problem   health.Problem
	// Log is the end of what the pod has printed, if it has ended by itself.
	Log string
}

func (e *NotReadyError) Error() string {
	what := e.Workload
	if e.Pod != "" {
		what += ": pod " + e.Pod
	}
	text := fmt.Sprintf("%s in namespace %s: %s: %s\n%s.", what, e.Namespace, e.Problem.Reason, e.Problem.Detail,
		strings.ReplaceAll(e.Problem.Remedy, "COMPONENT", e.Component))
	if e.Log != "" {
		text += "\nIts last lines were:\n" + e.Log
	}
	return text
}

// TimeoutError says what was not ready in time.
type TimeoutError struct {
	Waited  time.Duration
	Waiting []string
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("not ready after %v:\n  %s\nWait longer with 'cloverctl status --wait', or see 'cloverctl check'.", e.Waited.Round(time.Second), strings.Join(e.Waiting, "\n  "))
}

// Await waits until the workloads of these components are ready and says on
// the way what they wait for. It ends at once when waiting is of no use.
func (in *Installer) Await(ctx context.Context, namespace string, components []string, progress func(string)) error {
	start := time.Now()
	said := map[string]string{}
	var waiting []string
	for {
		s, err := health.Read(ctx, in.Cluster, namespace, ComponentsOf(components...))
		switch {
		case ctx.Err() != nil:
			return expired(ctx, start, waiting)
		case err != nil:
			return err
		}
		waiting = waiting[:0]
		for _, w := range s.Workloads() {
			if pod, problem := w.Worst(); problem != nil && problem.Final {
				return in.notReady(ctx, w, pod, problem)
			}
			waiting = append(waiting, pending(w)...)
			in.tell(w, said, progress)
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return expired(ctx, start, waiting)
		}
	}
}

func expired(ctx context.Context, start time.Time, waiting []string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &TimeoutError{Waited: time.Since(start), Waiting: waiting}
	}
	return ctx.Err()
}

// pending says what a workload waits for, a line a pod; nothing if it is
// ready.
func pending(w health.Workload) []string {
	if w.Done {
		return nil
	}
	name := fmt.Sprintf("%s %q", w.Kind, w.Name)
	var lines []string
	for _, p := range w.Pods {
		if p.Ready {
			continue
		}
		state := p.State
		if p.Problem != nil && !strings.Contains(state, p.Problem.Reason) {
			state += " (" + p.Problem.Reason + ")"
			if !strings.Contains(state, p.Problem.Detail) {
				state += ": " + p.Problem.Detail
			}
		}
		lines = append(lines, fmt.Sprintf("%s: pod %s: %s", name, p.Name, state))
	}
	if len(lines) == 0 {
		lines = append(lines, fmt.Sprintf("%s: %d of %d pods are ready", name, w.Ready, w.Want))
	}
	return lines
}

// tell says what is new.
func (in *Installer) tell(w health.Workload, said map[string]string, progress func(string)) {
	text := "Waiting for " + strings.Join(pending(w), "; ")
	if w.Done {
		text = fmt.Sprintf("Ready: %s %q (%d of %d pods)", w.Kind, w.Name, w.Ready, w.Want)
	}
	key := w.Kind + "/" + w.Name
	if said[key] != text && progress != nil {
		progress(text)
	}
	said[key] = text
}

// notReady words the end of a wait, with the end of the pod's own log.
func (in *Installer) notReady(ctx context.Context, w health.Workload, pod string, p *health.Problem) error {
	e := &NotReadyError{
		Workload: fmt.Sprintf("%s %q", w.Kind, w.Name), Namespace: w.Namespace, Pod: pod, Component: w.Component, Problem: *p,
	}
	if pod != "" && p.Reason == "CrashLoopBackOff" {
		e.Log = health.LastLines(ctx, in.Cluster, w.Namespace, pod)
	}
	return e
}
