package nginx

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// uploadSocket is where the driver itself takes uploads, which nginx cannot
// store under a name.
const uploadSocket = "run/upload"

// uploads passes the paths for uploads on to the driver.
func (s *virtualHost) uploads(site loadbalancer.Site, r loadbalancer.Route, routes []loadbalancer.Route) {
	for _, path := range []string{site.UploadPath, site.UploadForm} {
		if path == "" || !s.plan.within(path, r, routes) {
			continue
		}
		s.location(words("=", path),
			d("proxy_pass", "http://unix:"+s.plan.file(uploadSocket)+":"),
			// The whole file comes at the pace of its client.
			d("proxy_read_timeout", "3600s"), d("proxy_send_timeout", "3600s"),
		)
	}
}

// within reports whether requests for exactly that path go the way of r.
func (p plan) within(path string, r loadbalancer.Route, routes []loadbalancer.Route) bool {
	for _, other := range routes {
		if other.Exact && other.Path == path {
			return other == r
		}
	}
	return !r.Exact && owner(path, routes) == r
}

// uploader serves what nginx passes on, by the code of the built-in proxy.
type uploader struct{ proxy *proxy.Proxy }

// configure takes over the sites of a configuration.
func (u uploader) configure(ctx context.Context, c loadbalancer.Config) error {
	var sites loadbalancer.Config
	for _, r := range c.Routes {
		for _, s := range c.Sites {
			if r.Site == s.Name && s.UploadPath != "" {
				sites.Routes = append(sites.Routes, r)
			}
		}
	}
	if len(sites.Routes) > 0 {
		sites.Sites = c.Sites
	}
	_, err := u.proxy.Apply(ctx, sites)
	return err
}

// serve serves until ctx ends, for nothing but processes of that user and root.
// -1 is this process's own user.
func (u uploader) serve(ctx context.Context, path string, uid int) error {
	if err := removeFile(path); err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, uid, -1)); err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: u.proxy, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
