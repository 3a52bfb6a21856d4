package command

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

const (
	ownName = "cloverctl"
	// pluginFile is what the program is called for kubectl to find it.
	pluginFile = "kubectl-clover"
	pluginName = "kubectl clover"
)

// programName is what users type, from the path of the program.
func programName(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), ".exe")
	if base == pluginFile {
		return pluginName
	}
	return ownName
}

// named puts the name that users type into a text.
func (a *app) named(text string) string {
	if a.Program == ownName {
		return text
	}
	return strings.ReplaceAll(text, ownName+" ", a.Program+" ")
}

// finish gives each command the flags that choose a cluster, and the name
// that the program was called by.
func (a *app) finish(c *cobra.Command) {
	if c.Runnable() {
		a.cluster.Add(c.Flags())
		a.completeCluster(c)
	}
	c.Example, c.Long = a.named(c.Example), a.named(c.Long)
	if !c.HasParent() && a.Program != ownName {
		c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: a.Program}
	}
	for _, sub := range c.Commands() {
		a.finish(sub)
	}
}
