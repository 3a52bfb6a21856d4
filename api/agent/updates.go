package agent

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/loadbalancer"
)

// field is an error with the name of the field that it is about.
func field(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", loadbalancer.ErrInvalid, name, err)
}

// parsed reads a field that may be empty.
func parsed[T any](errs *[]error, name, text string, parse func(string) (T, error)) (value T) {
	if text == "" {
		return value
	}
	value, err := parse(text)
	*errs = append(*errs, field(name, err))
	return value
}

// given is the same for a field that is told apart from its zero value.
func given[T any](errs *[]error, name, text string, parse func(string) (T, error)) *T {
	if text == "" {
		return nil
	}
	value := parsed(errs, name, text, parse)
	return &value
}

func balancerUpdate(r *nginx.ModifyLBRequest) (loadbalancer.BalancerUpdate, error) {
	u := loadbalancer.BalancerUpdate{
		Port: r.GetServerPort(), Name: r.GetServerName(), Agent: r.GetLbName(), Group: r.GetLbGroup(), Path: r.GetLbPath(),
		HealthPath: r.GetLbHealthPath(), HealthInterval: r.GetLbHealthInterval().AsDuration(),
	}
	var errs []error
	u.Method = given(&errs, "lb_method", r.GetLbMethod(), loadbalancer.ParseMethod)
	u.Hash = given(&errs, "lb_hash", r.GetLbHash(), loadbalancer.ParseHashKey)
	if len(r.GetLbList()) > loadbalancer.MaxServers {
		return u, field("lb_list", fmt.Errorf("%d servers; at most %d", len(r.GetLbList()), loadbalancer.MaxServers))
	}
	for i, s := range r.GetLbList() {
		at := fmt.Sprintf("lb_list[%d].", i)
		address, err := loadbalancer.ParseAddress(s.GetUrl())
		errs = append(errs, field(at+"url", err))
		u.Servers = append(u.Servers, loadbalancer.Server{
			Address: address, Weight: int(s.GetWeight()), State: parsed(&errs, at+"state", s.GetState(), loadbalancer.ParseState),
			MaxConnections: int(s.GetMaxConnections()), SlowStart: s.GetSlowStart().AsDuration(), Backup: s.GetBackup(),
		})
	}
	return u, errors.Join(errs...)
}

func serverUpdate(r *nginx.ModifyServerRequest) (loadbalancer.ServerUpdate, error) {
	u := loadbalancer.ServerUpdate{
		Port: r.GetServerPort(), Name: r.GetServerName(), Root: r.GetSiteRoot(), Index: r.GetSiteIndex(),
		UploadPath: r.GetUploadPathConfig(), UploadForm: r.GetUploadPathTest(),
	}
	var errs []error
	for i, l := range r.GetLocations() {
		try, err := loadbalancer.ParseTry(l.GetDirective())
		errs = append(errs, field(fmt.Sprintf("locations[%d].directive", i), err))
		u.Locations = append(u.Locations, loadbalancer.Location{Match: l.GetUriMatch(), Folder: l.GetPath(), Try: try})
	}
	for _, f := range r.GetFiles() {
		u.Files = append(u.Files, loadbalancer.FileCopy{Source: f.GetSrcFile(), Destination: f.GetDestFile()})
	}
	errs = append(errs, loadbalancer.CheckFiles(u.Files))
	return u, errors.Join(errs...)
}

func proxyUpdate(r *nginx.ModifyProxyRequest) (loadbalancer.ProxyUpdate, error) {
	var errs []error
	u := loadbalancer.ProxyUpdate{
		Port: r.GetServerPort(), Name: r.GetServerName(), Path: r.GetLocationPath(),
		Upstream: parsed(&errs, "proxy_path", r.GetProxyPath(), loadbalancer.ParseAddress),
		Mirror:   r.GetMirrorPath(),
	}
	if u.Mirror != loadbalancer.NoMirror {
		u.Mirror = parsed(&errs, "mirror_path", u.Mirror, loadbalancer.ParseAddress)
	}
	u.Block = prefixes(&errs, "block", r.GetBlock())
	u.Unblock = prefixes(&errs, "unblock", r.GetUnblock())
	return u, errors.Join(errs...)
}

func prefixes(errs *[]error, name string, texts []string) (list []netip.Prefix) {
	for i, text := range texts {
		p, err := loadbalancer.ParsePrefix(text)
		*errs = append(*errs, field(fmt.Sprintf("%s[%d]", name, i), err))
		list = append(list, p)
	}
	return list
}
