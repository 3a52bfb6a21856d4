package halyard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// State of a task, as in halyard-core's DaemonTask.java.
type State string

// The states. The last four are terminal; Lost is this client's own: the
// daemon answers 200 with nothing for a task that it does not know
// (TaskController.java returns null). It forgets tasks when it restarts, and
// two minutes after the end of their time limit (TaskRepository.java).
const (
	NotStarted  State = "NOT_STARTED"
	Running     State = "RUNNING"
	Succeeded   State = "SUCCEEDED"
	Failed      State = "FAILED"
	TimedOut    State = "TIMED_OUT"
	Interrupted State = "INTERRUPTED"
	Lost        State = "LOST"
)

// Event is something that a task did.
type Event struct {
	// Task is the name of the task, or of the child that did it.
	Task    string `json:"-"`
	Stage   string `json:"stage"`
	Message string `json:"message"`
	// Timestamp is in milliseconds since 1970.
	Timestamp int64 `json:"timestamp"`
}

// task is a task as the daemon shows it. fatalError, an exception with its
// stack, is left out: problems say the same.
type task struct {
	Name     string  `json:"name"`
	ID       string  `json:"uuid"`
	State    State   `json:"state"`
	Events   []Event `json:"events"`
	Children []task  `json:"children"`
	Response struct {
		Body       json.RawMessage `json:"responseBody"`
		ProblemSet struct {
			Problems []Problem `json:"problems"`
		} `json:"problemSet"`
	} `json:"response"`
}

// TaskInfo is a task in the daemon's list.
type TaskInfo struct {
	ID        string   `json:"uuid"`
	Name      string   `json:"name"`
	State     State    `json:"state"`
	LastEvent string   `json:"lastEvent"`
	Jobs      []string `json:"jobs"`
	Children  []string `json:"children"`
}

// Tasks lists those that run or ended of late.
func (c *Client) Tasks(ctx context.Context) ([]TaskInfo, error) {
	var out struct {
		Tasks []TaskInfo `json:"tasks"`
	}
	err := c.rest.JSON(ctx, rest.Call{Op: "list tasks", Method: http.MethodGet, Path: []string{"v1", "tasks", ""}}, &out)
	return out.Tasks, err
}

// Interrupt asks the daemon to end a task. It matches spinnaker.ErrNotFound if
// there is none of that id.
func (c *Client) Interrupt(ctx context.Context, id string) error {
	call := rest.Call{Op: "interrupt task", Target: id, Method: http.MethodPut, Path: []string{"v1", "tasks", id, "interrupt"}, Body: ""}
	return c.rest.JSON(ctx, call, nil)
}

// do runs a call's task to its end and decodes what it returns.
func (c *Client) do(ctx context.Context, call rest.Call, out any) error {
	done, err := c.run(ctx, call)
	if err != nil || out == nil {
		return err
	}
	body := bytes.TrimSpace(done.Response.Body)
	if len(body) == 0 || bytes.Equal(body, []byte("null")) {
		return &spinnaker.Error{Op: call.Op, Target: call.Target, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: errors.New("the task ended without a result")}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &spinnaker.Error{Op: call.Op, Target: call.Target, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: errors.New("the task's result is not of the form that it should be")}
	}
	return nil
}

// run submits a call and waits for its task to end. Where ctx ends before, the
// task is interrupted.
func (c *Client) run(ctx context.Context, call rest.Call) (task, error) {
	var now task
	if err := c.rest.JSON(ctx, call, &now); err != nil {
		return task{}, err
	}
	now.hide(call.Hide)
	if now.ID == "" {
		return task{}, &spinnaker.Error{Op: call.Op, Target: call.Target, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: errors.New("the answer is not a task; is this Halyard's daemon?")}
	}
	seen := map[string]int{}
	c.report(now, seen)
	wait := c.opts.FirstPoll
	reached := time.Now() // when the daemon answered last
	for !now.terminal() {
		if err := sleep(ctx, wait); err != nil {
			return task{}, c.abandon(ctx, call, now.ID)
		}
		wait = min(wait+wait/2, slowestPoll)
		next, err := c.poll(ctx, call, now.ID)
		switch {
		case err == nil && next.ID == "":
			return task{}, &TaskError{Op: call.Op, Target: call.Target, Task: now.ID, State: Lost}
		case err == nil:
			now, reached = next, time.Now()
			c.report(now, seen)
		case ctx.Err() != nil:
			return task{}, c.abandon(ctx, call, now.ID)
		case !errors.Is(err, spinnaker.ErrTemporary):
			return task{}, err
		case time.Since(reached) > c.opts.Patience:
			return task{}, &TaskError{Op: call.Op, Target: call.Target, Task: now.ID, State: Lost, Err: err}
		}
	}
	return now, now.err(call)
}

func (c *Client) poll(ctx context.Context, call rest.Call, id string) (task, error) {
	var next task
	err := c.rest.JSON(ctx, rest.Call{Op: call.Op, Target: call.Target, Method: http.MethodGet, Path: []string{"v1", "tasks", id, ""}, Hide: call.Hide}, &next)
	next.hide(call.Hide)
	return next, err
}

// abandon interrupts a task that nobody waits for any more.
func (c *Client) abandon(ctx context.Context, call rest.Call, id string) error {
	const patience = 2 * time.Second
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return &TaskError{Op: call.Op, Target: call.Target, Task: id, State: Interrupted, Err: errors.Join(context.Cause(ctx), c.Interrupt(last, id))}
}

// hide has what the daemon says pass through hide, which may be nil.
func (t *task) hide(hide func(string) string) {
	if hide == nil {
		return
	}
	for i := range t.Events {
		t.Events[i].Message = hide(t.Events[i].Message)
	}
	for i := range t.Response.ProblemSet.Problems {
		p := &t.Response.ProblemSet.Problems[i]
		p.Message, p.Remediation = hide(p.Message), hide(p.Remediation)
		for j := range p.Options {
			p.Options[j] = hide(p.Options[j])
		}
	}
	for i := range t.Children {
		t.Children[i].hide(hide)
	}
}

func (t task) terminal() bool {
	switch t.State {
	case Succeeded, Failed, TimedOut, Interrupted:
		return true
	}
	return false
}

func (t task) err(call rest.Call) error {
	problems := t.Response.ProblemSet.Problems
	switch t.State {
	case Succeeded:
		return nil
	case Failed:
		return &ProblemError{Op: call.Op, Target: call.Target, Problems: problems}
	default:
		return &TaskError{Op: call.Op, Target: call.Target, Task: t.ID, State: t.State, Problems: problems}
	}
}

// report tells of events that were not told yet, children's too.
func (c *Client) report(t task, seen map[string]int) {
	if c.opts.OnEvent == nil {
		return
	}
	for _, e := range t.Events[min(seen[t.ID], len(t.Events)):] {
		e.Task = t.Name
		c.opts.OnEvent(e)
	}
	seen[t.ID] = max(seen[t.ID], len(t.Events))
	for _, child := range t.Children {
		c.report(child, seen)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
