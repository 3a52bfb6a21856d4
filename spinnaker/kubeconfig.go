package spinnaker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxKubeconfigBytes is more than hundreds of clusters with certificates.
const maxKubeconfigBytes = 1 << 20

// Kubeconfig is a kubeconfig that was read and whose references hold. It
// holds credentials and does not print them.
type Kubeconfig struct {
	current  string
	contexts []kubeContext
	clusters map[string]map[string]any
	users    map[string]map[string]any
}

type kubeContext struct {
	name   string
	fields map[string]any
}

// KubeContext is what a context of a kubeconfig says.
type KubeContext struct {
	Name, Cluster, User, Namespace string
	// Server is the address of the API server.
	Server string
	// Auth says how the user proves who it is: "token", "client certificate",
	// "password", "program NAME", "provider NAME" or "none".
	Auth string
	// Files are the fields that name files instead of holding their content;
	// see Flatten.
	Files []string
	// Notes say what may not work where Spinnaker runs.
	Notes []string
}

// RunsProgram reports whether the credentials come from a program.
func (c KubeContext) RunsProgram() bool {
	return strings.HasPrefix(c.Auth, "program ") || strings.HasPrefix(c.Auth, "provider ")
}

// String names neither secrets nor files.
func (k *Kubeconfig) String() string {
	return fmt.Sprintf("kubeconfig of %d contexts", len(k.contexts))
}

// GoString is String.
func (k *Kubeconfig) GoString() string { return k.String() }

type kubeNamed struct {
	Name    string         `yaml:"name"`
	Context map[string]any `yaml:"context"`
	Cluster map[string]any `yaml:"cluster"`
	User    map[string]any `yaml:"user"`
}

type kubeFile struct {
	Kind     string      `yaml:"kind"`
	Current  string      `yaml:"current-context"`
	Contexts []kubeNamed `yaml:"contexts"`
	Clusters []kubeNamed `yaml:"clusters"`
	Users    []kubeNamed `yaml:"users"`
}

// ReadKubeconfig reads a kubeconfig, YAML or JSON. Errors never quote values.
func ReadKubeconfig(data []byte) (*Kubeconfig, error) {
	if len(data) > maxKubeconfigBytes {
		return nil, &FieldError{Msg: fmt.Sprintf("kubeconfig of %d bytes; at most %d", len(data), maxKubeconfigBytes)}
	}
	var f kubeFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		var wrong *yaml.TypeError
		if errors.As(err, &wrong) { // quotes what it could not read
			return nil, &FieldError{Msg: "not a kubeconfig; want contexts, clusters and users as lists, as kubectl writes them"}
		}
		return nil, &FieldError{Msg: "kubeconfig: not YAML" + lineOf(err)}
	}
	if f.Kind != "" && f.Kind != "Config" {
		return nil, &FieldError{Field: "kind", Msg: "not a kubeconfig; want kind: Config"}
	}
	k := &Kubeconfig{current: f.Current, clusters: map[string]map[string]any{}, users: map[string]map[string]any{}}
	for _, c := range f.Contexts {
		k.contexts = append(k.contexts, kubeContext{c.Name, c.Context})
	}
	for _, c := range f.Clusters {
		k.clusters[c.Name] = c.Cluster
	}
	for _, u := range f.Users {
		k.users[u.Name] = u.User
	}
	if len(k.contexts) == 0 {
		return nil, &FieldError{Field: "contexts", Msg: "a kubeconfig without contexts"}
	}
	return k, nil
}

// Contexts returns the names of the contexts, sorted.
func (k *Kubeconfig) Contexts() []string {
	var out []string
	for _, c := range k.contexts {
		out = append(out, c.name)
	}
	slices.Sort(out)
	return out
}

// Context returns a context, "" being the current one.
func (k *Kubeconfig) Context(name string) (KubeContext, error) {
	c, err := k.find(name)
	if err != nil {
		return KubeContext{}, err
	}
	cluster, user := k.clusters[field(c.fields, "cluster")], k.users[field(c.fields, "user")]
	out := KubeContext{
		Name: c.name, Cluster: field(c.fields, "cluster"), User: field(c.fields, "user"),
		Namespace: field(c.fields, "namespace"), Server: field(cluster, "server"),
	}
	u, err := url.Parse(out.Server)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return KubeContext{}, &FieldError{Field: "clusters", Msg: fmt.Sprintf("the cluster of context %q has no server, or none that is a URL", clip(c.name))}
	}
	out.Server = u.Redacted()
	if host := u.Hostname(); host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1" || host == "0.0.0.0" {
		out.Notes = append(out.Notes, "the server "+host+" is this machine; Spinnaker's pods will not reach it there")
	}
	out.Auth = auth(user)
	for _, name := range []string{"certificate-authority", "client-certificate", "client-key", "tokenFile"} {
		if field(cluster, name)+field(user, name) != "" {
			out.Files = append(out.Files, name)
		}
	}
	switch {
	case strings.HasPrefix(out.Auth, "program "):
		out.Notes = append(out.Notes, out.Auth+" must be there where Spinnaker runs")
	case strings.HasPrefix(out.Auth, "provider "):
		out.Notes = append(out.Notes, out.Auth+" is gone from kubectl since 1.26")
	}
	if insecure, _ := cluster["insecure-skip-tls-verify"].(bool); insecure {
		out.Notes = append(out.Notes, "the server's certificate is not verified")
	}
	return out, nil
}

