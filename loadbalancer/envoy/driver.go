package envoy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/internal/hosts"
)

const driverName = "envoy"

// Options say how to drive Envoy. The zero value of each field but Dir works.
type Options struct {
	// Dir is the driver's own folder for its sockets and Envoy's bootstrap.
	// It is made if it is not there. Its path has at most 80 bytes.
	Dir string
	// Program is Envoy's file, which Run runs. Empty: somebody else runs
	// Envoy, with [Driver.Bootstrap], on this machine.
	Program string
	// Concurrency is the number of Envoy's worker threads. 0: one a processor.
	Concurrency int
	// ApplyTimeout bounds a change. 0: 20 s.
	ApplyTimeout time.Duration
	// Logger gets what happens. nil: nothing is logged.
	Logger *slog.Logger
}

// Driver makes an Envoy do what configurations say. It is a
// [loadbalancer.Driver]. Its methods may be called concurrently.
type Driver struct {
	options Options
	xds     *xds
	door    *door
	ipv6    bool

	change chan struct{} // lets one change be made after another
	gone   chan struct{} // closed when Run has ended
	// In effect.
	current state
	number  uint64
	applied bool // something was
}

// state is everything that Envoy is to have, but for the door's number.
type state map[kind]resources

// maxDirBytes leaves room for the names of sockets: a path has 108 bytes.
const maxDirBytes = 80

