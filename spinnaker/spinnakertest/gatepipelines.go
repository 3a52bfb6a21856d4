package spinnakertest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// find returns the index of a pipeline by name or ID, below 0 if there is
// none (ApplicationService.getPipelineConfigForApplication).
func (g *Gate) find(app, nameOrID string) int {
	byName := func(p map[string]any) bool { return p["application"] == app && p["name"] == nameOrID }
	if i := slices.IndexFunc(g.pipelines, byName); i >= 0 {
		return i
	}
	return slices.IndexFunc(g.pipelines, func(p map[string]any) bool { return p["id"] == nameOrID })
}

func (g *Gate) listPipelines(w http.ResponseWriter, r *http.Request) {
	list := []map[string]any{}
	for _, p := range g.pipelines {
		if p["application"] == r.PathValue("app") {
			list = append(list, p)
		}
	}
	answer(w, http.StatusOK, list)
}

func (g *Gate) getPipeline(w http.ResponseWriter, r *http.Request) {
	i := g.find(r.PathValue("app"), r.PathValue("name"))
	if i < 0 {
		g.noPipeline(w, r)
		return
	}
	answer(w, http.StatusOK, g.pipelines[i])
}

func (g *Gate) noPipeline(w http.ResponseWriter, r *http.Request) {
	springError(w, r, http.StatusNotFound, fmt.Sprintf("Pipeline configuration not found (nameOrId: %s in application %s): Status: 404", r.PathValue("name"), r.PathValue("app")))
}

// savePipeline follows PipelineController.savePipeline of Gate, which waits
// for Orca's SavePipelineTask.java and so for Front50's PipelineController.java.
func (g *Gate) savePipeline(w http.ResponseWriter, r *http.Request) {
	var p map[string]any
	if !decode(r, &p) {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	app, name := strings.TrimSpace(str(p["application"])), strings.TrimSpace(str(p["name"]))
	if app == "" || name == "" {
		springError(w, r, http.StatusBadRequest, "A pipeline requires name and application fields")
		return
	}
	p["name"] = name
	for i, have := range g.pipelines {
		same := have["application"] == app && strings.EqualFold(str(have["name"]), name)
		switch {
		case p["id"] != nil && have["id"] == p["id"]:
			g.pipelines[i] = p
			w.WriteHeader(http.StatusOK)
			return
		case same:
			springError(w, r, http.StatusBadRequest, fmt.Sprintf("A pipeline with name %s already exists in application %s", name, app))
			return
		}
	}
	if p["id"] == nil {
		p["id"] = uuid()
	}
	g.pipelines = append(g.pipelines, p)
	w.WriteHeader(http.StatusOK)
}

// deletePipeline follows PipelineController.deletePipeline: one that is not
// there is no error.
func (g *Gate) deletePipeline(w http.ResponseWriter, r *http.Request) {
	g.pipelines = slices.DeleteFunc(g.pipelines, func(p map[string]any) bool {
		return p["application"] == r.PathValue("app") && strings.EqualFold(str(p["name"]), r.PathValue("name"))
	})
	w.WriteHeader(http.StatusOK)
}

// start follows PipelineController.invokePipelineConfig and
// PipelineService.trigger of Gate, and ArtifactUtils.java of Orca.
func (g *Gate) start(w http.ResponseWriter, r *http.Request) {
	i := g.find(r.PathValue("app"), r.PathValue("name"))
	if i < 0 {
		g.noPipeline(w, r)
		return
	}
	var trigger map[string]any
	if !decode(r, &trigger) {
		trigger = map[string]any{}
	}
	config := clone(g.pipelines[i])
	parameters, _ := trigger["parameters"].(map[string]any)
	for _, p := range objects(config["parameterConfig"]) {
		if p["required"] == true && p["default"] == nil && parameters[str(p["name"])] == nil {
			springError(w, r, http.StatusBadRequest, fmt.Sprintf("Unable to trigger pipeline (application: %s, pipelineNameOrId: %s). Error: Required parameter %s is missing", r.PathValue("app"), r.PathValue("name"), str(p["name"])))
			return
		}
	}
	x := &execution{id: uuid(), config: config, status: "NOT_STARTED", built: time.Now(), artifacts: map[string]map[string]any{}}
	for _, e := range objects(config["expectedArtifacts"]) {
		bound := bind(e, objects(trigger["artifacts"]))
		if bound == nil {
			springError(w, r, http.StatusBadRequest, fmt.Sprintf("Unmatched expected artifact %v could not be resolved.", e["id"]))
			return
		}
		x.artifacts[str(e["id"])] = bound
	}
	for _, s := range objects(config["stages"]) {
		x.stages = append(x.stages, &stage{id: uuid(), config: s, status: "NOT_STARTED", polls: g.opts.Polls, context: map[string]any{}})
	}
	g.executions = append(g.executions, x)
	answer(w, http.StatusAccepted, map[string]string{"ref": "/pipelines/" + x.id})
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// bind follows ExpectedArtifact.matches: fields of the match are regular
// expressions, and those that are empty match anything.
func bind(e map[string]any, given []map[string]any) map[string]any {
	match, _ := e["matchArtifact"].(map[string]any)
	for _, a := range given {
		fits := true
		for _, f := range []string{"type", "name", "version", "location", "reference"} {
			want := str(match[f])
			if want == "" {
				continue
			}
			re, err := regexp.Compile("^(?:" + want + ")$")
			fits = fits && (want == str(a[f]) || (err == nil && re.MatchString(str(a[f]))))
		}
		if fits {
			return a
		}
	}
	if e["useDefaultArtifact"] == true {
		d, _ := e["defaultArtifact"].(map[string]any)
		return d
	}
	return nil
}
