package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// Status of an execution or a stage (ExecutionStatus.java).
type Status string

// The statuses.
const (
	NotStarted     Status = "NOT_STARTED"
	Running        Status = "RUNNING"
	Paused         Status = "PAUSED"
	Suspended      Status = "SUSPENDED"
	Succeeded      Status = "SUCCEEDED"
	FailedContinue Status = "FAILED_CONTINUE"
	Terminal       Status = "TERMINAL"
	Canceled       Status = "CANCELED"
	Redirect       Status = "REDIRECT"
	Stopped        Status = "STOPPED"
	Skipped        Status = "SKIPPED"
	Buffered       Status = "BUFFERED"
)

// Complete reports whether nothing more will happen.
func (s Status) Complete() bool {
	switch s {
	case Succeeded, FailedContinue, Terminal, Canceled, Stopped, Skipped:
		return true
	}
	return false
}

// Failed reports whether it ended otherwise than it should.
func (s Status) Failed() bool {
	switch s {
	case FailedContinue, Terminal, Canceled, Stopped:
		return true
	}
	return false
}

// Execution is a run of a pipeline.
type Execution struct {
	ID          string `json:"id"`
	Application string `json:"application"`
	Name        string `json:"name"`
	Status      Status `json:"status"`
	// PipelineID is the ID of the pipeline.
	PipelineID string `json:"pipelineConfigId"`
	// BuildTime, StartTime and EndTime are in milliseconds since 1970; 0: not
	// yet.
	BuildTime          int64   `json:"buildTime"`
	StartTime          int64   `json:"startTime"`
	EndTime            int64   `json:"endTime"`
	CanceledBy         string  `json:"canceledBy,omitempty"`
	CancellationReason string  `json:"cancellationReason,omitempty"`
	Stages             []Stage `json:"stages"`
}

// Stage is a stage of an execution. Those that Orca adds by itself have a
// parent.
type Stage struct {
	ID            string `json:"id"`
	RefID         string `json:"refId"`
	Type          string `json:"type"`
	Name          string `json:"name"`
	Status        Status `json:"status"`
	StartTime     int64  `json:"startTime"`
	EndTime       int64  `json:"endTime"`
	ParentStageID string `json:"parentStageId,omitempty"`
	// Context and Outputs are what Orca knows of it.
	Context map[string]any `json:"context,omitempty"`
	Outputs map[string]any `json:"outputs,omitempty"`
}

// Errors returns what the stage says went wrong (StageExecutionImpl.java's
// exceptions are maps of details with errors).
func (s Stage) Errors() []string {
	var out []string
	exception, _ := s.Context["exception"].(map[string]any)
	details, _ := exception["details"].(map[string]any)
	list, _ := details["errors"].([]any)
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	if text, _ := details["error"].(string); len(out) == 0 && text != "" {
		out = append(out, text)
	}
	if text, _ := s.Context["failureMessage"].(string); text != "" {
		out = append(out, text)
	}
	return out
}

// ExecutionError is an execution that ended otherwise than it should.
type ExecutionError struct{ Execution Execution }

// Error names the stages that failed, with what they say.
func (e *ExecutionError) Error() string {
	x := e.Execution
	text := fmt.Sprintf("execution %s of pipeline %s: %s", x.ID, x.Name, x.Status)
	if x.CancellationReason != "" {
		text += " (" + x.CancellationReason + ")"
	}
	for _, s := range x.Stages {
		if s.Status.Failed() {
			text += fmt.Sprintf("; stage %q: %s", s.Name, s.Status)
			if why := s.Errors(); len(why) > 0 {
				text += ": " + strings.Join(why, ", ")
			}
		}
	}
	return text
}

// Execution returns an execution. The error matches spinnaker.ErrNotFound if
// there is none of that ID.
func (c *Client) Execution(ctx context.Context, id string) (Execution, error) {
	var out Execution
	err := c.get(ctx, "get execution", id, &out, nil, "pipelines", id)
	if err == nil && out.ID == "" {
		// PipelineController.groovy turns every other fault of Orca into null.
		return out, &spinnaker.Error{Op: "get execution", Target: id, Kind: spinnaker.ErrTemporary, Status: http.StatusOK, Err: errors.New("no answer of Orca behind Gate; try again")}
	}
	return out, err
}

// ExecutionFilter chooses executions. The zero value is the newest 10 of all
// pipelines.
type ExecutionFilter struct {
	// Pipeline is a name.
	Pipeline string
	Statuses []Status
	// Limit is how many. 0: Gate's own, 10.
	Limit int
}

