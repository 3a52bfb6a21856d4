package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// uploadsGroup is where a driver sends uploads that it cannot take itself.
const uploadsGroup = "clover-uploads"

// uploads is a driver that takes uploads for one that cannot: it leads them to
// Clover's own proxy, on a loopback address.
type uploads struct {
	driver   loadbalancer.Driver
	proxy    *proxy.Proxy
	listener net.Listener
}

var _ loadbalancer.Driver = (*uploads)(nil)

func newUploads(ctx context.Context, driver loadbalancer.Driver, o proxy.Options) (*uploads, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &uploads{driver: driver, proxy: proxy.New(o), listener: l}, nil
}

// Run takes uploads until ctx ends.
func (u *uploads) Run(ctx context.Context) error {
	srv := &http.Server{Handler: u.proxy, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(u.listener) }()
	<-ctx.Done()
	err := srv.Close() // nginx, its only client, has ended
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Describe implements loadbalancer.Driver.
func (u *uploads) Describe() loadbalancer.Description {
	d := u.driver.Describe()
	d.Unsupported = maps.Clone(d.Unsupported)
	delete(d.Unsupported, loadbalancer.FeatureUpload)
	return d
}

// Apply implements loadbalancer.Driver.
func (u *uploads) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	whole := c.Clone()
	own := loadbalancer.Config{Sites: c.Sites}
	for i := range whole.Sites {
		s := &whole.Sites[i]
		for _, path := range []string{s.UploadPath, s.UploadForm} {
			if path != "" {
				whole.Routes = append(whole.Routes, loadbalancer.Route{Path: path, Exact: true, Group: uploadsGroup})
				own.Routes = append(own.Routes, loadbalancer.Route{Path: path, Exact: true, Site: s.Name})
			}
		}
		s.UploadPath, s.UploadForm = "", ""
	}
	if len(own.Routes) > 0 {
		whole.Groups = append(whole.Groups, loadbalancer.Group{
			Name: uploadsGroup, Servers: []loadbalancer.Server{{Address: u.listener.Addr().String()}},
		})
	}
	if _, err := u.proxy.Apply(ctx, own); err != nil {
		return loadbalancer.Result{}, err
	}
	return u.driver.Apply(ctx, whole)
}
