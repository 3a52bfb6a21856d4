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

// serveUploads takes uploads when it returns, until stop. Without them nginx
// serves all the same.
func (dr *Driver) serveUploads(ctx context.Context) (stop func()) {
	warn := func(err error) { dr.options.Logger.WarnContext(ctx, "nginx: uploads", "error", err) }
	l, err := dr.listenUploads(ctx)
	if err != nil {
		warn(err)
		return func() {}
	}
	server := &http.Server{Handler: dr.uploads.proxy, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func() {
		closed := server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) || closed != nil {
			warn(errors.Join(err, closed))
		}
	}
}

// listenUploads lets nothing but processes of the workers' user and root in.
func (dr *Driver) listenUploads(ctx context.Context) (net.Listener, error) {
	uid, err := workerUser(dr.program, dr.options)
	if err != nil {
		return nil, err
	}
	path := dr.file(uploadSocket)
	if err := removeFile(path); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// -1 is this process's own user.
	if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, uid, -1)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
