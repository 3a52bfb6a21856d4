package dashboard

import (
	"os"
	"testing"
)

// repository is the root of the repository, from this folder.
const repository = "../../.."

// pictures is the folder for pictures of the views: that of make, or one that
// ends with the test.
func pictures(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CLOVER_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}
