package kube

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ErrNoCluster says that no cluster is configured.
var ErrNoCluster = errors.New("no Kubernetes cluster is configured\nName a configuration file with --kubeconfig or KUBECONFIG")

// ConfigError is a fault of the configuration files.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("Kubernetes configuration: %v\nMend the file, or name another with --kubeconfig or KUBECONFIG.", e.Err)
}

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// UnknownContextError says which contexts there are instead.
type UnknownContextError struct {
	Name  string // "": none is chosen
	Known []string
}

func (e *UnknownContextError) Error() string {
	known := "the configuration has none; name another file with --kubeconfig or KUBECONFIG"
	if len(e.Known) > 0 {
		known = "choose one with --context: " + strings.Join(e.Known, ", ")
	}
	if e.Name == "" {
		return "no context is current; " + known
	}
	return fmt.Sprintf("context %q is not known; %s", e.Name, known)
}

// UnreachableError says that the API server has not answered.
type UnreachableError struct {
	Cluster string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the API server %s does not answer: %v\nIs the cluster running and reachable? Choose another with --context or --kubeconfig.", e.Cluster, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// DeniedError says which right is missing.
type DeniedError struct {
	User      string
	Verb      string
	Resource  string // with the group behind a dot, as in deployments.apps
	Namespace string // "": cluster-wide
	Err       error
}

func (e *DeniedError) Error() string {
	where := "cluster-wide"
	flag := ""
	if e.Namespace != "" {
		where, flag = "in namespace "+e.Namespace, " -n "+e.Namespace
	}
	who := "you may"
	if e.User != "" {
		who = fmt.Sprintf("user %q may", e.User)
	}
	return fmt.Sprintf("no permission: %s not %s %s %s\nAsk an administrator of the cluster for a role with that right (kubectl auth can-i %s %s%s), or choose another context with --context.",
		who, e.Verb, e.Resource, where, e.Verb, e.Resource, flag)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// denial is how the API server's authorizer words it.
var denial = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)

// Explain lets errors of the API server say what to do: a missing right
// becomes a DeniedError, credentials that are not valid are named as such, an
// UnreachableError is freed from what is around it.
// Other errors, nil too, are returned as they are.
func Explain(err error) error {
	var denied *DeniedError
	var unreachable *UnreachableError
	switch {
	case err == nil, errors.As(err, &denied):
		return err
	case errors.As(err, &unreachable):
		return unreachable // what is around it says the same again
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("the API server does not accept your credentials: %w\nLog in again, or choose another context with --context", err)
	}
	if !apierrors.IsForbidden(err) {
		return err
	}
	m := denial.FindStringSubmatch(err.Error())
	if m == nil {
		return err // forbidden by an admission plug-in, which says why
	}
	resource := m[3]
	if m[4] != "" {
		resource += "." + m[4]
	}
	return &DeniedError{User: m[1], Verb: m[2], Resource: resource, Namespace: m[5], Err: err}
}
