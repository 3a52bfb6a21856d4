package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"

	"github.com/opnfv/clover/internal/sparkhome"
)

// SparkS3 is what Spark needs to read S3. The path is that of one of its jars;
// all in that folder are needed. It is not among All: only `make spark-s3`
// wants it, and it is large.
func SparkS3() Component {
	return Component{
		Name: "spark-s3", Title: "Hadoop's client for S3", Version: sparkhome.HadoopVersion,
		verb: "fetching", cost: "280 MB", binary: "jars/" + sparkhome.S3Jar,
		key: func() (string, error) {
			sum := sha256.Sum256(sparkhome.S3POM)
			return hex.EncodeToString(sum[:])[:10], nil
		},
		install: installSparkS3,
	}
}

func installSparkS3(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	if err := ensureProgram(ctx, "mvn", "maven", log); err != nil {
		return err
	}
	return sparkhome.FetchS3(ctx, filepath.Join(dir, "jars"))
}