// New prepares the folder; nothing runs yet.
func New(ctx context.Context, o Options) (*Driver, error) {
	if o.Dir == "" {
		return nil, errors.New("envoy: Options.Dir is empty; the driver needs a folder of its own")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	if len(dir) > maxDirBytes {
		return nil, fmt.Errorf("envoy: Options.Dir %s has more than %d bytes; sockets need a shorter path", dir, maxDirBytes)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	o.Dir = dir
	o.ApplyTimeout = cmp.Or(o.ApplyTimeout, 20*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Driver{
		options: o, xds: newXDS(), ipv6: hosts.IPv6(ctx),
		change: make(chan struct{}, 1), gone: make(chan struct{}), current: state{},
	}
	d.door = newDoor(d.file(doorSocket), d.file(adminSocket))
	return d, nil
}

func (d *Driver) file(name string) string { return filepath.Join(d.options.Dir, name) }

// Describe implements [loadbalancer.Driver].
func (d *Driver) Describe() loadbalancer.Description {
	return loadbalancer.Description{
		Name: driverName, Version: d.xds.version(), Promise: promise,
		Unsupported: map[loadbalancer.Feature]string{
			loadbalancer.FeatureMaxConnections:  "Envoy bounds a server only after it has chosen it",
			loadbalancer.FeatureSlowStart:       "Envoy has one for a whole group, which begins anew for all servers when it is set",
			loadbalancer.FeatureQueue:           "Envoy has no queue in front of its choice",
			loadbalancer.FeatureMirrorBodyLimit: "Envoy copies bodies as a whole",
			loadbalancer.FeatureSite:            "Envoy serves no files",
			loadbalancer.FeatureUpload:          "Envoy serves no files",
		},
	}
}

var promise = loadbalancer.Promise{
	LosesNone: true,
	Reason:    "servers and routes change in Envoy's memory; connections stay open",
}

// ErrNotRunning is what Apply returns when Run has ended.
var ErrNotRunning = errors.New("the driver of Envoy does not run")

// Apply implements [loadbalancer.Driver]. Before Envoy is connected, it waits
// for that, up to [Options.ApplyTimeout].
func (d *Driver) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	start := time.Now()
	if err := d.Describe().Check(c); err != nil {
		return loadbalancer.Result{}, err
	}
	select {
	case d.change <- struct{}{}:
		defer func() { <-d.change }()
	case <-ctx.Done():
		return loadbalancer.Result{}, ctx.Err()
	}
	select {
	case <-d.gone:
		return loadbalancer.Result{}, fmt.Errorf("envoy: %w", ErrNotRunning)
	default:
	}
	next, err := d.build(c.WithDefaults())
	if err != nil {
		return loadbalancer.Result{}, err
	}
	result := loadbalancer.Result{Promise: d.promise(next)}
	if !d.applied || !next.equal(d.current) {
		if err := d.replace(ctx, next); err != nil {
			return loadbalancer.Result{}, err
		}
		d.current, d.applied, result.Changed = next, true, true
	}
	result.Took = time.Since(start)
	return result, nil
}

// promise is what this change costs.
func (d *Driver) promise(next state) loadbalancer.Promise {
	for _, name := range slices.Sorted(maps.Keys(d.current[listeners])) {
		if _, ok := next[listeners][name]; !ok {
			return loadbalancer.Promise{Reason: name + " is closed; clients that are about to connect to it are refused"}
		}
	}
	return promise
}

// build turns a configuration with its defaults into Envoy's.
func (d *Driver) build(c loadbalancer.Config) (state, error) {
	s := state{clusters: {}, endpoints: {}, listeners: {}, routes: {}}
	for _, g := range c.Groups {
		if err := s[clusters].add(clusterOf(g)); err != nil {
			return nil, err
		}
		if !numeric(g) {
			continue
		}
		if err := s[endpoints].add(endpointsOf(g)); err != nil {
			return nil, err
		}
	}
	if c.Mirror.Address != "" {
		if err := s[clusters].add(mirrorOf(c.Mirror)); err != nil {
			return nil, err
		}
	}
	for _, l := range listenersOf(c, d.ipv6) {
		if err := s[listeners].add(l); err != nil {
			return nil, err
		}
	}
	if err := s[listeners].add(doorListenerAt(d.file(doorSocket))); err != nil {
		return nil, err
	}
	if len(c.Listeners) == 0 {
		return s, nil // Envoy asks for no routes
	}
	return s, s[routes].add(tableOf(c))
}

func (s state) equal(o state) bool {
	for _, k := range []kind{clusters, endpoints, listeners, routes} {
		if !s[k].equal(o[k]) {
			return false
		}
	}
	return true
}

// replace puts a state into effect, or leaves all as it was.
func (d *Driver) replace(ctx context.Context, next state) error {
	limited, cancel := context.WithTimeout(ctx, d.options.ApplyTimeout)
	defer cancel()
	err := d.move(limited, next)
	if err == nil {
		return nil
	}
	if !d.applied {
		return err
	}
	back, cancelBack := context.WithTimeout(context.WithoutCancel(ctx), d.options.ApplyTimeout)
	defer cancelBack()
	if backErr := d.move(back, d.current); backErr != nil {
		return errors.Join(err, fmt.Errorf("envoy: roll back: %w", backErr))
	}
	return err
}

// move takes Envoy from what it has to a state, in an order in which nothing
// refers to what is not there.
func (d *Driver) move(ctx context.Context, next state) error {
	x := d.xds
	had := state{}
	for _, k := range []kind{clusters, endpoints, listeners} {
		had[k] = x.has(k)
	}
	if all := had[clusters].with(next[clusters]); !all.equal(had[clusters]) {
		// Envoy acknowledges clusters when they have their servers, and one
		// that was changed wants them again.
		both := state{clusters: all, endpoints: had[endpoints].with(next[endpoints])}
		if err := d.push(ctx, both, next); err != nil {
			return err
		}
		if err := d.door.settled(ctx, "cluster_manager.warming_clusters"); err != nil {
			return err
		}
	}
	if err := d.moveRoutes(ctx, next); err != nil {
		return err
	}
	if !next[clusters].equal(x.has(clusters)) {
		return d.push(ctx, state{clusters: next[clusters]}, next)
	}
	return nil
}

// moveRoutes sends servers, listeners and routes and asks the worker threads.
func (d *Driver) moveRoutes(ctx context.Context, next state) error {
	changed := state{}
	for _, k := range []kind{endpoints, listeners} {
		if !next[k].equal(d.xds.has(k)) {
			changed[k] = next[k]
		}
	}
	if err := d.pushNumber(ctx, changed, next); err != nil {
		return err
	}
	if changed[listeners] != nil {
		// Threads get listeners when these have their routes, so it takes one
		// more number to know that they have them.
		if err := d.door.settled(ctx, "listener_manager.total_listeners_warming"); err != nil {
			return err
		}
		if err := d.pushNumber(ctx, state{}, next); err != nil {
			return err
		}
	}
	return d.door.passed(ctx, d.number)
}

// pushNumber sends what has changed and all routes, with the next number.
func (d *Driver) pushNumber(ctx context.Context, changed, next state) error {
	d.number++
	changed[routes] = next[routes].with(nil)
	if err := changed[routes].add(doorOf(d.number)); err != nil {
		return err
	}
	return d.push(ctx, changed, next)
}

// push sends resources together and waits until Envoy has taken them, with
// those of next that it is to know by name.
func (d *Driver) push(ctx context.Context, s, next state) error {
	versions := d.xds.set(s)
	for _, k := range []kind{clusters, endpoints, listeners, routes} {
		version, sent := versions[k]
		if !sent {
			continue
		}
		var names []string
		switch k {
		case endpoints:
			names = slices.Sorted(maps.Keys(next[k]))
		case routes:
			names = slices.Sorted(maps.Keys(s[k]))
		}
		if err := d.xds.wait(ctx, k, version, names); err != nil {
			return err
		}
	}
	return nil
}
