package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
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

// newer are capabilities that Debian's Docker does not know and so does not
// give to privileged containers: programs in the kernel need them.
var newer = map[string]int{"CAP_PERFMON": unix.CAP_PERFMON, "CAP_BPF": unix.CAP_BPF, "CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE}

// Runc is an OCI runtime that gives privileged containers what Docker would,
// if it were newer, and takes out what only CAP_SYS_RESOURCE can give where
// this machine's root lacks it. It changes the description of the container
// or process, then becomes runc with the same arguments.
func Runc(args []string) error {
	may, err := capabilities()
	if err != nil {
		return err
	}
	if err := edit(args, may); err != nil {
		return fmt.Errorf("runc: %w", err)
	}
	return unix.Exec(runcPath, append([]string{"runc"}, args...), os.Environ())
}

// capabilities tells which capabilities this process has.
func capabilities() (may func(capability int) bool, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return nil, err
	}
	return func(c int) bool { return sets[c/32].Effective&(1<<(c%32)) != 0 }, nil
}

// edit changes the file that the runtime's arguments name, if they do.
func edit(args []string, may func(capability int) bool) error {
	change := func(process map[string]any) {
		widen(process, may)
		if !may(unix.CAP_SYS_RESOURCE) {
			restrict(process)
		}
	}
	switch {
	case slices.Contains(args, "create") || slices.Contains(args, "run"):
		bundle := value(args, "--bundle", "-b")
		if bundle == "" {
			bundle = "."
		}
		return editFile(filepath.Join(bundle, "config.json"), func(doc map[string]any) {
			if process, ok := doc["process"].(map[string]any); ok {
				change(process)
			}
		})
	case slices.Contains(args, "exec"):
		if file := value(args, "--process", "-p"); file != "" {
			return editFile(file, change)
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

// widen gives a privileged process what its Docker does not know of.
func widen(process map[string]any, may func(capability int) bool) {
	sets, _ := process["capabilities"].(map[string]any)
	for name, set := range sets {
		list, ok := set.([]any)
		if !ok || !slices.Contains(list, any("CAP_SYS_ADMIN")) {
			continue
		}
		for _, c := range slices.Sorted(maps.Keys(newer)) {
			if may(newer[c]) && !slices.Contains(list, any(c)) {
				list = append(list, c)
			}
		}
		sets[name] = list
	}
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
