package protocol

import "testing"

// queueStep is a request (of which start and acked are given) or, where pop
// is set, a response that begins at start.
type queueStep struct {
	pop          bool
	start, acked int64
	want         string // of a response: its request's target, "": none
	end          int64  // of a response
}

func TestQueue(t *testing.T) {
	for name, c := range map[string]struct {
		lose  func(*Queue, int) // before each step
		steps []queueStep
	}{
		"in order": {steps: []queueStep{
			{start: 0}, {start: 10}, {pop: true, start: 0, acked: 20, want: "0", end: 5}, {pop: true, start: 5, acked: 20, want: "1", end: 9}, {pop: true, start: 9, acked: 20},
		}},
		"sent before its request": {steps: []queueStep{
			{start: 0}, {start: 10, acked: 5}, {pop: true, start: 0, acked: 10, want: "0", end: 5}, {pop: true, start: 4, acked: 10}, {pop: true, start: 5, acked: 20, want: "1"},
		}},
		"lost request, one after the other": {lose: func(q *Queue, i int) {
			if i == 2 {
				q.RequestsLost(true)
			}
		}, steps: []queueStep{
			{start: 0}, {pop: true, start: 0, acked: 10, want: "0", end: 5},
			{pop: true, start: 5, acked: 20}, {start: 20, acked: 9}, {pop: true, start: 9, acked: 30, want: "3"},
		}},
		"lost request, sent together": {lose: func(q *Queue, i int) {
			if i == 2 {
				q.RequestsLost(true)
			}
		}, steps: []queueStep{
			{start: 0}, {pop: true, start: 0, acked: 10, want: "0", end: 5},
			{start: 20, acked: 5}, {pop: true, start: 5, acked: 30}, {pop: true, start: 7, acked: 30},
			{start: 30, acked: 9}, {pop: true, start: 9, acked: 40, want: "5"},
		}},
		"others on the way": {lose: func(q *Queue, i int) {
			if i == 5 {
				q.ResponsesLost()
			}
		}, steps: []queueStep{
			{start: 0}, {start: 10}, {pop: true, start: 0, acked: 20, want: "0", end: 5}, {start: 20, acked: 5},
			{pop: true, start: 5, acked: 30, want: "1", end: 9}, {start: 30, acked: 9}, {pop: true, start: 9, acked: 40},
		}},
	} {
		var q Queue
		runQueue(t, name, &q, c.steps, c.lose)
		n := 0
		if q.Drain(func(*Exchange) { n++ }); n > len(c.steps) || q.Full() {
			t.Errorf("%s: %d are left", name, n)
		}
	}
}

func runQueue(t *testing.T, name string, q *Queue, steps []queueStep, lose func(*Queue, int)) {
	t.Helper()
	for i, s := range steps {
		if lose != nil {
			lose(q, i)
		}
		if !s.pop {
			q.Push(&Exchange{Target: string(rune('0' + i))}, s.start, s.acked)
			continue
		}
		got := ""
		if x := q.Pop(s.start, s.acked, func(*Exchange) {}); x != nil {
			got = x.Target
			q.Answered(s.end)
		}
		if got != s.want {
			t.Errorf("%s: step %d: %q, want %q", name, i, got, s.want)
		}
	}
}
