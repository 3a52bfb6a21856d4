package testutil

import (
	"path/filepath"
	"testing"

	"github.com/opnfv/clover/internal/testutil/components"
)

// SparkConf returns the settings, each KEY=VALUE, by which a Spark reads this
// server's buckets as s3a://BUCKET.
func (s *S3Server) SparkConf(t testing.TB) []string {
	t.Helper()
	jars := filepath.Dir(Require(t, components.SparkS3()))
	return []string{
		"spark.driver.extraClassPath=" + filepath.Join(jars, "*"),
		"spark.hadoop.fs.s3a.endpoint=" + s.URL,
		"spark.hadoop.fs.s3a.access.key=" + s.AccessKey,
		"spark.hadoop.fs.s3a.secret.key=" + s.SecretKey,
		"spark.hadoop.fs.s3a.path.style.access=true",
		"spark.hadoop.fs.s3a.aws.credentials.provider=org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
	}
}
