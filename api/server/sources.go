package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server/auth"
)

// ServicesOnly is the host pattern of Kubernetes services.
const ServicesOnly = "*.svc"

// SourcePolicy says which hosts may be named as sources in a request: a
// server that fetched from wherever it is told to could be used to reach what
// only it can reach.
type SourcePolicy struct {
	patterns []string
	trusted  []string
}

// NewSourcePolicy returns a policy that allows hosts that match one of the
// patterns, in which * stands for any characters. Kubernetes services, written
// as NAME.NAMESPACE, with .svc or with .svc.cluster.local, match as
// NAME.NAMESPACE.svc. The trusted URLs, the operator's own, are allowed as
// they are.
func NewSourcePolicy(patterns []string, trusted ...string) (*SourcePolicy, error) {
	p := &SourcePolicy{trusted: slices.Clone(trusted)}
	for _, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.ContainsAny(pattern, "/: ") {
			return nil, fmt.Errorf("%q is not a host pattern; want one like %s or jaeger.example.com", pattern, ServicesOnly)
		}
		p.patterns = append(p.patterns, pattern)
	}
	return p, nil
}

// Resolve returns the URL to use for one that a request has, or an error that
// says what would be allowed. A nil policy allows everything.
func (p *SourcePolicy) Resolve(source string) (string, error) {
	if p == nil || slices.Contains(p.trusted, source) {
		return source, nil
	}
	text := source
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("want a URL like http://jaeger-query:16686") // no detail: a URL may have a password
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if p.matches(host) {
		return source, nil
	}
	if service := serviceName(host); service != "" && p.matches(service) {
		// With .svc the name is never looked up outside the cluster.
		if port := u.Port(); port != "" {
			service = net.JoinHostPort(service, port)
		}
		u.Host = service
		return u.String(), nil
	}
	return "", fmt.Errorf("host %q is not allowed as a source; allowed are %s; the collector's flag --allow-source adds others", host, strings.Join(p.patterns, ", "))
}

func (p *SourcePolicy) matches(host string) bool {
	return slices.ContainsFunc(p.patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, host)
		return ok && err == nil
	})
}

// servicePattern is the name of a Kubernetes service (RFC 1035) and its namespace.
var servicePattern = regexp.MustCompile(`^([a-z](?:[-a-z0-9]*[a-z0-9])?\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)(?:\.svc(?:\.cluster\.local)?)?$`)

// serviceName returns NAME.NAMESPACE.svc, or "" if that is not what the host
// can mean.
func serviceName(host string) string {
	m := servicePattern.FindStringSubmatch(host)
	if m == nil {
		return ""
	}
	return m[1] + ".svc"
}

// ServiceChecker decides about Kubernetes services that requests name.
type ServiceChecker interface {
	// CheckService returns nil if the service may be named, or an error that
	// says why not and matches auth.ErrDenied, or auth.ErrUnavailable if that
	// cannot be found out now. It is called concurrently.
	CheckService(ctx context.Context, namespace, name string) error
}

// CheckedSources lets requests name Kubernetes services that are looked up,
// and the hosts that the operator has named. Its zero value allows everything.
type CheckedSources struct {
	// Hosts are allowed without a look-up. nil: none.
	Hosts *SourcePolicy
	// Services decides about everything else, which has to be a service. nil:
	// everything is allowed.
	Services ServiceChecker
}

// Check returns nil if a request may name a source, a URL or HOST:PORT, or an
// error as ServiceChecker's.
func (c CheckedSources) Check(ctx context.Context, source string) error {
	if c.Services == nil {
		return nil
	}
	if c.Hosts != nil {
		if _, err := c.Hosts.Resolve(source); err == nil {
			return nil
		}
	}
	resolved, err := servicesOnly.Resolve(source)
	if err != nil {
		return fmt.Errorf("%w: want a service of the cluster as http://NAME.NAMESPACE:PORT; others have to be allowed by --allow-source of the controller and the collector", auth.ErrDenied)
	}
	if !strings.Contains(resolved, "://") {
		resolved = "http://" + resolved
	}
	u, err := url.Parse(resolved)
	if err != nil {
		return fmt.Errorf("%w: want a URL like http://jaeger-query:16686", auth.ErrDenied)
	}
	service := serviceName(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."))
	name, namespace, _ := strings.Cut(strings.TrimSuffix(service, ".svc"), ".")
	if service == "" {
		return fmt.Errorf("%w: %q is not the name of a service, NAME.NAMESPACE", auth.ErrDenied, u.Hostname())
	}
	return c.Services.CheckService(ctx, namespace, name)
}

var servicesOnly = &SourcePolicy{patterns: []string{ServicesOnly}}

// checkChange looks at the sources that a change names.
func (c CheckedSources) checkChange(ctx context.Context, change *v1.ConfigChange) error {
	for _, source := range change.GetTracingUrls().GetItems() {
		if err := c.Check(ctx, source); err != nil {
			return sourceError("tracing_urls", err)
		}
	}
	if source := change.GetMonitoringUrl(); source != "" {
		if err := c.Check(ctx, source); err != nil {
			return sourceError("monitoring_url", err)
		}
	}
	return nil
}

// sourceError is the status of a source that was not allowed.
func sourceError(field string, err error) error {
	if errors.Is(err, auth.ErrDenied) {
		return invalidIn(field, field+": "+err.Error())
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unavailable, field+": "+err.Error())
}
