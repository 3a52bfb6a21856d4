package spinnakertest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// execution follows PipelineExecutionImpl.java as far as Gate shows it. Each
// look at it moves it on.
type execution struct {
	id, status, canceledBy, reason string
	config                         map[string]any
	stages                         []*stage
	artifacts                      map[string]map[string]any
	built, started, ended          time.Time
	paused                         bool
}

type stage struct {
	id, status     string
	polls          int
	config         map[string]any
	context        map[string]any
	outputs        map[string]any
	started, ended time.Time
}

func complete(status string) bool {
	return slices.Contains([]string{"SUCCEEDED", "FAILED_CONTINUE", "TERMINAL", "CANCELED", "STOPPED", "SKIPPED"}, status)
}

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func (x *execution) view() map[string]any {
	stages := []any{}
	for _, s := range x.stages {
		all := map[string]any{}
		maps.Copy(all, s.config)
		maps.Copy(all, s.context)
		stages = append(stages, map[string]any{
			"id": s.id, "refId": s.config["refId"], "type": s.config["type"], "name": s.config["name"], "status": s.status,
			"requisiteStageRefIds": s.config["requisiteStageRefIds"], "startTime": millis(s.started), "endTime": millis(s.ended),
			"context": all, "outputs": s.outputs, "parentStageId": nil, "tasks": []any{},
		})
	}
	return map[string]any{
		"type": "PIPELINE", "id": x.id, "application": x.config["application"], "name": x.config["name"], "status": x.status,
		"pipelineConfigId": x.config["id"], "buildTime": millis(x.built), "startTime": millis(x.started), "endTime": millis(x.ended),
		"canceled": x.status == "CANCELED", "canceledBy": x.canceledBy, "cancellationReason": x.reason, "stages": stages,
	}
}

// step moves an execution on, as Orca's queue would.
func (g *Gate) step(x *execution) {
	if complete(x.status) || x.paused {
		return
	}
	if x.status == "NOT_STARTED" {
		x.status, x.started = "RUNNING", time.Now()
	}
	for _, s := range x.stages {
		if s.status == "RUNNING" {
			g.stepStage(x, s)
		}
	}
	for _, s := range x.stages {
		if s.status == "NOT_STARTED" && x.ready(s) && !x.failed() {
			s.status, s.started = "RUNNING", time.Now()
		}
	}
	switch {
	case x.failed():
		x.end("TERMINAL")
	case !slices.ContainsFunc(x.stages, func(s *stage) bool { return !complete(s.status) }):
		x.end("SUCCEEDED")
	}
}

func (x *execution) end(status string) { x.status, x.ended = status, time.Now() }

func (x *execution) failed() bool {
	return slices.ContainsFunc(x.stages, func(s *stage) bool { return s.status == "TERMINAL" })
}

// ready reports whether all stages before have ended well.
func (x *execution) ready(s *stage) bool {
	refs, _ := s.config["requisiteStageRefIds"].([]any)
	for _, ref := range refs {
		i := slices.IndexFunc(x.stages, func(o *stage) bool { return o.config["refId"] == ref })
		if i < 0 || x.stages[i].status != "SUCCEEDED" {
			return false
		}
	}
	return true
}

func (g *Gate) stepStage(x *execution, s *stage) {
	if s.polls > 0 {
		s.polls--
		return
	}
	status := "SUCCEEDED"
	switch judgment := s.context["judgmentStatus"]; {
	case s.config["type"] != "manualJudgment":
	case judgment == nil:
		return // ManualJudgmentStage.groovy waits
	case judgment == "stop":
		status = "TERMINAL"
	}
	if g.opts.Run != nil && status == "SUCCEEDED" {
		left, err := g.opts.Run(StageRun{Stage: clone(s.config), Artifacts: maps.Clone(x.artifacts)})
		if err != nil {
			status = "TERMINAL"
			s.context["exception"] = exception(err.Error())
		}
		s.outputs = map[string]any{"artifacts": left}
		for _, e := range objects(s.config["expectedArtifacts"]) {
			if bound := bind(e, left); bound != nil { // BindProducedArtifactsTask.java
				x.artifacts[str(e["id"])] = bound
			}
		}
	}
	s.status, s.ended = status, time.Now()
}

func (g *Gate) execution(w http.ResponseWriter, r *http.Request) *execution {
	i := slices.IndexFunc(g.executions, func(x *execution) bool { return x.id == r.PathValue("id") })
	if i < 0 {
		springError(w, r, http.StatusNotFound, "Pipeline not found (id: "+r.PathValue("id")+")")
		return nil
	}
	return g.executions[i]
}

func (g *Gate) getExecution(w http.ResponseWriter, r *http.Request) {
	if x := g.execution(w, r); x != nil {
		g.step(x)
		answer(w, http.StatusOK, x.view())
	}
}

// cancel follows TaskController.cancel of Orca.
func (g *Gate) cancel(w http.ResponseWriter, r *http.Request) {
	x := g.execution(w, r)
	if x == nil {
		return
	}
	if !complete(x.status) {
		x.canceledBy, x.reason = "anonymous", r.URL.Query().Get("reason")
		for _, s := range x.stages {
			if s.status == "RUNNING" {
				s.status, s.ended = "CANCELED", time.Now()
			}
		}
		x.end("CANCELED")
	}
	w.WriteHeader(http.StatusOK)
}

func (g *Gate) pause(w http.ResponseWriter, r *http.Request) { g.hold(w, r, "RUNNING", "PAUSED", true) }

func (g *Gate) resume(w http.ResponseWriter, r *http.Request) {
	g.hold(w, r, "PAUSED", "RUNNING", false)
}

// hold follows ExecutionRepository: an execution that is not in the state
// before cannot come to the one after.
func (g *Gate) hold(w http.ResponseWriter, r *http.Request, from, to string, paused bool) {
	x := g.execution(w, r)
	if x == nil {
		return
	}
	if x.status != from {
		springError(w, r, http.StatusInternalServerError, "Unable to go to "+to+" from "+x.status)
		return
	}
	x.status, x.paused = to, paused
	w.WriteHeader(http.StatusOK)
}

// updateStage follows TaskController.updatePipelineStage of Orca.
func (g *Gate) updateStage(w http.ResponseWriter, r *http.Request) {
	x := g.execution(w, r)
	if x == nil {
		return
	}
	i := slices.IndexFunc(x.stages, func(s *stage) bool { return s.id == r.PathValue("stage") })
	var change map[string]any
	if i < 0 || !decode(r, &change) {
		springError(w, r, http.StatusNotFound, "")
		return
	}
	maps.Copy(x.stages[i].context, change)
	answer(w, http.StatusOK, x.view())
}

// searchExecutions follows ExecutionsController.java, newest first.
func (g *Gate) searchExecutions(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	list := []map[string]any{}
	for _, x := range slices.Backward(g.executions) {
		g.step(x)
		if x.config["application"] != r.PathValue("app") || (query.Get("pipelineName") != "" && x.config["name"] != query.Get("pipelineName")) {
			continue
		}
		if want := query.Get("statuses"); want != "" && !slices.Contains(strings.Split(want, ","), x.status) {
			continue
		}
		list = append(list, x.view())
	}
	answer(w, http.StatusOK, list)
}
