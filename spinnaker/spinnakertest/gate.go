package spinnakertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// GateOptions of a Gate. The zero value works.
type GateOptions struct {
	// Users may log in with their passwords, and Tokens are API tokens with
	// their users. With either, requests without a session, a token or
	// X-SPINNAKER-USER are sent to the login page.
	Users, Tokens map[string]string
	// NoAccountStorage is clouddriver without account.storage.enabled.
	NoAccountStorage bool
	// Polls is how many times a stage is seen running before it ends.
	Polls int
	// Run does what a stage does when it ends, and returns the artifacts that
	// it leaves; an error ends it as TERMINAL. nil: nothing is done.
	Run func(StageRun) ([]map[string]any, error)
}

// StageRun is a stage that runs.
type StageRun struct {
	// Stage is its configuration, as JSON.
	Stage map[string]any
	// Artifacts by the IDs that stages refer to: those that the execution was
	// started with, and those of the stages before.
	Artifacts map[string]map[string]any
}

// Gate stands in for Gate with what is behind it: Front50, Orca, clouddriver.
// It is an http.Handler, safe for concurrent use.
type Gate struct {
	seam
	opts       GateOptions
	mux        *http.ServeMux
	sessions   map[string]string
	apps       map[string]map[string]any
	accounts   []map[string]any
	pipelines  []map[string]any
	executions []*execution
	tasks      map[string]map[string]any
}

// NewGate returns an installation without applications and accounts.
func NewGate(o GateOptions) *Gate {
	g := &Gate{opts: o, mux: http.NewServeMux(), sessions: map[string]string{}, apps: map[string]map[string]any{}, tasks: map[string]map[string]any{}}
	g.routes()
	return g
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	g.mu.Lock()
	fault := g.meet(r, body)
	g.mu.Unlock()
	if fault.play(w, r) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.URL.Path != "/login" && (len(g.opts.Users) > 0 || len(g.opts.Tokens) > 0) && g.user(r) == "" {
		// Spring Security's entry point.
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
		return
	}
	g.mux.ServeHTTP(w, r)
}

// Accounts returns the accounts that were made, as they are.
func (g *Gate) Accounts() []map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.accounts)
}

// Pipelines returns the pipelines that were saved.
func (g *Gate) Pipelines() []map[string]any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.pipelines)
}

func (g *Gate) routes() {
	for pattern, handler := range map[string]http.HandlerFunc{
		// VersionController.java, AuthController.groovy
		"GET /version": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, map[string]string{"version": "2026.2.0"})
		},
		"GET /auth/user": g.whoami,
		"POST /login":    g.login,
		// ApplicationController.groovy
		"GET /applications":                                 g.listApplications,
		"GET /applications/{app}":                           g.getApplication,
		"GET /applications/{app}/pipelineConfigs":           g.listPipelines,
		"GET /applications/{app}/pipelineConfigs/{name...}": g.getPipeline,
		// TaskController.groovy
		"POST /tasks":     g.createTask,
		"GET /tasks/{id}": g.getTask,
		// CredentialsController.groovy
		"GET /credentials":             g.listCredentials,
		"GET /credentials/type/{type}": g.listDefinitions,
		"POST /credentials":            g.createAccount,
		"PUT /credentials":             g.saveAccount,
		"DELETE /credentials/{name}":   g.deleteAccount,
		// PipelineController.groovy
		"POST /pipelines":                           g.savePipeline,
		"DELETE /pipelines/{app}/{name}":            g.deletePipeline,
		"POST /pipelines/{app}/{name}":              g.start,
		"GET /pipelines/{id}":                       g.getExecution,
		"PUT /pipelines/{id}/cancel":                g.cancel,
		"PUT /pipelines/{id}/pause":                 g.pause,
		"PUT /pipelines/{id}/resume":                g.resume,
		"PATCH /pipelines/{id}/stages/{stage}":      g.updateStage,
		"GET /applications/{app}/executions/search": g.searchExecutions, // ExecutionsController.java
	} {
		g.mux.HandleFunc(pattern, handler)
	}
}

// user returns who asks, "" being nobody.
func (g *Gate) user(r *http.Request) string {
	if name := r.Header.Get("X-SPINNAKER-USER"); name != "" {
		return name
	}
	token := r.Header.Get("X-Spinnaker-Token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && token == "" {
		token = bearer
	}
	if name := g.opts.Tokens[token]; name != "" {
		return name
	}
	if name, password, ok := r.BasicAuth(); ok && password != "" && g.opts.Users[name] == password {
		return name
	}
	if cookie, err := r.Cookie("SESSION"); err == nil {
		return g.sessions[cookie.Value]
	}
	return ""
}

func (g *Gate) whoami(w http.ResponseWriter, r *http.Request) {
	name := g.user(r)
	if name == "" {
		w.WriteHeader(http.StatusOK) // null
		return
	}
	answer(w, http.StatusOK, map[string]any{"username": name, "email": name, "roles": []string{}, "allowedAccounts": []string{}, "isAdmin": false})
}

