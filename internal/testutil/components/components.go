// Package components brings the real programs that Clover's tests run
// against (Jaeger, Prometheus, Envoy) onto this machine.
//
// A component is built or fetched once into a cache and used from there by
// every later test. Nothing is installed into the system, no service is
// started, and no root is needed. Test processes that want the same
// component at the same time wait for one of them to make it.
package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/opnfv/clover/internal/debian"
)

// Component is one real program that tests run.
type Component struct {
	// Name is how CLOVER_TEST_REQUIRE and the install command name it.
	Name string
	// Title and Version are how people name it.
	Title, Version string
	// verb and cost say what making it takes, for the progress line.
	verb, cost string
	// binary is the program's path inside the component's cache folder.
	binary string
	// key adds to the cache key what else the result depends on.
	key func() (string, error)
	// install fills dir, which is empty and not yet visible to others.
	install func(ctx context.Context, dir string, log io.Writer) error
}

// All lists every component, those that only need a download first.
func All() []Component {
	all := []Component{
		Envoy(), DuckDB(), Prometheus(), Redis(), JMeter(), Cassandra(), Spark(), SparkConnector(), Nginx(), NginxStable(), NginxMainline(), SDCRoot(), Suricata(), JaegerV1(), JaegerV2(),
		Chromium(), Node(), WebModules(), BrowserModules(),
		Helm(), S3(), Kind(), NodeRoot(), Kubernetes(), NodeImage(), Istio(), IstioImages(), PrometheusKubernetes(), Qemu(), QemuARM(),
	}
	for _, k := range DebianKernels() {
		all = append(all, k.Component)
	}
	return all
}

// Needed lists the components that tests need on this machine: all, except
// that a node of the test cluster is not made where a Docker answers that may
// pull one.
func Needed(ctx context.Context) []Component {
	if !DockerAnswers(ctx) {
		return All()
	}
	return slices.DeleteFunc(All(), func(c Component) bool {
		return slices.Contains([]string{NodeRoot().Name, Kubernetes().Name, NodeImage().Name}, c.Name)
	})
}

// ForCluster reports whether only tests in a Kubernetes cluster need the
// component. These take most of the time that there is nothing in the cache.
func (c Component) ForCluster() bool {
	return slices.ContainsFunc([]Component{Kind(), NodeRoot(), Kubernetes(), NodeImage(), Istio(), IstioImages(), PrometheusKubernetes()},
		func(o Component) bool { return o.Name == c.Name })
}

// Find returns the component of that name.
func Find(name string) (Component, error) {
	var names []string
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Component{}, fmt.Errorf("unknown component %q, known are %q", name, names)
}

// Error says which component could not be made, and why.
type Error struct {
	Component string // its title and version
	Err       error
}

func (e *Error) Error() string { return e.Component + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// String names the component and its version.
func (c Component) String() string { return c.Title + " " + c.Version }

// Ensure returns the path of the component's program and makes it first if
// the cache does not hold it. Lines on what it does go to progress. It is
// safe for any number of processes and goroutines at once; a run that is cut
// off leaves nothing that a later run could take for complete. An error is
// an [*Error].
func (c Component) Ensure(ctx context.Context, progress io.Writer) (string, error) {
	path, err := c.ensure(ctx, progress)
	if err != nil {
		return "", &Error{Component: c.String(), Err: err}
	}
	return path, nil
}

func (c Component) ensure(ctx context.Context, progress io.Writer) (string, error) {
	home, err := c.folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(home, filepath.FromSlash(c.binary))
	used(home) // before the look, so that it is not removed after it
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, home+".lock", func() {
		say(progress, "waiting for another process that is %s %s ...", c.verb, c)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // made while we waited
	}
	return path, c.make(ctx, home, progress)
}

// make installs into a folder beside home and renames it when it is whole.
func (c Component) make(ctx context.Context, home string, progress io.Writer) error {
	start := time.Now()
	say(progress, "%s %s (%s, once) ...", c.verb, c, c.cost)
	// What a run that was cut off has left is removed here, under the lock.
	work := home + ".part"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	if err := c.install(ctx, work, progress); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(work, filepath.FromSlash(c.binary)), 0o755); err != nil {
		return err
	}
	if err := os.Rename(work, home); err != nil {
		return err
	}
	say(progress, "%s ready after %s", c, time.Since(start).Round(100*time.Millisecond))
	// Old versions are a matter of space only.
	if err := prune(func(o Component) bool { return o.Name == c.Name }, KeepUnused, progress); err != nil {
		say(progress, "old versions of %s are left: %v", c.Title, err)
	}
	return nil
}

// say writes a line of progress; that nobody may read it is no error.
func say(progress io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(progress, "clover: "+format+"\n", args...)
}

// progress says what package debian does.
func progress(log io.Writer) debian.Progress {
	return func(format string, args ...any) { say(log, format, args...) }
}

// folder is where the component lives in the cache.
func (c Component) folder() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	name := c.Name + "-" + c.Version
	if c.key != nil {
		key, err := c.key()
		if err != nil {
			return "", err
		}
		name += "-" + key
	}
	return filepath.Join(cache, name+"-"+runtime.GOOS+"-"+runtime.GOARCH), nil
}

// CacheDir is the folder that components are kept in: CLOVER_CACHE if set,
// else "clover" in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("CLOVER_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder, set CLOVER_CACHE: %w", err)
	}
	return filepath.Join(dir, "clover"), nil
}
