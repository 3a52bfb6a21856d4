package embedded

import (
	"context"
	"testing"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Fixture {
		dir := t.TempDir()
		opts := Options{Clock: o.Clock, Retention: o.Retention, Limits: Limits{Rows: o.Rows, Values: o.Values}}
		s, err := Open(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return storetest.Fixture{
			Store: s,
			Reopen: func() (visibility.Store, error) {
				if err := s.Close(); err != nil {
					return nil, err
				}
				next, err := Open(dir, opts)
				if err != nil {
					return nil, err
				}
				s = next
				return s, nil
			},
			Settle: func(context.Context) error { return s.Settle() },
			Retain: func(context.Context) error { return s.Retain() },
		}
	})
}
