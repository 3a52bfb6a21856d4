package kernel

import (
	"os"
	"testing"

	"github.com/opnfv/clover/internal/testutil/leak"
)

// childEnv makes this test binary a program that captures and then ends in
// the way that the variable says.
const childEnv = "CLOVISOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if ending := os.Getenv(childEnv); ending != "" {
		os.Exit(child(ending))
	}
	leak.Main(m)
}
