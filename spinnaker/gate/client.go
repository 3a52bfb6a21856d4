// Package gate is a client of Gate, the API of a Spinnaker installation:
// accounts, applications, pipelines and their executions.
//
// It follows gate-web's controllers and orca's models of
// github.com/spinnaker/spinnaker at 8f1801da9 (2026.2).
package gate

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// Options of a Client. Only URL is needed.
type Options struct {
	// URL of Gate, e.g. http://spin-gate.spinnaker:8084.
	URL string
	// HTTP makes the requests. nil: a client of its own, with TLS.
	HTTP *http.Client
	// TLS is for X.509 client certificates and own authorities; it is used
	// where HTTP is nil.
	TLS *tls.Config
	// Auth says who asks.
	Auth Auth
	// Header is sent besides.
	Header http.Header
	// Timeout of one request. 0: 90 s, as Gate itself waits up to a minute
	// for some.
	Timeout time.Duration
	// MaxBytes bounds an answer. 0: 32 MiB.
	MaxBytes int64
	// FirstPoll is how long the first look at an execution waits; each later
	// one waits half as long again, up to 5 s. 0: 500 ms.
	FirstPoll time.Duration
	// Patience is how long Gate may be out of reach while an execution is
	// waited for. 0: a minute.
	Patience time.Duration
}

// Auth is one way to say who asks; the zero value says nothing. X.509
// certificates are in Options.TLS, sessions come by Login.
type Auth struct {
	// User is sent in X-SPINNAKER-USER, which gate-header takes from a proxy
	// that it trusts.
	User string
	// Token is an API token of Spinnaker, sent in X-Spinnaker-Token.
	Token spinnaker.Secret
	// Bearer is a token of OAuth 2, sent in Authorization.
	Bearer spinnaker.Secret
	// BasicUser and BasicPassword are sent in Authorization.
	BasicUser     string
	BasicPassword spinnaker.Secret
}

// header returns the headers of one way.
func (a Auth) header(more http.Header) (http.Header, error) {
	h := more.Clone()
	if h == nil {
		h = http.Header{}
	}
	if !a.Bearer.IsZero() && a.BasicUser != "" {
		return nil, &spinnaker.FieldError{Field: "Auth", Msg: "both a bearer token and a user with a password; want one"}
	}
	if a.User != "" {
		h.Set("X-SPINNAKER-USER", a.User)
	}
	if !a.Token.IsZero() {
		h.Set("X-Spinnaker-Token", a.Token.Reveal())
	}
	if !a.Bearer.IsZero() {
		h.Set("Authorization", "Bearer "+a.Bearer.Reveal())
	}
	if a.BasicUser != "" {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.BasicUser+":"+a.BasicPassword.Reveal())))
	}
	return h, nil
}

// Client asks one Gate. It is safe for concurrent use.
type Client struct {
	rest *rest.Client
	opts Options
}

// New checks the options. It makes no request.
func New(o Options) (*Client, error) {
	const (
		timeout  = 90 * time.Second
		poll     = 500 * time.Millisecond
		patience = time.Minute
	)
	o.Timeout = cmp.Or(o.Timeout, timeout)
	o.FirstPoll = cmp.Or(o.FirstPoll, poll)
	o.Patience = cmp.Or(o.Patience, patience)
	header, err := o.Auth.header(o.Header)
	if err != nil {
		return nil, err
	}
	client := http.Client{}
	if o.HTTP != nil {
		client = *o.HTTP
	} else if o.TLS != nil {
		transport, _ := http.DefaultTransport.(*http.Transport)
		transport = transport.Clone()
		transport.TLSClientConfig = o.TLS
		client.Transport = transport
	}
	if client.Jar == nil {
		if client.Jar, err = cookiejar.New(nil); err != nil {
			return nil, err
		}
	}
	r, err := rest.New(rest.Options{URL: o.URL, HTTP: &client, Header: header, Timeout: o.Timeout, MaxBytes: o.MaxBytes})
	if err != nil {
		return nil, err
	}
	return &Client{rest: r, opts: o}, nil
}

