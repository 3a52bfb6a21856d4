package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil/cluster/sandbox"
	"github.com/opnfv/clover/internal/testutil/components"
)

// nodeImage is the name, in Docker, of the node image that is made here.
const nodeImage = "clover.test/node:v1"

// pullLimit bounds how long Docker may take to pull the node image, or to
// find out that it cannot.
const pullLimit = 5 * time.Minute

// cluster is one that this process is making or using.
type cluster struct {
	*State
	dir      string
	docker   docker
	sandbox  *sandbox.Sandbox
	lock     *os.File
	progress io.Writer
}

// Up makes a cluster. What clusters of processes that are gone have left is
// removed first.
func Up(ctx context.Context, o Options) (*State, error) {
	c, err := up(ctx, o)
	if err != nil {
		return nil, err
	}
	if c.sandbox != nil {
		err = c.sandbox.Release()
	}
	return c.State, errors.Join(err, c.lock.Close())
}

func up(ctx context.Context, o Options) (*cluster, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	start := time.Now()
	d, err := findDocker(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		State:  &State{Name: o.Name, Keep: o.Keep, External: d.external()},
		docker: d, progress: o.Progress,
	}
	if err := c.claim(); err != nil {
		return nil, err
	}
	if err := c.create(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make cluster %s: %w", o.Name, err), c.down())
	}
	c.say("cluster %s ready after %s", c.Name, time.Since(start).Round(100*time.Millisecond))
	return c, nil
}

// claim makes the cluster's folder and locks it, after removing what dead
// clusters have left.
func (c *cluster) claim() error {
	unlock, err := lockAll()
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweep(); err != nil {
		return err
	}
	if err := holdSysctls(); err != nil {
		return fmt.Errorf("note the kernel's settings: %w", err)
	}
	if c.dir, err = c.State.dir(); err != nil {
		return err
	}
	err = os.Mkdir(c.dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cluster %s is up already: use it, or remove it by 'make cluster-down'", c.Name)
	}
	if err != nil {
		return err
	}
	lock, ok, err := tryLock(filepath.Join(c.dir, lockFile))
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the new folder %s is locked", c.dir)
	}
	c.lock = lock
	return c.save()
}

// create starts Docker, if need be, and makes the cluster in it.
func (c *cluster) create(ctx context.Context) error {
	kind, err := components.Kind().Ensure(ctx, c.progress)
	if err != nil {
		return err
	}
	if !c.External {
		if err := c.startSandbox(ctx); err != nil {
			return err
		}
	}
	image, images, err := c.image(ctx, kind)
	if err != nil {
		return err
	}
	config, err := c.writeConfig(images)
	if err != nil {
		return err
	}
	kubeconfig, err := c.Kubeconfig()
	if err != nil {
		return err
	}
	c.say("making Kubernetes node %s-control-plane ...", c.Name)
	address, err := c.docker.run(ctx, kind, "create", "-name", c.Name, "-image", image, "-config", config, "-kubeconfig", kubeconfig)
	if err != nil {
		return err
	}
	c.NodeAddress = strings.TrimSpace(address)
	return c.save()
}

// startSandbox starts a Docker of the cluster's own.
func (c *cluster) startSandbox(ctx context.Context) error {
	program := filepath.Join(c.dir, "sandboxinit")
	if err := components.BuildStatic(ctx, "cluster/sandbox/sandboxinit", program); err != nil {
		return err
	}
	c.say("starting a Docker of its own in %s ...", c.dir)
	s, err := sandbox.Start(ctx, sandbox.Options{
		Root: c.docker.root, Dir: c.dir, Program: program, Keep: c.Keep, Lock: c.lock,
	})
	if err != nil {
		return err
	}
	c.sandbox, c.PID = s, s.PID
	if err := c.save(); err != nil {
		return err
	}
	c.docker.host = sandbox.DockerHost(c.dir)
	_, err = c.docker.run(ctx, "docker", "network", "create", "--driver=bridge", "--subnet="+s.Subnet, "kind")
	return err
}

// image returns the node image, which Docker has afterwards: the one that
// kind publishes if this machine's Docker can pull it, else Clover's own with
// the archive of the images that it is to be given.
func (c *cluster) image(ctx context.Context, kind string) (name, images string, err error) {
	if c.External {
		published, err := c.docker.run(ctx, kind, "image")
		if err != nil {
			return "", "", err
		}
		published = strings.TrimSpace(published)
		c.say("pulling %s ...", published)
		limited, cancel := context.WithTimeout(ctx, pullLimit)
		defer cancel()
		if _, err = c.docker.run(limited, "docker", "pull", "--quiet", published); err == nil {
			return published, "", nil
		}
		c.say("that is not possible: %v", err)
	}
	tar, err := components.NodeImage().Ensure(ctx, c.progress)
	if err != nil {
		return "", "", err
	}
	c.say("loading the node image ...")
	_, err = c.docker.run(ctx, "docker", "import", "--change=ENV container=docker",
		"--change=ENTRYPOINT [\"/usr/local/bin/entrypoint\", \"/sbin/init\"]", tar, nodeImage)
	if err != nil {
		return "", "", err
	}
	images = components.NodeImages(tar)
	if !c.External {
		// The sandbox sees its own folder only.
		images = filepath.Join(c.dir, "images.tar")
		err = os.Link(components.NodeImages(tar), images)
	}
	return nodeImage, images, err
}

// loadImage imports an image archive into the cluster's node.
func (c *cluster) loadImage(ctx context.Context, file string) error {
	kind, err := components.Kind().Ensure(ctx, c.progress)
	if err != nil {
		return err
	}
	_, err = c.docker.run(ctx, kind, "load", "-name", c.Name, file)
	return err
}

// down ends the cluster and removes all that it had.
func (c *cluster) down() error {
	var err error
	if c.sandbox != nil {
		err = c.sandbox.Stop()
	}
	unlock, lockErr := lockAll()
	if lockErr != nil {
		return errors.Join(err, lockErr)
	}
	defer unlock()
	return errors.Join(err, remove(c.State), c.lock.Close())
}

func (c *cluster) say(format string, args ...any) {
	// That nobody may read it is no error.
	_, _ = fmt.Fprintf(c.progress, "clover: "+format+"\n", args...)
}

// Load imports an image archive into the cluster of that name.
func Load(ctx context.Context, name, file string) error {
	s, err := loadState(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no cluster %s: make it by 'make cluster-up'", name)
	}
	if err != nil {
		return err
	}
	c := &cluster{State: s, progress: io.Discard}
	if c.dir, err = s.dir(); err != nil {
		return err
	}
	if !s.External {
		if c.docker, err = findDocker(ctx, io.Discard); err != nil {
			return err
		}
		c.docker.host = sandbox.DockerHost(c.dir)
	}
	return c.loadImage(ctx, file)
}
