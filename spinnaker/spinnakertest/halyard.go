package spinnakertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opnfv/clover/spinnaker/halyard"
)

// maxBody bounds what a request may send.
const maxBody = 4 << 20

// HalyardOptions of a Halyard. The zero value works.
type HalyardOptions struct {
	// RemoteDaemon makes fields that are files take their content, as
	// useRemoteDaemon in hal.properties (GlobalApplicationOptions.java).
	RemoteDaemon bool
	// Polls is how many times a task is seen running before it ends. 0: at
	// once, below the first look.
	Polls int
	// Validate adds problems to those that the stand-in finds in an account
	// by itself, e.g. a registry that does not answer. nil: none.
	Validate func(provider string, account map[string]any) []halyard.Problem
}

// Halyard stands in for Halyard's daemon. It is an http.Handler, safe for
// concurrent use.
type Halyard struct {
	seam
	opts      HalyardOptions
	mux       *http.ServeMux
	providers map[string]*halProvider
	tasks     map[string]*halTask
	order     []string // of tasks
	files     map[string]string
	applied   int
}

type halProvider struct {
	Enabled  bool             `json:"enabled"`
	Accounts []map[string]any `json:"accounts"`
	Primary  *string          `json:"primaryAccount"`
}

// halProviders are the fields of Providers.java.
var halProviders = []string{
	"appengine", "aws", "ecs", "azure", "cloudrun", "dcos", "dockerRegistry", "google", "huaweicloud", "kubernetes",
	"tencentcloud", "oracle", "cloudfoundry",
}

// NewHalyard returns a daemon with one deployment, "default", and no accounts.
func NewHalyard(o HalyardOptions) *Halyard {
	h := &Halyard{opts: o, mux: http.NewServeMux(), providers: map[string]*halProvider{}, tasks: map[string]*halTask{}, files: map[string]string{}}
	for _, name := range halProviders {
		h.providers[name] = &halProvider{Accounts: []map[string]any{}}
	}
	h.routes()
	return h
}

// ServeHTTP implements http.Handler.
func (h *Halyard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	h.mu.Lock()
	fault := h.meet(r, body)
	if fault.Kind == Restart {
		h.tasks, h.order = map[string]*halTask{}, nil
	}
	h.mu.Unlock()
	if fault.play(w, r) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	// Spring takes paths with and without a slash at the end.
	r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	h.mux.ServeHTTP(w, r.WithContext(withFault(r.Context(), fault)))
}

// Accounts returns the accounts that are saved, as they are.
func (h *Halyard) Accounts(provider string) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.providers[provider]
	if p == nil {
		return nil
	}
	return slices.Clone(p.Accounts)
}

// Enabled reports whether a provider is switched on.
func (h *Halyard) Enabled(provider string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.providers[provider]
	return p != nil && p.Enabled
}

// File returns what the daemon has stored of a file that was sent as content.
func (h *Halyard) File(path string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text, ok := h.files[path]
	return text, ok
}

// Applied returns how many times the deployment was deployed.
func (h *Halyard) Applied() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.applied
}

// routes follows DaemonService.java of halyard-cli, which is the daemon's own
// client, and the controllers it names.
func (h *Halyard) routes() {
	const deployment = "/v1/config/deployments/{deployment}"
	const provider = deployment + "/providers/{provider}"
	h.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "UP"})
	})
	// TaskController.java
	h.mux.HandleFunc("GET /v1/tasks", h.listTasks)
	h.mux.HandleFunc("GET /v1/tasks/{id}", h.getTask)
	h.mux.HandleFunc("PUT /v1/tasks/{id}/interrupt", h.interruptTask)
	// VersionsController.java
	h.mux.HandleFunc("GET /v1/versions", h.static("Get released versions", halVersions))
	h.mux.HandleFunc("GET /v1/versions/latest", h.static("Get latest released version", "2026.2.0"))
	// DeploymentController.java
	h.mux.HandleFunc("GET /v1/config/deployments", h.static("Get all deployment configurations", []any{halDeployment}))
	h.mux.HandleFunc("GET "+deployment, h.getDeployment)
	h.mux.HandleFunc("POST "+deployment+"/deploy", h.deploy)
	h.mux.HandleFunc("POST "+deployment+"/generate", h.generate)
	// ProviderController.java
	h.mux.HandleFunc("GET "+provider, h.getProvider)
	h.mux.HandleFunc("PUT "+provider+"/enabled", h.setEnabled)
	// AccountController.java
	h.mux.HandleFunc("GET "+provider+"/accounts", h.listAccounts)
	h.mux.HandleFunc("POST "+provider+"/accounts", h.addAccount)
	h.mux.HandleFunc("GET "+provider+"/accounts/account/{account}", h.getAccount)
	h.mux.HandleFunc("PUT "+provider+"/accounts/account/{account}", h.setAccount)
	h.mux.HandleFunc("DELETE "+provider+"/accounts/account/{account}", h.deleteAccount)
}