func (k *Kubeconfig) find(name string) (kubeContext, error) {
	if name == "" {
		name = k.current
	}
	if name == "" {
		return kubeContext{}, &FieldError{Field: "context", Msg: "the kubeconfig has no current context; want one of: " + k.list()}
	}
	for _, c := range k.contexts {
		if c.name != name {
			continue
		}
		if k.clusters[field(c.fields, "cluster")] == nil {
			return kubeContext{}, &FieldError{Field: "context", Msg: fmt.Sprintf("the kubeconfig lacks the cluster of context %q", clip(name))}
		}
		if user := field(c.fields, "user"); user != "" && k.users[user] == nil {
			return kubeContext{}, &FieldError{Field: "context", Msg: fmt.Sprintf("the kubeconfig lacks the user of context %q", clip(name))}
		}
		return c, nil
	}
	return kubeContext{}, &FieldError{Field: "context", Msg: fmt.Sprintf("the kubeconfig has no context %q; want one of: %s", clip(name), k.list())}
}

func (k *Kubeconfig) list() string {
	const most = 20
	names := k.Contexts()
	if len(names) > most {
		names = append(names[:most], "…")
	}
	for i := range names {
		names[i] = clip(names[i])
	}
	return strings.Join(names, ", ")
}

func field(m map[string]any, name string) string {
	v, _ := m[name].(string)
	return v
}

// auth says how a user proves who it is, in the order that kubectl takes.
func auth(user map[string]any) string {
	named := func(kind, key, name string) string {
		m, _ := user[key].(map[string]any)
		return kind + " " + clip(field(m, name))
	}
	switch {
	case user["exec"] != nil:
		return named("program", "exec", "command")
	case user["auth-provider"] != nil:
		return named("provider", "auth-provider", "name")
	case field(user, "client-certificate-data")+field(user, "client-certificate") != "":
		return "client certificate"
	case field(user, "token")+field(user, "tokenFile") != "":
		return "token"
	case field(user, "username") != "":
		return "password"
	}
	return "none"
}

// Flatten puts the files that the kubeconfig refers to into it, as Spinnaker
// will not have them. dir is what relative paths are relative to.
func (k *Kubeconfig) Flatten(dir string, read func(path string) ([]byte, error)) error {
	take := func(m map[string]any, from, to string, encode bool) error {
		path := field(m, from)
		if path == "" {
			return nil
		}
		delete(m, from)
		if field(m, to) != "" {
			return nil
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		data, err := read(path)
		if err != nil {
			return fmt.Errorf("kubeconfig: %s: %w", from, err)
		}
		if m[to] = strings.TrimSpace(string(data)); encode {
			m[to] = base64.StdEncoding.EncodeToString(data)
		}
		return nil
	}
	for _, c := range k.clusters {
		if err := take(c, "certificate-authority", "certificate-authority-data", true); err != nil {
			return err
		}
	}
	for _, u := range k.users {
		for from, to := range map[string]string{"client-certificate": "client-certificate-data", "client-key": "client-key-data"} {
			if err := take(u, from, to, true); err != nil {
				return err
			}
		}
		if err := take(u, "tokenFile", "token", false); err != nil {
			return err
		}
	}
	return nil
}

// Minify returns a kubeconfig with what one context needs and nothing else,
// so that no other cluster's credentials leave the machine. "" is the current
// context.
func (k *Kubeconfig) Minify(name string) (Secret, error) {
	c, err := k.find(name)
	if err != nil {
		return Secret{}, err
	}
	cluster, user := field(c.fields, "cluster"), field(c.fields, "user")
	out := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": c.name,
		"contexts": []any{map[string]any{"name": c.name, "context": c.fields}},
		"clusters": []any{map[string]any{"name": cluster, "cluster": k.clusters[cluster]}},
	}
	if user != "" {
		out["users"] = []any{map[string]any{"name": user, "user": k.users[user]}}
	}
	data, err := yaml.Marshal(out)
	if err != nil {
		return Secret{}, fmt.Errorf("kubeconfig: %w", err)
	}
	return NewSecret(string(data)), nil
}

// lineOf returns what may be told of a parser's error: the line, not the text.
func lineOf(err error) string {
	for _, word := range strings.Fields(err.Error()) {
		if n, convErr := strconv.Atoi(strings.TrimSuffix(word, ":")); convErr == nil {
			return fmt.Sprintf(": line %d cannot be read; check indentation, quotes and brackets there", n)
		}
	}
	return ": check indentation, quotes and brackets"
}
