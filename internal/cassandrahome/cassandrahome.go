// Package cassandrahome puts Apache Cassandra together from its Maven
// artefacts, and says how Java starts it.
package cassandrahome

import (
	"context"
	_ "embed"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/maven"
)

// Version is the release that pom.xml names.
const Version = "5.0.6"

// POM names what Cassandra consists of.
//
//go:embed pom.xml
var POM []byte

// The classes that are started.
const (
	Daemon   = "org.apache.cassandra.service.CassandraDaemon"
	NodeTool = "org.apache.cassandra.tools.NodeTool"
)

// Fetch puts Cassandra's jars into the folder lib of dir.
func Fetch(ctx context.Context, dir string) error {
	return maven.Fetch(ctx, POM, filepath.Join(dir, "lib"))
}

// modules are the parts of Java that Cassandra reaches into.
var modules = []struct{ kind, names string }{
	{"exports", "java.base/jdk.internal.misc java.base/java.lang.ref java.base/sun.nio.ch " +
		"java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server " +
		"java.sql/java.sql jdk.unsupported/sun.misc"},
	{"opens", "java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io java.base/java.nio " +
		"java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/sun.nio.ch " +
		"java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math " +
		"java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal"},
}

// JavaArgs are the arguments for Java that Cassandra needs, each "--add-KIND
// MODULE/PACKAGE=ALL-UNNAMED" in one piece, with "=" for the space.
func JavaArgs() []string {
	var args []string
	for _, m := range modules {
		for _, name := range strings.Fields(m.names) {
			args = append(args, "--add-"+m.kind+"="+name+"=ALL-UNNAMED")
		}
	}
	return args
}
