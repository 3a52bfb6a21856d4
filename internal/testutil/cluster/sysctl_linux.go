package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sysctlFile, beside the clusters' folders, holds what the kernel's settings
// were before the first cluster, which is when it is written.
const sysctlFile = "sysctl.json"

// sysctls are the settings of the whole machine that a kubelet changes, and
// the one that nodes need more of than some machines have.
var sysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	inotifyInstances,
}

const (
	inotifyInstances = "fs/inotify/max_user_instances"
	// wantInstances is enough for several nodes with systemd.
	wantInstances = 1024
)

// holdSysctls notes the kernel's settings, unless a cluster that is up has
// done that, and prepares them for a node.
func holdSysctls() error {
	path, err := sysctlPath()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before := make(map[string]string)
	for _, name := range sysctls {
		data, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		before[name] = strings.TrimSpace(string(data))
	}
	data, err := json.MarshalIndent(before, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	if have, err := strconv.Atoi(before[inotifyInstances]); err == nil && have < wantInstances {
		// Without it one node works still.
		_ = setSysctl(inotifyInstances, strconv.Itoa(wantInstances))
	}
	return nil
}

// restoreSysctls undoes what clusters have changed, when none is left.
func restoreSysctls() error {
	left, err := names()
	if err != nil || len(left) > 0 {
		return err
	}
	path, err := sysctlPath()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var before map[string]string
	if err := json.Unmarshal(data, &before); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range before {
		now, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err == nil && strings.TrimSpace(string(now)) != value {
			err = setSysctl(name, value)
		}
		if err != nil {
			return fmt.Errorf("restore the kernel's settings: %w", err)
		}
	}
	return os.Remove(path)
}

func setSysctl(name, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644)
}

func sysctlPath() (string, error) {
	dir, err := clustersDir()
	return filepath.Join(dir, sysctlFile), err
}
