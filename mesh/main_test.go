package mesh

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/internal/testutil/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(cluster.M{M: m}) }