// Executions lists executions of an application, newest first.
func (c *Client) Executions(ctx context.Context, application string, f ExecutionFilter) ([]Execution, error) {
	query := url.Values{"expand": {"true"}, "size": {strconv.Itoa(cmp.Or(f.Limit, 10))}}
	if f.Pipeline != "" {
		query.Set("pipelineName", f.Pipeline)
	}
	var statuses []string
	for _, s := range f.Statuses {
		statuses = append(statuses, string(s))
	}
	if len(statuses) > 0 {
		query.Set("statuses", strings.Join(statuses, ","))
	}
	var out []Execution
	err := c.get(ctx, "list executions", application, &out, query, "applications", application, "executions", "search")
	return out, err
}

// Watch waits until an execution has ended and returns it; where it has not
// succeeded, with an ExecutionError. changed, if not nil, is called with the
// execution whenever the status of it or of a stage has changed, from the
// goroutine of the call. The end of ctx ends the wait, not the execution.
func (c *Client) Watch(ctx context.Context, id string, changed func(Execution)) (Execution, error) {
	var last Execution
	seen, known, wait, reached := "", false, c.opts.FirstPoll, time.Now()
	for {
		now, err := c.Execution(ctx, id)
		switch {
		case err == nil:
			last, known, reached = now, true, time.Now()
			if s := statuses(now); s != seen {
				if seen = s; changed != nil {
					changed(now)
				}
				wait = c.opts.FirstPoll
			}
			if now.Status.Complete() {
				if now.Status.Failed() {
					return now, &ExecutionError{Execution: now}
				}
				return now, nil
			}
		case ctx.Err() != nil:
			return last, context.Cause(ctx)
		// A fresh execution may not be there yet for whoever asks a replica.
		case !errors.Is(err, spinnaker.ErrTemporary) && (known || !errors.Is(err, spinnaker.ErrNotFound)):
			return last, err
		case time.Since(reached) > c.opts.Patience:
			return last, err
		}
		if err := sleep(ctx, wait); err != nil {
			return last, context.Cause(ctx)
		}
		wait = min(wait+wait/2, slowestPoll)
	}
}

const slowestPoll = 5 * time.Second

// statuses is one text of all statuses.
func statuses(x Execution) string {
	var b strings.Builder
	b.WriteString(string(x.Status))
	for _, s := range x.Stages {
		b.WriteString(" " + s.ID + "=" + string(s.Status))
	}
	return b.String()
}

// Cancel ends an execution. reason is for people; may be empty.
func (c *Client) Cancel(ctx context.Context, id, reason string) error {
	query := url.Values{}
	if reason != "" {
		query.Set("reason", reason)
	}
	return c.change(ctx, "cancel execution", http.MethodPut, id, query, nil, "cancel")
}

// Pause stops an execution before its next step, Resume lets it go on.
func (c *Client) Pause(ctx context.Context, id string) error {
	return c.change(ctx, "pause execution", http.MethodPut, id, nil, nil, "pause")
}

// Resume lets a paused execution go on.
func (c *Client) Resume(ctx context.Context, id string) error {
	return c.change(ctx, "resume execution", http.MethodPut, id, nil, nil, "resume")
}

// Judge answers a stage of manual judgment: go on, or stop. input is one of
// the stage's answers; may be empty.
func (c *Client) Judge(ctx context.Context, id, stageID string, goOn bool, input string) error {
	body := map[string]any{"judgmentStatus": "stop"}
	if goOn {
		body["judgmentStatus"] = "continue"
	}
	if input != "" {
		body["judgmentInput"] = input
	}
	return c.change(ctx, "judge stage", http.MethodPatch, id, nil, body, "stages", stageID)
}

func (c *Client) change(ctx context.Context, op, method, id string, query url.Values, body any, path ...string) error {
	call := rest.Call{Op: op, Target: id, Method: method, Path: append([]string{"pipelines", id}, path...), Query: query, Body: body}
	return c.rest.JSON(ctx, call, nil)
}

// waitTask waits until a task of Orca has ended.
func (c *Client) waitTask(ctx context.Context, call rest.Call, id string) error {
	var task struct {
		Status    Status `json:"status"`
		Variables []struct {
			Key   string `json:"key"`
			Value any    `json:"value"` // a text, a list, an object
		} `json:"variables"`
	}
	for wait, reached := c.opts.FirstPoll, time.Now(); ; wait = min(wait+wait/2, slowestPoll) {
		err := c.get(ctx, call.Op, call.Target, &task, nil, "tasks", id)
		switch {
		case err == nil:
			reached = time.Now()
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, spinnaker.ErrTemporary) || time.Since(reached) > c.opts.Patience:
			return err
		}
		if task.Status.Complete() {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return context.Cause(ctx)
		}
	}
	if task.Status == Succeeded {
		return nil
	}
	why := "task " + id + " of Orca: " + string(task.Status)
	for _, v := range task.Variables {
		if v.Key == "exception" {
			why += ": " + strings.Join(Stage{Context: map[string]any{"exception": v.Value}}.Errors(), ", ")
		}
	}
	return &spinnaker.Error{Op: call.Op, Target: call.Target, Kind: spinnaker.ErrInvalid, Err: errors.New(why)}
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
