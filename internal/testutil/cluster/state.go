package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/internal/testutil/components"
)

// stateFile is where a cluster's folder says what it is.
const stateFile = "cluster.json"

// State is what is known of a cluster that was made here. It is written to
// the cluster's folder, so that another process can use or remove it.
type State struct {
	// Name is kind's name of the cluster and that of its folder.
	Name string
	// Keep is set for a cluster that outlives the process that made it.
	Keep bool
	// PID is the sandbox's first process, once there is one.
	PID int
	// External is set for a cluster in a Docker that was there before.
	External bool
	// NodeAddress is the address of the cluster's node, for NodePorts.
	NodeAddress string
}

// clustersDir is the folder with one folder for each cluster.
func clustersDir() (string, error) {
	cache, err := components.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "clusters")
	return dir, os.MkdirAll(dir, 0o755)
}

// dir is the cluster's folder.
func (s *State) dir() (string, error) {
	all, err := clustersDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(all, s.Name), nil
}

// Kubeconfig is the path of the file with which programs reach the cluster.
func (s *State) Kubeconfig() (string, error) {
	dir, err := s.dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "kubeconfig"), nil
}

// auditDir is the folder, in the cluster's, that the API server logs to.
const auditDir = "audit"

// AuditLog is the path of the API server's audit log, with an event a line.
func (s *State) AuditLog() (string, error) {
	dir, err := s.dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, auditDir, "audit.log"), nil
}

// save writes the state to the cluster's folder.
func (s *State) save() error {
	dir, err := s.dir()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	part := filepath.Join(dir, stateFile+".part")
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(dir, stateFile))
}

// loadState reads the state of the cluster of that name. It is [fs.ErrNotExist]
// if there is none.
func loadState(name string) (*State, error) {
	s := &State{Name: name}
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // cut off before it was written
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// names lists the clusters that have a folder.
func names() ([]string, error) {
	dir, err := clustersDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	return list, nil
}
