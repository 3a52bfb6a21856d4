package components

import (
	"context"
	"io"

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
