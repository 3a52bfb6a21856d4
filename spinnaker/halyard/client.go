// Package halyard is a client of Halyard's daemon, which keeps the
// configuration of a Spinnaker installation: versions, deployments, accounts
// of providers, and the tasks by which all of it is done.
//
// It follows halyard-web's controllers and halyard-core's tasks of
// github.com/spinnaker/halyard at 23e66d693 (April 2025). Halyard is
// deprecated; installations without it are reached by package gate.
package halyard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// Defaults of Options.
const (
	DefaultDeployment = "default"
	DefaultPatience   = time.Minute
	firstPoll         = 100 * time.Millisecond
	slowestPoll       = 2 * time.Second
)

// Options of a Client. Only URL is needed.
type Options struct {
	// URL of the daemon, e.g. http://spin-halyard.spinnaker:8064.
	URL string
	// HTTP makes the requests. nil: a client of its own.
	HTTP *http.Client
	// Deployment whose configuration is meant. "": DefaultDeployment.
	Deployment string
	// SkipValidation has the daemon change things without checking them, e.g.
	// without asking a registry. Its checks of what is stored stay.
	SkipValidation bool
	// Severity is the worst that validation may find without refusing the
	// change. "": Warning, as hal does.
	Severity Severity
	// Patience is how long the daemon may be out of reach while a task runs,
	// e.g. because it restarts. 0: DefaultPatience.
	Patience time.Duration
	// FirstPoll is how long the first look at a task waits; each later one
	// waits half as long again, up to 2 s. 0: 100 ms.
	FirstPoll time.Duration
	// Timeout of one request. 0: 30 s. A task may take longer.
	Timeout time.Duration
	// MaxBytes bounds an answer. 0: 32 MiB.
	MaxBytes int64
	// OnEvent hears of what tasks do, in the order it happens, from the
	// goroutine of the call. nil: nobody.
	OnEvent func(Event)
}

// Client asks one daemon. It is safe for concurrent use; the daemon itself
// keeps one configuration, and of two changes at once the later one wins.
type Client struct {
	rest *rest.Client
	opts Options
}

// New checks the options. It makes no request.
func New(o Options) (*Client, error) {
	o.Deployment = cmp.Or(o.Deployment, DefaultDeployment)
	o.Severity = cmp.Or(o.Severity, Warning)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	o.FirstPoll = cmp.Or(o.FirstPoll, firstPoll)
	if o.Severity.rank() < 0 {
		return nil, &spinnaker.FieldError{Field: "Severity", Msg: "want INFO, WARNING, ERROR or FATAL"}
	}
	r, err := rest.New(rest.Options{URL: o.URL, HTTP: o.HTTP, Timeout: o.Timeout, MaxBytes: o.MaxBytes})
	if err != nil {
		return nil, err
	}
	return &Client{rest: r, opts: o}, nil
}

// Health returns nil if the daemon says that it is up.
func (c *Client) Health(ctx context.Context) error {
	var h struct {
		Status string `json:"status"`
	}
	call := rest.Call{Op: "ask health", Method: http.MethodGet, Path: []string{"health"}}
	if err := c.rest.JSON(ctx, call, &h); err != nil {
		return err
	}
	if h.Status != "UP" {
		return &spinnaker.Error{Op: call.Op, Target: c.opts.URL, Kind: spinnaker.ErrTemporary, Status: http.StatusOK, Err: errNotUp}
	}
	return nil
}

// Version is a version of Spinnaker.
type Version struct {
	Version   string `json:"version"`
	Alias     string `json:"alias"`
	Changelog string `json:"changelog"`
	// MinimumHalyardVersion may be empty.
	MinimumHalyardVersion string `json:"minimumHalyardVersion"`
	// LastUpdate is in milliseconds since 1970.
	LastUpdate int64 `json:"lastUpdate"`
}