// login follows Spring Security's form login.
func (g *Gate) login(w http.ResponseWriter, r *http.Request) {
	name, password := r.PostFormValue("username"), r.PostFormValue("password")
	to := "/login?error"
	if password != "" && g.opts.Users[name] == password {
		id := uuid()
		g.sessions[id], to = name, "/"
		http.SetCookie(w, &http.Cookie{Name: "SESSION", Value: id, Path: "/", HttpOnly: true})
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

func (g *Gate) listApplications(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(g.apps)) {
		list = append(list, g.apps[name])
	}
	answer(w, http.StatusOK, list)
}

func (g *Gate) getApplication(w http.ResponseWriter, r *http.Request) {
	name := strings.ToLower(r.PathValue("app"))
	if g.apps[name] == nil {
		springError(w, r, http.StatusNotFound, "Application not found (id: "+name+")")
		return
	}
	answer(w, http.StatusOK, map[string]any{"name": name, "attributes": g.apps[name], "clusters": map[string]any{}})
}

// createTask knows the job createApplication of Orca.
func (g *Gate) createTask(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Job []struct {
			Type        string         `json:"type"`
			Application map[string]any `json:"application"`
		} `json:"job"`
	}
	if !decode(r, &body) || len(body.Job) != 1 {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	job := body.Job[0]
	variable := func(key string, value any) map[string]any { return map[string]any{"key": key, "value": value} }
	// Orca's TaskController.groovy lists all that is in the stages' contexts.
	variables := []any{variable("notification.type", strings.ToLower(job.Type)), variable("application", job.Application)}
	id, task := uuid(), map[string]any{"status": "SUCCEEDED"}
	name, _ := job.Application["name"].(string)
	if job.Type == "createApplication" && name != "" {
		g.apps[strings.ToLower(name)] = job.Application
	} else {
		task["status"] = "TERMINAL"
		variables = append(variables, variable("exception", exception("An application must have a name")))
	}
	task["id"], task["variables"] = id, variables
	g.tasks[id] = task
	answer(w, http.StatusOK, map[string]string{"ref": "/tasks/" + id})
}

// exception is what Orca leaves in the context of what failed.
func exception(message string) map[string]any {
	return map[string]any{"exceptionType": "RuntimeException", "details": map[string]any{"error": "Unexpected Task Failure", "errors": []string{message}}}
}

func (g *Gate) getTask(w http.ResponseWriter, r *http.Request) {
	task := g.tasks[r.PathValue("id")]
	if task == nil {
		springError(w, r, http.StatusNotFound, "No Orchestration found for "+r.PathValue("id"))
		return
	}
	answer(w, http.StatusOK, task)
}

// listCredentials follows clouddriver's CredentialsController.java.
func (g *Gate) listCredentials(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, a := range g.accounts {
		list = append(list, map[string]any{
			"name": a["name"], "type": a["type"], "accountType": a["name"], "cloudProvider": a["type"], "environment": a["name"],
			"authorized": true, "challengeDestructiveActions": false, "primaryAccount": false,
		})
	}
	answer(w, http.StatusOK, list)
}

// storage answers for a clouddriver that stores no accounts.
func (g *Gate) storage(w http.ResponseWriter, r *http.Request) bool {
	if g.opts.NoAccountStorage {
		springError(w, r, http.StatusInternalServerError, "Cannot use AccountDefinitionService endpoints without enabling AccountDefinitionService bean")
	}
	return !g.opts.NoAccountStorage
}

// listDefinitions follows SqlAccountDefinitionRepository.kt: a page begins
// with the name that was asked for.
func (g *Gate) listDefinitions(w http.ResponseWriter, r *http.Request) {
	if !g.storage(w, r) {
		return
	}
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		if _, err := fmt.Sscan(text, &limit); err != nil {
			springError(w, r, http.StatusBadRequest, "")
			return
		}
	}
	list := []map[string]any{}
	sorted := slices.SortedFunc(slices.Values(g.accounts), func(a, b map[string]any) int { return strings.Compare(str(a["name"]), str(b["name"])) })
	for _, a := range sorted {
		if a["type"] == r.PathValue("type") && str(a["name"]) >= r.URL.Query().Get("startingAccountName") && len(list) < limit {
			list = append(list, a)
		}
	}
	answer(w, http.StatusOK, list)
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func (g *Gate) account(name string) int {
	return slices.IndexFunc(g.accounts, func(a map[string]any) bool { return a["name"] == name })
}

// createAccount follows AccountDefinitionService.createAccount.
func (g *Gate) createAccount(w http.ResponseWriter, r *http.Request) {
	g.putAccount(w, r, false)
}

// saveAccount follows AccountDefinitionService.saveAccount, which makes an
// account that is not there.
func (g *Gate) saveAccount(w http.ResponseWriter, r *http.Request) {
	g.putAccount(w, r, true)
}

func (g *Gate) putAccount(w http.ResponseWriter, r *http.Request, replace bool) {
	if !g.storage(w, r) {
		return
	}
	var a map[string]any
	if !decode(r, &a) || str(a["type"]) == "" || str(a["name"]) == "" {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	i := g.account(str(a["name"]))
	switch {
	case i >= 0 && !replace:
		springError(w, r, http.StatusBadRequest, "Cannot create an account which already exists (name: "+str(a["name"])+")")
		return
	case i >= 0:
		g.accounts[i] = a
	default:
		g.accounts = append(g.accounts, a)
	}
	answer(w, http.StatusOK, a)
}

// deleteAccount follows SqlAccountDefinitionRepository.kt: an account that is
// not there is deleted all the same.
func (g *Gate) deleteAccount(w http.ResponseWriter, r *http.Request) {
	if !g.storage(w, r) {
		return
	}
	if i := g.account(r.PathValue("name")); i >= 0 {
		g.accounts = slices.Delete(g.accounts, i, i+1)
	}
	w.WriteHeader(http.StatusOK)
}

// clone copies a JSON value.
func clone(v map[string]any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out map[string]any
	if json.Unmarshal(data, &out) != nil {
		return v
	}
	return out
}
