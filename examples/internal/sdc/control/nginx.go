package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/nginx"
)

// modified is what users know as the answer to a change.
const modified = "Modified nginx config"

// Nginx answers nginx.Controller for the one role that is set; the methods of
// the others are unimplemented.
type Nginx struct {
	nginx.UnimplementedControllerServer
	Proxy    Proxy
	Balancer Balancer
	Server   Server
}

// rpcError gives an error its gRPC code.
func rpcError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	default:
		return status.Error(codes.FailedPrecondition, err.Error())
	}
}

func otherRole(method, role string) error {
	return status.Errorf(codes.Unimplemented, "%s is answered by %s only", method, role)
}

// ModifyProxy implements nginx.Controller.
func (n *Nginx) ModifyProxy(ctx context.Context, r *nginx.ModifyProxyRequest) (*nginx.ModifyProxyResponse, error) {
	if n.Proxy == nil {
		return nil, otherRole("ModifyProxy", "proxy-access-control")
	}
	c, err := proxyConfig(r)
	if err == nil {
		err = n.Proxy.Configure(ctx, c)
	}
	if err != nil {
		return nil, rpcError(err)
	}
	res := &nginx.ModifyProxyResponse{Message: modified}
	for _, a := range n.Proxy.Blocked() {
		res.Blocked = append(res.Blocked, a.String())
	}
	return res, nil
}

func proxyConfig(r *nginx.ModifyProxyRequest) (ProxyConfig, error) {
	c := ProxyConfig{Port: r.GetServerPort(), Name: r.GetServerName(), LocationPath: r.GetLocationPath(), Mirror: r.GetMirrorPath()}
	err := errors.Join(
		optional("server_port", c.Port, validPort),
		optional("server_name", c.Name, validHost),
		optional("location_path", c.LocationPath, validPath),
	)
	var errs [4]error
	if r.GetProxyPath() != "" {
		c.Upstream, errs[0] = Target(r.GetProxyPath())
	}
	if c.Mirror != "" && c.Mirror != NoMirror {
		c.Mirror, errs[1] = Target(r.GetMirrorPath())
	}
	c.Block, errs[2] = addresses("block", r.GetBlock())
	c.Unblock, errs[3] = addresses("unblock", r.GetUnblock())
	return c, errors.Join(append(errs[:], err)...)
}

func addresses(field string, texts []string) ([]netip.Addr, error) {
	if len(texts) > maxAddresses {
		return nil, invalidf("%s: %d addresses, above %d", field, len(texts), maxAddresses)
	}
	list := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, invalidf("%s: %q is not an IP address", field, text)
		}
		list = append(list, a.Unmap())
	}
	return list, nil
}

// ModifyLB implements nginx.Controller.
func (n *Nginx) ModifyLB(ctx context.Context, r *nginx.ModifyLBRequest) (*nginx.ModifyLBResponse, error) {
	if n.Balancer == nil {
		return nil, otherRole("ModifyLB", "http-lb")
	}
	c, err := balancerConfig(r)
	if err != nil {
		return nil, rpcError(err)
	}
	previous, err := n.Balancer.Configure(ctx, c)
	if err != nil {
		return nil, rpcError(err)
	}
	return &nginx.ModifyLBResponse{Message: modified, Previous: previous, Servers: c.Servers}, nil
}

func balancerConfig(r *nginx.ModifyLBRequest) (BalancerConfig, error) {
	c := BalancerConfig{Port: r.GetServerPort(), Name: r.GetServerName(), Group: r.GetLbGroup(), Path: r.GetLbPath()}
	err := errors.Join(
		optional("server_port", c.Port, validPort),
		optional("server_name", c.Name, validHost),
		optional("lb_group", c.Group, validHost),
		optional("lb_name", r.GetLbName(), validHost),
		optional("lb_path", c.Path, validPath),
	)
	if n := len(r.GetLbList()); n == 0 || n > maxServers {
		err = errors.Join(err, invalidf("lb_list: %d servers; 1 to %d are allowed", n, maxServers))
	}
	for i, s := range r.GetLbList() {
		target, bad := Target(s.GetUrl())
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("lb_list[%d]: %w", i, bad))
		}
		c.Servers = append(c.Servers, target)
	}
	return c, err
}

