package cluster_test

import (
	"testing"

	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }
