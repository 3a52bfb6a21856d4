package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

// Pipelines lists the pipelines of an application.
func (c *Client) Pipelines(ctx context.Context, application string) ([]pipeline.Pipeline, error) {
	var out []pipeline.Pipeline
	err := c.get(ctx, "list pipelines", application, &out, nil, "applications", application, "pipelineConfigs")
	return out, err
}

// Pipeline returns a pipeline by its name or ID. The error matches
// spinnaker.ErrNotFound if there is none.
func (c *Client) Pipeline(ctx context.Context, application, nameOrID string) (pipeline.Pipeline, error) {
	var out pipeline.Pipeline
	err := c.get(ctx, "get pipeline", nameOrID, &out, nil, "applications", application, "pipelineConfigs", nameOrID)
	if err == nil && out.Name == "" {
		return out, none("get pipeline", nameOrID, "no such pipeline in application "+application)
	}
	return out, err
}

// SavePipeline checks a pipeline and saves it. One without an ID takes the
// place of the application's pipeline of that name if there is one: Front50
// would refuse a second of the same name.
func (c *Client) SavePipeline(ctx context.Context, p pipeline.Pipeline) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.ID == "" {
		old, err := c.Pipeline(ctx, p.Application, p.Name)
		if err != nil && !errors.Is(err, spinnaker.ErrNotFound) {
			return err
		}
		p.ID = old.ID
	}
	return c.rest.JSON(ctx, rest.Call{Op: "save pipeline", Target: p.Name, Method: http.MethodPost, Path: []string{"pipelines"}, Body: p}, nil)
}

// DeletePipeline deletes a pipeline. The error matches spinnaker.ErrNotFound
// if there is none: Gate itself would say that it is done.
func (c *Client) DeletePipeline(ctx context.Context, application, name string) error {
	if _, err := c.Pipeline(ctx, application, name); err != nil {
		return err
	}
	return c.rest.JSON(ctx, rest.Call{Op: "delete pipeline", Target: name, Method: http.MethodDelete, Path: []string{"pipelines", application, name}}, nil)
}

// Trigger is what an execution is started with. The zero value is a start by
// hand.
type Trigger struct {
	// Parameters of the pipeline.
	Parameters map[string]any
	// Artifacts take the place of defaults.
	Artifacts []pipeline.Artifact
	// DryRun goes through the stages without doing them.
	DryRun bool
}

// Start starts a pipeline by its name or ID and returns the ID of the
// execution.
func (c *Client) Start(ctx context.Context, application, nameOrID string, t Trigger) (string, error) {
	body := map[string]any{"type": "manual", "dryRun": t.DryRun, "parameters": map[string]any{}, "artifacts": []any{}}
	if t.Parameters != nil {
		body["parameters"] = t.Parameters
	}
	if t.Artifacts != nil {
		body["artifacts"] = t.Artifacts
	}
	var out struct {
		Ref string `json:"ref"`
	}
	call := rest.Call{Op: "start pipeline", Target: nameOrID, Method: http.MethodPost, Path: []string{"pipelines", application, nameOrID}, Body: body}
	if err := c.rest.JSON(ctx, call, &out); err != nil {
		return "", err
	}
	_, id, ok := strings.Cut(out.Ref, "/pipelines/")
	if !ok || id == "" {
		return "", c.odd(call.Op, nameOrID, "no reference to an execution")
	}
	return id, nil
}
