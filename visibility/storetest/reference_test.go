package storetest_test

import (
	"context"
	"testing"

	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestReference(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, o storetest.Options) storetest.Fixture {
		m := storetest.NewReference(o)
		return storetest.Fixture{
			Store: m,
			Reopen: func() (visibility.Store, error) {
				m.Reopen()
				return m, nil
			},
			Settle: func(context.Context) error { m.Settle(); return nil },
			Retain: func(context.Context) error { m.Retain(); return nil },
		}
	})
}
