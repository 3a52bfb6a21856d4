package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/command"
)

// cassandraVersion is the release that internal/testutil/cassandrabin/pom.xml
// names.
const cassandraVersion = "5.0.6"

// Cassandra is Apache Cassandra, put together from its Maven artefacts. The
// path is that of a script that starts it in the foreground; its one argument
// is the folder with its cassandra.yaml and logback.xml. It needs a Java,
// which [EnsureJava] brings.
func Cassandra() Component {
	return Component{
		Name: "cassandra", Title: "Apache Cassandra", Version: cassandraVersion,
		verb: "fetching", cost: "66 MB", binary: "bin/cassandra",
		key: func() (string, error) {
			dir, err := nested("cassandrabin")
			if err != nil {
				return "", err
			}
			h := sha256.New()
			h.Write([]byte(cassandraScript()))
			err = hashFiles(h, dir, "pom.xml")
			return hex.EncodeToString(h.Sum(nil))[:10], err
		},
		install: installCassandra,
	}
}

func installCassandra(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	if err := ensureProgram(ctx, "mvn", "maven", log); err != nil {
		return err
	}
	src, err := nested("cassandrabin")
	if err != nil {
		return err
	}
	if err := command.Run(exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(src, "pom.xml"),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(dir, "lib"))); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bin", "cassandra"), []byte(cassandraScript()), 0o600)
}

// cassandraModules are the parts of Java that Cassandra reaches into.
var cassandraModules = map[string]string{
	"exports": "java.base/jdk.internal.misc java.base/java.lang.ref java.base/sun.nio.ch " +
		"java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server " +
		"java.sql/java.sql jdk.unsupported/sun.misc",
	"opens": "java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io java.base/java.nio " +
		"java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/sun.nio.ch " +
		"java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math " +
		"java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal",
}

// cassandraScript starts the server with a small heap, as a child of the
// shell's own process.
func cassandraScript() string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\nhome=$(cd \"$(dirname \"$0\")/..\" && pwd)\nexec java ${JVM_ARGS:--Xms512m -Xmx512m} \\\n")
	for _, kind := range []string{"exports", "opens"} {
		for _, part := range strings.Fields(cassandraModules[kind]) {
			b.WriteString("  --add-" + kind + " " + part + "=ALL-UNNAMED \\\n")
		}
	}
	b.WriteString(`  -XX:+UseSerialGC -XX:TieredStopAtLevel=${CLOVER_JIT:-4} -Djava.awt.headless=true \
  -Dcassandra.config="file://$1/cassandra.yaml" -Dlogback.configurationFile="$1/logback.xml" \
  -Dcassandra.storagedir="$1" -Dcassandra-foreground=yes \
  -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=1 \
  -cp "$1:$home/lib/*" org.apache.cassandra.service.CassandraDaemon
`)
	return b.String()
}