// Versions are the versions that Halyard can deploy.
type Versions struct {
	LatestHalyard   string    `json:"latestHalyard"`
	LatestSpinnaker string    `json:"latestSpinnaker"`
	Versions        []Version `json:"versions"`
}

// Versions asks for them, which the daemon reads from the internet.
func (c *Client) Versions(ctx context.Context) (Versions, error) {
	var out Versions
	err := c.do(ctx, rest.Call{Op: "list versions", Method: http.MethodGet, Path: []string{"v1", "versions", ""}}, &out)
	return out, err
}

// LatestVersion returns the latest version of Spinnaker.
func (c *Client) LatestVersion(ctx context.Context) (string, error) {
	var out string
	err := c.do(ctx, rest.Call{Op: "get latest version", Method: http.MethodGet, Path: []string{"v1", "versions", "latest", ""}}, &out)
	return out, err
}

// Deployment is a deployment of Spinnaker that the daemon keeps.
type Deployment struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Timezone is e.g. America/Los_Angeles.
	Timezone              string `json:"timezone"`
	DeploymentEnvironment struct {
		Type        string `json:"type"`
		AccountName string `json:"accountName"`
		Location    string `json:"location"`
	} `json:"deploymentEnvironment"`
}

// Deployments lists them.
func (c *Client) Deployments(ctx context.Context) ([]Deployment, error) {
	var out []Deployment
	err := c.do(ctx, rest.Call{Op: "list deployments", Method: http.MethodGet, Path: []string{"v1", "config", "deployments", ""}}, &out)
	return out, err
}

// Deployment returns that of the options.
func (c *Client) Deployment(ctx context.Context) (Deployment, error) {
	var out Deployment
	err := c.do(ctx, c.deployment("get deployment", http.MethodGet, false, ""), &out)
	return out, err
}

// Validate checks the whole deployment and returns what the daemon found,
// however bad. The error says only that it could not be checked.
func (c *Client) Validate(ctx context.Context) ([]Problem, error) {
	call := c.deployment("validate deployment", http.MethodGet, true, "")
	call.Query.Set("severity", string(Fatal)) // so that all are returned, not thrown
	task, err := c.run(ctx, call)
	if err != nil {
		return nil, err
	}
	return task.Response.ProblemSet.Problems, nil
}

// Generate has the daemon write the configuration of all services, and
// returns the folder on its disk.
func (c *Client) Generate(ctx context.Context) (string, error) {
	var out string
	err := c.do(ctx, c.deployment("generate configuration", http.MethodPost, !c.opts.SkipValidation, "generate", ""), &out)
	return out, err
}

// ApplyOptions say how Apply deploys. The zero value deploys all services.
type ApplyOptions struct {
	// Services to deploy, and ExcludeServices not to. Empty: all, none.
	Services, ExcludeServices []string
	// Options are names of Halyard's DeployOption, e.g.
	// FLUSH_INFRASTRUCTURE_CACHES, WAIT_FOR_COMPLETION.
	Options []string
}

// Apply deploys the configuration as it is kept. The daemon gives it 30
// minutes.
func (c *Client) Apply(ctx context.Context, o ApplyOptions) error {
	call := c.deployment("apply deployment", http.MethodPost, !c.opts.SkipValidation, "deploy", "")
	for name, values := range map[string][]string{"serviceNames": o.Services, "excludeServiceNames": o.ExcludeServices, "deployOptions": o.Options} {
		for _, v := range values {
			call.Query.Add(name, v)
		}
	}
	return c.do(ctx, call, nil)
}

// deployment returns a call on the deployment of the options.
func (c *Client) deployment(op, method string, validate bool, path ...string) rest.Call {
	query := url.Values{"validate": {boolText(validate)}}
	if validate {
		query.Set("severity", string(c.opts.Severity))
	}
	return rest.Call{
		Op: op, Target: c.opts.Deployment, Method: method, Query: query,
		Path: append([]string{"v1", "config", "deployments", c.opts.Deployment}, path...),
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