// Login begins a session with a user and a password, as gate-ldap and
// gate-basic have it: the client keeps the session's cookie.
func (c *Client) Login(ctx context.Context, user string, password spinnaker.Secret) error {
	call := rest.Call{
		Op: "log in", Target: user, Method: http.MethodPost, Path: []string{"login"},
		Form: url.Values{"username": {user}, "password": {password.Reveal()}},
	}
	answer, err := c.rest.Do(ctx, call)
	where := answer.Header.Get("Location") // Spring Security redirects, either way
	if answer.Status >= 300 && answer.Status < 400 && !strings.Contains(where, "error") && !strings.HasSuffix(where, "/login") {
		return nil
	}
	if err == nil || (answer.Status >= 300 && answer.Status < 400) {
		return &spinnaker.Error{Op: call.Op, Target: user, Kind: spinnaker.ErrDenied, Status: answer.Status, Err: errors.New("user and password are refused")}
	}
	return err
}

// Version returns Gate's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	var out struct {
		Version string `json:"version"`
	}
	err := c.get(ctx, "get version", "", &out, nil, "version")
	return out.Version, err
}

// User is who Gate takes the client for.
type User struct {
	Username        string   `json:"username"`
	Email           string   `json:"email"`
	Roles           []string `json:"roles"`
	AllowedAccounts []string `json:"allowedAccounts"`
	IsAdmin         bool     `json:"isAdmin"`
}

// User asks for it. The error matches spinnaker.ErrDenied if Gate knows nobody.
func (c *Client) User(ctx context.Context) (User, error) {
	var out User
	if err := c.get(ctx, "get user", "", &out, nil, "auth", "user"); err != nil {
		return out, err
	}
	if out.Username == "" {
		return out, &spinnaker.Error{Op: "get user", Kind: spinnaker.ErrDenied, Status: http.StatusOK, Err: errors.New("nobody is signed in")}
	}
	return out, nil
}

// Application is a name under which pipelines and what they deploy belong.
type Application struct {
	Name          string `json:"name"`
	Email         string `json:"email"`
	Description   string `json:"description"`
	CloudProvider string `json:"cloudProviders"`
}

// Applications lists them. Gate's own list is up to some seconds old.
func (c *Client) Applications(ctx context.Context) ([]Application, error) {
	var out []Application
	err := c.get(ctx, "list applications", "", &out, nil, "applications")
	return out, err
}

// Application returns one. The error matches spinnaker.ErrNotFound if there is
// none of that name.
func (c *Client) Application(ctx context.Context, name string) (Application, error) {
	var out struct {
		Name       string          `json:"name"`
		Attributes json.RawMessage `json:"attributes"`
	}
	app := Application{Name: name}
	if err := c.get(ctx, "get application", name, &out, url.Values{"expand": {"false"}}, "applications", name); err != nil {
		return app, err
	}
	if len(out.Attributes) > 0 && json.Unmarshal(out.Attributes, &app) != nil {
		return app, c.odd("get application", name, "attributes that are no object")
	}
	return app, nil
}

// CreateApplication creates an application, or changes its email and
// description, and waits until that is done.
func (c *Client) CreateApplication(ctx context.Context, a Application) error {
	app := map[string]any{"name": a.Name, "email": a.Email, "description": a.Description, "cloudProviders": a.CloudProvider}
	call := rest.Call{Op: "create application", Target: a.Name, Method: http.MethodPost, Path: []string{"tasks"}, Body: map[string]any{
		"application": a.Name, "description": "Create Application: " + a.Name,
		"job": []any{map[string]any{"type": "createApplication", "application": app}},
	}}
	var ref struct {
		Ref string `json:"ref"`
	}
	if err := c.rest.JSON(ctx, call, &ref); err != nil {
		return err
	}
	_, id, ok := strings.Cut(ref.Ref, "/tasks/")
	if !ok {
		return c.odd(call.Op, a.Name, "no reference to a task")
	}
	return c.waitTask(ctx, call, id)
}

// get is a request that reads.
func (c *Client) get(ctx context.Context, op, target string, out any, query url.Values, path ...string) error {
	return c.rest.JSON(ctx, rest.Call{Op: op, Target: target, Method: http.MethodGet, Path: path, Query: query}, out)
}

// odd is an answer of the wrong form.
func (c *Client) odd(op, target, what string) error {
	return &spinnaker.Error{Op: op, Target: target, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: errors.New("the answer has " + what)}
}

// none says that there is no such thing.
func none(op, target, what string) error {
	return &spinnaker.Error{Op: op, Target: target, Kind: spinnaker.ErrNotFound, Err: errors.New(what)}
}
