package components

// s3Version is that of the module s3bin.
const s3Version = "1.8.0"

// S3 is the S3 server of Versity, which keeps objects as files.
func S3() Component {
	return built("versitygw", "Versity S3 Gateway", s3Version, "s3bin", "github.com/versity/versitygw/cmd/versitygw")
}