var (
	halVersions = map[string]any{
		"latestHalyard": "1.68.0", "latestSpinnaker": "2026.2.0", "illegalVersions": []any{},
		"versions": []any{map[string]any{
			"version": "2026.2.0", "alias": "v2026.2", "changelog": "https://spinnaker.io/changelogs/", "minimumHalyardVersion": "1.45", "lastUpdate": 1780000000000,
		}},
	}
	halDeployment = map[string]any{
		"name": "default", "version": "2026.2.0", "timezone": "America/Los_Angeles",
		"deploymentEnvironment": map[string]any{"type": "Distributed", "accountName": "my-kubernetes-account", "location": "spinnaker"},
	}
)

// stage keeps the content of a file and returns the path that the account
// then has (Node.java, stageLocalFiles).
func (h *Halyard) stage(account map[string]any, fields ...string) {
	if !h.opts.RemoteDaemon {
		return
	}
	for _, f := range fields {
		content, _ := account[f].(string)
		if content == "" {
			continue
		}
		path := fmt.Sprintf("/home/spinnaker/.hal/default/staging/%x", crc32.ChecksumIEEE([]byte(content)))
		h.files[path], account[f] = content, path
	}
}

// fill gives an account the fields that its class has (Account.java and
// those below it), and takes those away that it has not.
func fill(provider string, in map[string]any) map[string]any {
	out := map[string]any{"environment": nil, "requiredGroupMembership": []any{}, "permissions": map[string]any{}}
	known := halFields[provider]
	for k, v := range known {
		out[k] = v
	}
	for k, v := range in {
		if _, ok := out[k]; ok || known == nil || k == "name" {
			out[k] = v
		}
	}
	address, _ := out["address"].(string)
	if provider == "dockerRegistry" && address != "" && !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		out["address"] = "https://" + address // DockerRegistryAccount.java, getAddress
	}
	file, _ := out["kubeconfigFile"].(string)
	if uses, _ := out["serviceAccount"].(bool); provider == "kubernetes" && uses {
		out["kubeconfigFile"] = nil // KubernetesAccount.java, getKubeconfigFile
	} else if provider == "kubernetes" && file == "" {
		out["kubeconfigFile"] = "/home/spinnaker/.kube/config"
	}
	return out
}

// halFields are the fields of DockerRegistryAccount.java and of
// KubernetesAccount.java with ContainerAccount.java, with their defaults.
var halFields = map[string]map[string]any{
	"dockerRegistry": {
		"address": nil, "username": nil, "password": nil, "passwordCommand": nil, "email": nil, "cacheIntervalSeconds": 30,
		"clientTimeoutMillis": 60000, "cacheThreads": 1, "paginateSize": 100, "sortTagsByDate": false, "trackDigests": false,
		"insecureRegistry": false, "repositories": []any{}, "repositoriesRegex": nil, "passwordFile": nil, "dockerconfigFile": nil,
	},
	"kubernetes": {
		"dockerRegistries": []any{}, "providerVersion": "V2", "context": nil, "cluster": nil, "user": nil,
		"configureImagePullSecrets": nil, "serviceAccount": nil, "cacheThreads": 1, "cacheIntervalSeconds": nil,
		"namespaces": []any{}, "omitNamespaces": []any{}, "kinds": []any{}, "omitKinds": []any{}, "customResources": []any{},
		"cachingPolicies": []any{}, "kubeconfigFile": nil, "kubeconfigContents": nil, "kubectlPath": nil,
		"kubectlRequestTimeoutSeconds": nil, "checkPermissionsOnStartup": nil, "rawResourcesEndpointConfig": map[string]any{},
		"cacheAllApplicationRelationships": nil, "liveManifestCalls": nil, "oAuthServiceAccount": nil, "oAuthScopes": nil,
		"namingStrategy": nil, "skin": nil, "onlySpinnakerManaged": nil, "debug": nil,
	},
}

// decode reads a request's body.
func decode(r *http.Request, out any) bool { return json.NewDecoder(r.Body).Decode(out) == nil }
