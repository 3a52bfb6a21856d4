package sparkhome

import (
	"context"
	_ "embed"

	"github.com/opnfv/clover/internal/maven"
)

// HadoopVersion is the release of Hadoop that the Spark of Version comes with,
// and that s3.xml names.
const HadoopVersion = "3.3.4"

// S3Jar is the name of the jar by which Spark knows s3a://.
const S3Jar = "hadoop-aws-" + HadoopVersion + ".jar"

// S3POM names what Spark needs for S3.
//
//go:embed s3.xml
var S3POM []byte

// FetchS3 puts the jars that Spark needs for S3 into the folder dir.
func FetchS3(ctx context.Context, dir string) error { return maven.Fetch(ctx, S3POM, dir) }
