package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/internal/hosts"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// Driver runs an nginx and makes it do what configurations say. It is a
// [loadbalancer.Driver]. Its methods may be called concurrently.
type Driver struct {
	program program
	options Options
	desc    loadbalancer.Description
	ipv6    bool
	uploads uploader

	ready chan struct{} // closed when nginx runs
	gone  chan struct{} // closed when Run has ended

	// change lets one change be made after another.
	change chan struct{}
	master *master
	// In effect: the generation, its configuration without its number, and
	// the listeners.
	generation int
	attempts   int // changes since then that failed
	current    []byte
	listeners  []loadbalancer.Listener
	config     loadbalancer.Config

	runOnce sync.Once
}

// ErrNotRunning is what Apply returns when Run has ended.
var ErrNotRunning = errors.New("nginx does not run")

// New looks at the program and prepares the folder; nothing runs yet.
func New(ctx context.Context, o Options) (*Driver, error) {
	if !supported {
		return nil, fmt.Errorf("nginx: this system's nginx takes no signals: %w", errors.ErrUnsupported)
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	p, err := inspect(ctx, o.Program)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"", runDir, "temp"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	return &Driver{
		program: p, options: o, desc: describe(p, o), ipv6: hosts.IPv6(ctx),
		uploads: uploader{proxy.New(proxy.Options{Logger: o.Logger})},
		ready:   make(chan struct{}), gone: make(chan struct{}), change: make(chan struct{}, 1),
	}, nil
}

// Describe implements [loadbalancer.Driver].
func (dr *Driver) Describe() loadbalancer.Description { return dr.desc }

// Apply implements [loadbalancer.Driver]. Before Run has nginx running, it
// waits for that.
func (dr *Driver) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	start := time.Now()
	if err := check(dr.desc, c); err != nil {
		return loadbalancer.Result{}, err
	}
	select {
	case <-dr.ready:
	case <-dr.gone:
		return loadbalancer.Result{}, fmt.Errorf("nginx: %w", ErrNotRunning)
	case <-ctx.Done():
		return loadbalancer.Result{}, ctx.Err()
	}
	select {
	case dr.change <- struct{}{}:
		defer func() { <-dr.change }()
	case <-ctx.Done():
		return loadbalancer.Result{}, ctx.Err()
	}
	c = c.WithDefaults()
	plain, err := dr.encode(c, 0)
	if err != nil {
		return loadbalancer.Result{}, err
	}
	result := loadbalancer.Result{Promise: dr.promise(c)}
	if !bytes.Equal(plain, dr.current) {
		if err := dr.uploads.configure(ctx, c); err != nil {
			return loadbalancer.Result{}, dr.fail("sites", "", err)
		}
		if err := dr.replace(ctx, c); err != nil {
			return loadbalancer.Result{}, errors.Join(err, dr.uploads.configure(context.WithoutCancel(ctx), dr.config))
		}
		dr.current, dr.listeners, dr.config, result.Changed = plain, c.Listeners, c, true
	}
	result.Took = time.Since(start)
	return result, nil
}

// encode writes the configuration of a generation.
func (dr *Driver) encode(c loadbalancer.Config, generation int) ([]byte, error) {
	text, err := conf.Encode(plan{program: dr.program, options: dr.options, generation: generation, ipv6: dr.ipv6}.build(c))
	if err != nil {
		return nil, errors.Join(&loadbalancer.FieldError{Msg: err.Error()})
	}
	return text, nil
}

// promise is what this change costs: a listener that goes takes along the
// connections that nobody has accepted yet.
func (dr *Driver) promise(c loadbalancer.Config) loadbalancer.Promise {
	stays := map[string]bool{}
	for _, l := range c.Listeners {
		stays[l.Address] = true
	}
	for _, l := range dr.listeners {
		if !stays[l.Address] {
			return loadbalancer.Promise{Reason: "the listener " + l.Address + " is closed; clients that are about to connect to it are refused"}
		}
	}
	return dr.desc.Promise
}
