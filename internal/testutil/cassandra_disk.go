package testutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// limitDisk has the server run where its data lies in a file system of that
// size. That is in a mount namespace of its own, so nothing is left of it
// however the test ends. The log of what was written last lies elsewhere: it
// is written through memory, and a full disk under that is a bus error which
// ends Java, sometimes in the middle of a record that it then refuses to read.
func (s *CassandraServer) limitDisk(bytes int64) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		Missing(s.t, "mount namespaces", "only root makes them")
	}
	for _, program := range []string{"unshare", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(s.t, "mount namespaces", err.Error())
		}
	}
	dir := s.command.Dir
	s.disk = filepath.Join(dir, "data")
	if err := os.Mkdir(s.disk, 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.mount = Start(s.t, Command{Name: "mount", Path: "unshare", Args: []string{
		"--mount", "sh", "-c", fmt.Sprintf("mount -t tmpfs -o size=%d none '%s' && echo mounted && exec sleep 100000", bytes, s.disk),
	}})
	s.mount.WaitReady(time.Minute, func(context.Context) error {
		if !strings.Contains(s.mount.Log(), "mounted") {
			return errors.New(s.mount.Log())
		}
		return nil
	})
	// All folders below the one that is given as storage; the rest of the
	// configuration stays where it is.
	for _, name := range []string{"cassandra.yaml", "logback.xml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if name == "cassandra.yaml" {
			data = append(data, "disk_failure_policy: stop\ncommitlog_directory: "+filepath.Join(dir, "commitlog")+"\n"...)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(s.inside(), name), data, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.command.Args = append([]string{"--mount", "--target", fmt.Sprint(s.mount.PID()), "sh", s.command.Path}, s.disk)
	s.command.Path = "nsenter"
}

// inside is the bounded folder, from outside of its namespace.
func (s *CassandraServer) inside() string {
	return fmt.Sprintf("/proc/%d/root%s", s.mount.PID(), s.disk)
}

func (s *CassandraServer) ballast() string { return filepath.Join(s.inside(), "ballast") }

// FillDisk takes all that is left of the bounded disk.
func (s *CassandraServer) FillDisk() {
	s.t.Helper()
	f, err := os.Create(s.ballast())
	if err != nil {
		s.t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// FreeDisk gives back what FillDisk took.
func (s *CassandraServer) FreeDisk() {
	s.t.Helper()
	if err := os.Remove(s.ballast()); err != nil {
		s.t.Fatal(err)
	}
}