// ModifyServer implements nginx.Controller.
func (n *Nginx) ModifyServer(ctx context.Context, r *nginx.ModifyServerRequest) (*nginx.ModifyServerResponse, error) {
	if n.Server == nil {
		return nil, otherRole("ModifyServer", "clover-server1 to clover-server5")
	}
	c, err := siteConfig(r)
	if err != nil {
		return nil, rpcError(err)
	}
	files, err := n.Server.Configure(ctx, c)
	if err != nil {
		return nil, rpcError(err)
	}
	return &nginx.ModifyServerResponse{Message: modified, Files: int32(files)}, nil
}

func siteConfig(r *nginx.ModifyServerRequest) (SiteConfig, error) {
	c := SiteConfig{
		Port: r.GetServerPort(), Name: r.GetServerName(), Root: r.GetSiteRoot(), Index: r.GetSiteIndex(),
		UploadPath: r.GetUploadPathConfig(), UploadTest: r.GetUploadPathTest(),
	}
	errs := []error{
		optional("server_port", c.Port, validPort),
		optional("server_name", c.Name, validHost),
		optional("site_root", c.Root, validPath),
		optional("site_index", c.Index, hostName.MatchString),
		optional("upload_path_config", c.UploadPath, validPath),
		optional("upload_path_test", c.UploadTest, validPath),
	}
	if len(r.GetLocations()) > maxLocations || len(r.GetFiles()) > maxFiles {
		errs = append(errs, invalidf("%d locations and %d files; %d and %d are allowed",
			len(r.GetLocations()), len(r.GetFiles()), maxLocations, maxFiles))
	}
	for i, l := range r.GetLocations() {
		try, err := ParseTry(l.GetDirective())
		if err == nil && (!validPath(l.GetUriMatch()) || !validPath(l.GetPath())) {
			err = invalidf("uri_match %q and path %q must be paths", l.GetUriMatch(), l.GetPath())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("locations[%d]: %w", i, err))
		}
		c.Locations = append(c.Locations, Location{Match: l.GetUriMatch(), Path: l.GetPath(), Try: try})
	}
	for i, f := range r.GetFiles() {
		if !validFile(f.GetSrcFile()) || !validFile(f.GetDestFile()) {
			errs = append(errs, invalidf("files[%d]: src_file %q and dest_file %q must be files", i, f.GetSrcFile(), f.GetDestFile()))
		}
		c.Files = append(c.Files, File{Source: f.GetSrcFile(), Destination: f.GetDestFile()})
	}
	return c, errors.Join(errs...)
}

// ProcessAlerts implements nginx.Controller.
func (n *Nginx) ProcessAlerts(ctx context.Context, r *nginx.ProcessAlertsRequest) (*nginx.ProcessAlertsResponse, error) {
	if n.Proxy == nil {
		return nil, otherRole("ProcessAlerts", "proxy-access-control")
	}
	a := Alert{EventID: r.GetEventId(), RedisKey: r.GetRedisKey(), SignatureID: r.GetSignatureId(), Signature: r.GetSignature()}
	if text := r.GetSourceIp(); text != "" {
		var err error
		if a.Source, err = netip.ParseAddr(text); err != nil {
			return nil, rpcError(invalidf("source_ip: %q is not an IP address", text))
		}
	}
	v, err := n.Proxy.Alerted(ctx, a)
	if err != nil {
		return nil, rpcError(err)
	}
	return &nginx.ProcessAlertsResponse{
		Message: "Processed alert " + a.EventID + ": " + v.Reason, Blocked: v.Blocked, SourceIp: v.Source.String(),
	}, nil
}
