package spark

import (
	"fmt"
	"os"
	"testing"

	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/visibility/cassandra"
)

// asProgram has this program do what "clover-spark rows" does.
const asProgram = "CLOVER_TEST_ROWS"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if err := cassandra.WriteTable(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}
