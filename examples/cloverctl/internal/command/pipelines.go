package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

// applicationFlag is --application.
func applicationFlag(c *cobra.Command, to *string) {
	c.Flags().StringVarP(to, "application", "a", "", "`application` of Spinnaker")
}

func needApplication(what, application string) error {
	if application == "" {
		return usagef("%s: --application NAME is needed", what)
	}
	return nil
}

func pipelineRoute(application, name string) string {
	route := "/pipelines/" + url.PathEscape(application)
	if name != "" {
		route += "/" + url.PathEscape(name)
	}
	return route
}

func (a *app) createPipeline() *cobra.Command {
	var file string
	var dryRun, wait bool
	c := &cobra.Command{
		Use: "pipeline", Short: "Save a pipeline in Spinnaker, or replace it", Args: cobra.NoArgs,
		Long: `Saves a pipeline, or replaces the one of its application and name. The file is
JSON or YAML as Spinnaker exports it. It is checked first: stages that wait for
each other, stages and artifacts that are not there, and what each stage needs.`,
		Example: "  cloverctl create pipeline -f deliver.json\n  cloverctl create pipeline -f deliver.json --dry-run",
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("create pipeline: -f FILE is needed")
			}
			data, err := a.readFile(file)
			if err != nil {
				return err
			}
			p, err := pipeline.Read(data)
			if err != nil {
				return usagef("%s: %w", file, err)
			}
			asJSON, err := p.MarshalJSON()
			if err != nil {
				return err
			}
			body := &structpb.Struct{}
			if err := protojson.Unmarshal(asJSON, body); err != nil {
				return usagef("%s: %w", file, err)
			}
			query := url.Values{}
			if dryRun {
				query.Set("dry_run", "true")
			}
			res := &deliveryv1.SavePipelineResponse{}
			if err := a.sendChange(c.Context(), &changeFlags{wait: wait}, "POST", withQuery("/pipelines", query), body, res); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, show.Clean(res.GetMessage()))
			return nil
		},
	}
	waitFlag(c, &wait)
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` with the pipeline; - is standard input")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check everything and change nothing")
	return c
}

func (a *app) getPipeline() *cobra.Command {
	var application string
	c := &cobra.Command{
		Use: "pipeline [NAME]", Short: "Show the pipelines of an application, or one", Args: cobra.MaximumNArgs(1),
		Example: "  cloverctl get pipeline -a demo\n  cloverctl get pipeline deliver -a demo -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := needApplication("get pipeline", application); err != nil {
				return err
			}
			if len(args) == 0 {
				return answer(c.Context(), a, pipelineRoute(application, ""), nil, &deliveryv1.ListPipelinesResponse{},
					func(res *deliveryv1.ListPipelinesResponse) show.Table { return pipelinesTable(res.GetPipelines()...) })
			}
			return answer(c.Context(), a, pipelineRoute(application, args[0]), nil, &deliveryv1.GetPipelineResponse{},
				func(res *deliveryv1.GetPipelineResponse) show.Table { return pipelinesTable(res.GetSummary()) })
		},
	}
	applicationFlag(c, &application)
	a.addOutput(c)
	return c
}

func pipelinesTable(all ...*deliveryv1.PipelineSummary) show.Table {
	t := show.Table{Columns: []string{"name", "application", "stages", "problem", "id"}, Wide: 4}
	for _, p := range all {
		t.Rows = append(t.Rows, []any{p.GetName(), p.GetApplication(), strings.Join(p.GetStages(), " > "), p.GetProblem(), p.GetId()})
	}
	t.Bad = func(row int) bool { return all[row].GetProblem() != "" }
	return t
}

func (a *app) deletePipeline() *cobra.Command {
	var application string
	var dryRun bool
	c := &cobra.Command{
		Use: "pipeline NAME", Short: "Delete a pipeline of Spinnaker", Args: cobra.ExactArgs(1),
		Example: "  cloverctl delete pipeline deliver -a demo",
		RunE: func(c *cobra.Command, args []string) error {
			if err := needApplication("delete pipeline", application); err != nil {
				return err
			}
			query := url.Values{}
			if dryRun {
				query.Set("dry_run", "true")
			}
			return a.send(c, "DELETE", withQuery(pipelineRoute(application, args[0]), query), &deliveryv1.DeletePipelineRequest{}, &deliveryv1.DeletePipelineResponse{})
		},
	}
	applicationFlag(c, &application)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "see whether it is there, and change nothing")
	return c
}

func (a *app) startPipeline() *cobra.Command {
	var application string
	var parameters []string
	var dryRun, wait bool
	var within time.Duration
	c := &cobra.Command{
		Use: "pipeline NAME", Short: "Start a pipeline of Spinnaker", Args: cobra.ExactArgs(1),
		Example: "  cloverctl start pipeline deliver -a demo --wait\n  cloverctl start pipeline deliver -a demo --parameter tag=v1.2",
		RunE: func(c *cobra.Command, args []string) error {
			if err := needApplication("start pipeline", application); err != nil {
				return err
			}
			values := map[string]any{}
			for _, p := range parameters {
				key, value, ok := strings.Cut(p, "=")
				if !ok || key == "" {
					return usagef("--parameter %q is not NAME=VALUE", p)
				}
				values[key] = value
			}
			asStruct, err := structpb.NewStruct(values)
			if err != nil {
				return usagef("--parameter: %w", err)
			}
			res := &deliveryv1.StartPipelineResponse{}
			request := &deliveryv1.StartPipelineRequest{Parameters: asStruct, DryRun: dryRun}
			if err := a.send(c, "POST", pipelineRoute(application, args[0])+"/start", request, res); err != nil || !wait {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), within)
			defer cancel()
			return a.watchExecution(ctx, res.GetExecutionId())
		},
	}
	applicationFlag(c, &application)
	c.Flags().StringArrayVar(&parameters, "parameter", nil, "a parameter of the pipeline, `NAME=VALUE` (may be given again)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "go through the stages without doing them")
	c.Flags().BoolVar(&wait, "wait", false, "wait until it has ended, and fail if it has not succeeded")
	c.Flags().DurationVar(&within, "wait-timeout", 30*time.Minute, "longest time for --wait")
	return c
}

const (
	firstExecutionPoll = 200 * time.Millisecond
	lastExecutionPoll  = 5 * time.Second
)

// watchExecution prints what stages come to, until the execution has ended.
func (a *app) watchExecution(ctx context.Context, id string) error {
	cl, err := a.client(ctx)
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for wait := firstExecutionPoll; ; wait = min(wait+wait/2, lastExecutionPoll) {
		res := &deliveryv1.GetExecutionResponse{}
		_, err := cl.Get(ctx, "/executions/"+url.PathEscape(id), nil, res)
		var st *client.StatusError
		switch passing := errors.As(err, &st) && st.Code == codes.Unavailable; {
		case ctx.Err() != nil:
			return fmt.Errorf("execution %s goes on, but is not waited for any longer; see it with: cloverctl get execution %s", id, id)
		case err != nil && !passing:
			return err
		case err == nil && a.printStages(res.GetExecution(), seen):
			return executionOutcome(res.GetExecution())
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// printStages prints stages whose status is new, and reports whether all has
// ended.
func (a *app) printStages(x *deliveryv1.Execution, seen map[string]string) bool {
	for _, s := range x.GetStages() {
		key := s.GetRefId() + s.GetName()
		if seen[key] == s.GetStatus() || s.GetStatus() == "NOT_STARTED" {
			continue
		}
		seen[key] = s.GetStatus()
		line := fmt.Sprintf("%s: %s", s.GetName(), s.GetStatus())
		if len(s.GetErrors()) > 0 {
			line += ": " + strings.Join(s.GetErrors(), "; ")
		}
		fmt.Fprintln(a.Out, show.Clean(line))
	}
	return x.GetComplete()
}

func executionOutcome(x *deliveryv1.Execution) error {
	if !x.GetFailed() {
		return nil
	}
	if reason := x.GetCancellationReason(); reason != "" {
		return fmt.Errorf("execution %s: %s (%s)", x.GetId(), x.GetStatus(), reason)
	}
	return fmt.Errorf("execution %s: %s", x.GetId(), x.GetStatus())
}

func (a *app) getExecution() *cobra.Command {
	var application, name string
	var limit int
	c := &cobra.Command{
		Use: "execution [ID]", Short: "Show executions of pipelines, or the stages of one", Args: cobra.MaximumNArgs(1),
		Example: "  cloverctl get execution -a demo --pipeline deliver\n  cloverctl get execution 01JABC -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return answer(c.Context(), a, "/executions/"+url.PathEscape(args[0]), nil, &deliveryv1.GetExecutionResponse{}, stagesTable)
			}
			if err := needApplication("get execution", application); err != nil {
				return err
			}
			query := url.Values{"application": {application}, "limit": {fmt.Sprint(limit)}}
			if name != "" {
				query.Set("pipeline", name)
			}
			return answer(c.Context(), a, "/executions", query, &deliveryv1.ListExecutionsResponse{}, executionsTable)
		},
	}
	applicationFlag(c, &application)
	c.Flags().StringVar(&name, "pipeline", "", "only those of this `pipeline`")
	c.Flags().IntVar(&limit, "limit", 10, "largest number of rows")
	a.addOutput(c)
	return c
}

func executionsTable(res *deliveryv1.ListExecutionsResponse) show.Table {
	t := show.Table{Columns: []string{"id", "pipeline", "status", "started", "took"}}
	for _, x := range res.GetExecutions() {
		t.Rows = append(t.Rows, []any{x.GetId(), x.GetPipeline(), x.GetStatus(), x.GetStartTime(), took(x)})
	}
	t.Bad = func(row int) bool { return res.GetExecutions()[row].GetFailed() }
	return t
}

// took returns how long an execution ran, nil while it runs.
func took(x *deliveryv1.Execution) *durationpb.Duration {
	if x.GetStartTime() == nil || x.GetEndTime() == nil {
		return nil
	}
	return durationpb.New(x.GetEndTime().AsTime().Sub(x.GetStartTime().AsTime()))
}

func stagesTable(res *deliveryv1.GetExecutionResponse) show.Table {
	x := res.GetExecution()
	t := show.Table{Columns: []string{"stage", "type", "status", "started", "errors"}}
	for _, s := range x.GetStages() {
		t.Rows = append(t.Rows, []any{s.GetName(), s.GetType(), s.GetStatus(), s.GetStartTime(), strings.Join(s.GetErrors(), "; ")})
	}
	t.Bad = func(row int) bool { return len(x.GetStages()[row].GetErrors()) > 0 }
	t.Notes = append(t.Notes, fmt.Sprintf("execution %s of pipeline %s: %s", x.GetId(), x.GetPipeline(), x.GetStatus()))
	return t
}

func (a *app) stopExecution() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "execution ID", Short: "Cancel an execution of a pipeline", Args: cobra.ExactArgs(1),
		Example: "  cloverctl stop execution 01JABC --reason 'wrong chart'",
		RunE: func(c *cobra.Command, args []string) error {
			return a.send(c, "POST", "/executions/"+url.PathEscape(args[0])+"/cancel", &deliveryv1.CancelExecutionRequest{Reason: reason}, &deliveryv1.CancelExecutionResponse{})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for people")
	return c
}
