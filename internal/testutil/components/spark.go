package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"

	"github.com/opnfv/clover/internal/sparkhome"
)

// Spark is Apache Spark. The path is that of bin/spark-submit; the folder above
// bin is SPARK_HOME. It needs a Java, which [EnsureJava] brings.
func Spark() Component {
	return Component{
		Name: "spark", Title: "Apache Spark", Version: sparkhome.Version,
		verb: "fetching", cost: "318 MB", binary: "bin/spark-submit",
		install: installSpark,
	}
}

func installSpark(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	return sparkhome.Fetch(ctx, dir, progress(log))
}

// SparkConnector is the Spark Cassandra Connector. The path is that of one of
// its jars; all in that folder are needed.
func SparkConnector() Component {
	return Component{
		Name: "spark-connector", Title: "Spark Cassandra Connector", Version: sparkhome.ConnectorVersion,
		verb: "fetching", cost: "14 MB", binary: "jars/" + sparkhome.ConnectorJar,
		key: func() (string, error) {
			sum := sha256.Sum256(sparkhome.ConnectorPOM)
			return hex.EncodeToString(sum[:])[:10], nil
		},
		install: installSparkConnector,
	}
}

func installSparkConnector(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	if err := ensureProgram(ctx, "mvn", "maven", log); err != nil {
		return err
	}
	return sparkhome.FetchConnector(ctx, filepath.Join(dir, "jars"))
}
