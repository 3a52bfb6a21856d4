package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/cassandrahome"
)

// Cassandra is Apache Cassandra, put together from its Maven artefacts. The
// path is that of a script that starts it in the foreground; its one argument
// is the folder with its cassandra.yaml and logback.xml. It needs a Java,
// which [EnsureJava] brings.
func Cassandra() Component {
	return Component{
		Name: "cassandra", Title: "Apache Cassandra", Version: cassandrahome.Version,
		verb: "fetching", cost: "66 MB", binary: "bin/cassandra",
		key: func() (string, error) {
			h := sha256.New()
			h.Write([]byte(cassandraScript()))
			h.Write(cassandrahome.POM)
			return hex.EncodeToString(h.Sum(nil))[:10], nil
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
	if err := cassandrahome.Fetch(ctx, dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bin", "cassandra"), []byte(cassandraScript()), 0o600)
}

// cassandraScript starts the server with a small heap, as a child of the
// shell's own process.
func cassandraScript() string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\nhome=$(cd \"$(dirname \"$0\")/..\" && pwd)\nexec java ${JVM_ARGS:--Xms512m -Xmx512m} \\\n")
	for _, arg := range cassandrahome.JavaArgs() {
		b.WriteString("  " + arg + " \\\n")
	}
	b.WriteString(`  -XX:+UseSerialGC -XX:TieredStopAtLevel=${CLOVER_JIT:-4} -Djava.awt.headless=true \
  -Dcassandra.config="file://$1/cassandra.yaml" -Dlogback.configurationFile="$1/logback.xml" \
  -Dcassandra.storagedir="$1" -Dcassandra-foreground=yes \
  -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=1 \
  -cp "$1:$home/lib/*" ` + cassandrahome.Daemon + "\n")
	return b.String()
}
