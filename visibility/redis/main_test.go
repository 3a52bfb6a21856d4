package visibilityredis

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/internal/testutil/leak"
)

// What tries to reach a Redis that is away looks once a second whether its
// client is closed.
const redial = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

func TestMain(m *testing.M) { leak.Main(m, goleak.IgnoreAnyFunction(redial)) }
