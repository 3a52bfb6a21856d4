package spinnakertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/opnfv/clover/spinnaker/halyard"
)

// halTask follows DaemonTask.java and TaskRepository.java.
type halTask struct {
	id, name string
	polls    int // how many times it is still seen running
	state    string
	fate     FaultKind
	events   []map[string]any
	work     func() (any, []halyard.Problem, bool)
	response map[string]any
	fatal    any
}

type faultKey struct{}

func withFault(ctx context.Context, f Fault) context.Context {
	return context.WithValue(ctx, faultKey{}, f.Kind)
}

// submit answers with a task that does work when it ends. work returns the
// body of the response, problems, and whether it went well. A stage is what
// the task says that it does.
func (h *Halyard) submit(w http.ResponseWriter, r *http.Request, name, stage string, work func() (any, []halyard.Problem, bool)) {
	fate, _ := r.Context().Value(faultKey{}).(FaultKind)
	t := &halTask{id: uuid(), name: name, polls: h.opts.Polls, state: "RUNNING", work: work, fate: fate}
	t.say(stage, "Working on it")
	h.tasks[t.id] = t
	h.order = append(h.order, t.id)
	answer(w, http.StatusOK, t.view())
}

// static is a route whose task returns the same body always
// (StaticRequestBuilder).
func (h *Halyard) static(name string, body any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.submit(w, r, name, name, func() (any, []halyard.Problem, bool) { return body, nil, true })
	}
}

func (t *halTask) say(stage, message string) {
	t.events = append(t.events, map[string]any{"stage": stage, "message": message, "timestamp": time.Now().UnixMilli()})
}

func (t *halTask) view() map[string]any {
	v := map[string]any{
		"events": t.events, "children": []any{}, "name": t.name, "uuid": t.id, "timedOut": t.state == "TIMED_OUT",
		"timeout": 60000, "version": "1.68.0", "state": t.state, "response": nil, "fatalError": t.fatal, "runningJobs": []any{},
	}
	if t.response != nil {
		v["response"] = t.response
	}
	return v
}

// step moves a task on, as time would.
func (h *Halyard) step(t *halTask) {
	switch {
	case t.state != "RUNNING":
	case t.polls > 0:
		t.polls--
		t.say("Working", fmt.Sprintf("%d more", t.polls))
	case t.fate == TimeOutTask:
		t.end("TIMED_OUT", nil, []halyard.Problem{unexpected("Task interrupted without cause")})
	case t.fate == InterruptTask:
		t.end("INTERRUPTED", nil, []halyard.Problem{unexpected("Task interrupted without cause")})
	case t.fate == LoseTask:
		delete(h.tasks, t.id)
	case t.fate == LoseDoneTask:
		t.work()
		delete(h.tasks, t.id)
	default:
		body, problems, ok := t.work()
		if state := "SUCCEEDED"; ok {
			t.end(state, body, problems)
			return
		}
		t.end("FAILED", nil, problems)
	}
}

func (t *halTask) end(state string, body any, problems []halyard.Problem) {
	if problems == nil {
		problems = []halyard.Problem{}
	}
	t.state = state
	t.response = map[string]any{"responseBody": body, "problemSet": map[string]any{"problems": problems}}
	if state != "SUCCEEDED" {
		message := "No problem set supplied."
		if len(problems) > 0 {
			message = problems[0].Message
		}
		// An exception as Jackson writes it, its stack cut.
		t.fatal = map[string]any{"cause": nil, "stackTrace": []any{map[string]any{"methodName": "run", "lineNumber": 1}}, "message": message, "localizedMessage": message}
	}
}

// unexpected is the problem of DaemonTask.failure(Exception).
func unexpected(e string) halyard.Problem {
	return halyard.Problem{Severity: halyard.Fatal, Location: "Global", Message: "Unexpected exception: " + e}
}

// getTask follows TaskController.getTask: a task that is not there is null,
// which Spring sends as 200 with nothing.
func (h *Halyard) getTask(w http.ResponseWriter, r *http.Request) {
	if t := h.tasks[r.PathValue("id")]; t != nil {
		h.step(t)
	}
	t := h.tasks[r.PathValue("id")]
	if t == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	answer(w, http.StatusOK, t.view())
}

// interruptTask follows TaskController.interruptTask.
func (h *Halyard) interruptTask(w http.ResponseWriter, r *http.Request) {
	t := h.tasks[r.PathValue("id")]
	if t == nil {
		springError(w, r, http.StatusNotFound, "No such task with UUID "+r.PathValue("id"))
		return
	}
	if t.state == "RUNNING" {
		t.end("INTERRUPTED", nil, []halyard.Problem{unexpected("Task interrupted without cause")})
	}
	w.WriteHeader(http.StatusOK)
}

// listTasks follows ShallowTaskList.java.
func (h *Halyard) listTasks(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, id := range h.order {
		if t := h.tasks[id]; t != nil {
			list = append(list, map[string]any{
				"uuid": t.id, "name": t.name, "state": t.state, "lastEvent": t.events[len(t.events)-1]["message"],
				"fatalException": t.fatal, "jobs": []any{}, "children": []any{},
			})
		}
	}
	answer(w, http.StatusOK, map[string]any{"tasks": list})
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
