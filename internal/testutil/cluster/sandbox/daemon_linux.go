package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// runtimeName names the OCI runtime of machines without CAP_SYS_RESOURCE.
const runtimeName = "nocap"

// daemonConfig is Docker's configuration file.
type daemonConfig struct {
	DataRoot       string             `json:"data-root"`
	ExecRoot       string             `json:"exec-root"`
	PIDFile        string             `json:"pidfile"`
	Hosts          []string           `json:"hosts"`
	Bridge         string             `json:"bridge"`
	StorageDriver  string             `json:"storage-driver"`
	CgroupParent   string             `json:"cgroup-parent"`
	ExecOpts       []string           `json:"exec-opts"`
	DefaultRuntime string             `json:"default-runtime,omitempty"`
	Runtimes       map[string]runtime `json:"runtimes,omitempty"`
}

type runtime struct {
	Path string   `json:"path"`
	Args []string `json:"runtimeArgs"`
}

// startDaemon starts Docker with every file in the sandbox's folder.
func startDaemon(s setting) (*os.Process, error) {
	config := daemonConfig{
		DataRoot:      filepath.Join(s.Dir, "docker"),
		ExecRoot:      "/run/docker",
		PIDFile:       "/run/docker.pid",
		Hosts:         []string{DockerHost(s.Dir)},
		Bridge:        "none",
		StorageDriver: "overlay2",
		CgroupParent:  cgroupOf(s.Dir),
		ExecOpts:      []string{"native.cgroupdriver=cgroupfs"},
	}
	config.DefaultRuntime = runtimeName
	config.Runtimes = map[string]runtime{runtimeName: {Path: s.Program, Args: []string{"runc"}}}
	data, err := json.MarshalIndent(config, "", "\t")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.Dir, "daemon.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// Not by exec.Cmd: its Wait and the one for all processes would meet.
	return os.StartProcess("/usr/sbin/dockerd", []string{"dockerd", "--config-file", file}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{null, os.Stdout, os.Stderr},
	})
}
