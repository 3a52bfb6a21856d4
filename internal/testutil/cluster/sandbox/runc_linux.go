package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// runcPath is the OCI runtime in the Debian root.
const runcPath = "/usr/sbin/runc"

// sysResource is what the runtime cannot give where this process lacks it.
const sysResource = "CAP_SYS_RESOURCE"

// Runc is an OCI runtime for machines whose root lacks CAP_SYS_RESOURCE. It
// takes what needs that capability out of the container's or process's
// description, then becomes runc with the same arguments.
func Runc(args []string) error {
	if err := edit(args); err != nil {
		return fmt.Errorf("runc without %s: %w", sysResource, err)
	}
	return unix.Exec(runcPath, append([]string{"runc"}, args...), os.Environ())
}

// edit changes the file that the runtime's arguments name, if they do.
func edit(args []string) error {
	switch {
	case slices.Contains(args, "create") || slices.Contains(args, "run"):
		bundle := value(args, "--bundle", "-b")
		if bundle == "" {
			bundle = "."
		}
		return editFile(filepath.Join(bundle, "config.json"), func(doc map[string]any) {
			if process, ok := doc["process"].(map[string]any); ok {
				restrict(process)
			}
		})
	case slices.Contains(args, "exec"):
		if file := value(args, "--process", "-p"); file != "" {
			return editFile(file, restrict)
		}
	}
	return nil
}

// value returns the value of a flag.
func value(args []string, names ...string) string {
	for i, arg := range args {
		for _, name := range names {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if v, ok := strings.CutPrefix(arg, name+"="); ok {
				return v
			}
		}
	}
	return ""
}

// editFile changes a JSON file.
func editFile(path string, change func(map[string]any)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	change(doc)
	if data, err = json.Marshal(doc); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// restrict takes out of the description of a process what only
// CAP_SYS_RESOURCE can give: the capability itself, a protection from the
// out-of-memory killer, and limits of its own.
func restrict(process map[string]any) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			if list, ok := set.([]any); ok {
				sets[name] = slices.DeleteFunc(list, func(c any) bool { return c == sysResource })
			}
		}
	}
	if score, ok := process["oomScoreAdj"].(float64); ok && score < 0 {
		process["oomScoreAdj"] = 0
	}
	delete(process, "rlimits")
}
