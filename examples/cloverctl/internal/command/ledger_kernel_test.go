package command

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clovisors are pods on nodes n0, n1 and so on, in no order.
func clovisors(n int) (pods []corev1.Pod) {
	for i := n - 1; i >= 0; i-- {
		pods = append(pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i)}, Spec: corev1.PodSpec{NodeName: fmt.Sprint("n", i)}})
	}
	return pods
}

// TestNodesAreAskedSideBySide has a node hang, which keeps no other from being
// heard, whether it is first or last, and is named.
func TestNodesAreAskedSideBySide(t *testing.T) {
	const nodes, atATime = 9, 3
	for _, hangs := range []string{"n0", "n8"} {
		var now, heard atomic.Int32
		q := asking{atATime: atATime, each: time.Minute, all: time.Minute}
		all := make(chan struct{}) // closed when all others have answered
		entries, notes := q.ask(t.Context(), clovisors(nodes), func(ctx context.Context, pod *corev1.Pod) (*kernelAccount, error) {
			if n := now.Add(1); n > atATime {
				t.Errorf("%d nodes are asked at a time, want %d at most", n, atATime)
			}
			defer now.Add(-1)
			if _, limited := ctx.Deadline(); !limited {
				t.Error("no limit")
			}
			if pod.Spec.NodeName == hangs {
				<-all
				return nil, context.DeadlineExceeded
			}
			if heard.Add(1) == nodes-1 {
				close(all)
			}
			return &kernelAccount{Node: pod.Spec.NodeName, Entries: []kernelEntry{{Pod: "web", Namespace: "default"}}}, nil
		})
		var got []string
		for _, e := range entries {
			got = append(got, e.GetSource())
		}
		var want []string
		for i := range nodes {
			if name := fmt.Sprint("n", i); name != hangs {
				want = append(want, "clovisor@"+name)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s hangs: heard of %v, want %v", hangs, got, want)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "node "+hangs+" does not answer: nothing within 1m0s") {
			t.Errorf("%s hangs: notes %q", hangs, notes)
		}
	}
}

// TestEachNodeHasItsLimit has each node hang: the limit of one holds for it
// alone, and the limit of all ends the rest.
func TestEachNodeHasItsLimit(t *testing.T) {
	hang := func(ctx context.Context, _ *corev1.Pod) (*kernelAccount, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, q := range map[string]asking{
		"each": {atATime: 1, each: time.Millisecond, all: time.Hour},
		"all":  {atATime: 1, each: time.Hour, all: time.Millisecond},
	} {
		if entries, notes := q.ask(t.Context(), clovisors(3), hang); len(entries) != 0 || len(notes) != 3 || !strings.Contains(notes[2], "node n2") {
			t.Errorf("%s: %v, %q", name, entries, notes)
		}
	}
	refused := errors.New("refused")
	_, notes := nodesAsked.ask(t.Context(), clovisors(1), func(context.Context, *corev1.Pod) (*kernelAccount, error) { return nil, refused })
	if len(notes) != 1 || !strings.Contains(notes[0], "node n0 does not answer: refused") {
		t.Errorf("%q", notes)
	}
}
