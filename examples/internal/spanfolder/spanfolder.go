// Package spanfolder opens folders of Parquet files as flags name them.
package spanfolder

import (
	"strings"

	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/parquet/s3"
)

// Remote reports whether a name is that of a folder in S3: s3://BUCKET/PREFIX,
// or s3a:// as Spark has it.
func Remote(name string) bool {
	return strings.HasPrefix(name, "s3://") || strings.HasPrefix(name, "s3a://")
}

// Open returns the folder of that name: one in S3, reached as the environment
// says (see s3.FromEnvironment), or a local one. It makes nothing.
func Open(name string) (parquet.Folder, error) {
	if !Remote(name) {
		return parquet.Dir(name), nil
	}
	return s3.Open(s3.FromEnvironment(name))
}
