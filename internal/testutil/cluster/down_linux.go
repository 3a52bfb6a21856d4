package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/opnfv/clover/internal/testutil/cluster/sandbox"
	"github.com/opnfv/clover/internal/testutil/components"
)

// removeLimit bounds how long Docker may take to remove a cluster.
const removeLimit = time.Minute

// Down removes the cluster of that name and what dead ones have left. It is
// no error if there is none.
func Down(name string) error {
	unlock, err := lockAll()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := loadState(name)
	if err == nil {
		err = end(s)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, sweep())
}

// List returns the clusters that are up.
func List() ([]*State, error) {
	all, err := names()
	if err != nil {
		return nil, err
	}
	var list []*State
	for _, name := range all {
		s, err := loadState(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if up, err := s.alive(); err != nil {
			return nil, err
		} else if up {
			list = append(list, s)
		}
	}
	return list, nil
}

// alive reports whether the cluster is up: by its lock, which the sandbox
// or, in a Docker that was there before, the test has. A cluster that was
// made there to be kept is up until it is removed.
func (s *State) alive() (bool, error) {
	if s.External && s.Keep {
		return true, nil
	}
	dir, err := s.dir()
	if err != nil {
		return false, err
	}
	lock, ok, err := tryLock(filepath.Join(dir, lockFile))
	if err != nil {
		return false, err
	}
	if ok {
		return false, lock.Close()
	}
	return true, nil
}

// end ends a cluster that another process has made and removes it.
func end(s *State) error {
	up, err := s.alive()
	if err != nil {
		return err
	}
	if up && !s.External {
		if s.PID == 0 {
			return fmt.Errorf("cluster %s is just being made by another process: end that one", s.Name)
		}
		if err := sandbox.Kill(s.PID); err != nil {
			return err
		}
	}
	return remove(s)
}

// sweep removes what is left of clusters whose process is gone.
func sweep() error {
	all, err := names()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range all {
		s, err := loadState(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		up, err := s.alive()
		if err == nil && !up {
			err = remove(s)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// remove removes a cluster that has ended, or one in a Docker that stays.
func remove(s *State) error {
	dir, err := s.dir()
	if err != nil {
		return err
	}
	if s.External {
		ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
		defer cancel()
		kind, err := components.Kind().Ensure(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := (docker{}).run(ctx, kind, "delete", "-name", s.Name, "-kubeconfig", filepath.Join(dir, "kubeconfig")); err != nil {
			return err
		}
	}
	if err := sandbox.Clean(dir); err != nil {
		return fmt.Errorf("remove what cluster %s has left: %w", s.Name, err)
	}
	return restoreSysctls()
}
