package lease_test

import (
	"context"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility/lease"
	"github.com/opnfv/clover/visibility/storetest"
)

func ExampleGroup() {
	store := storetest.NewReference(storetest.Options{}) // any visibility.StateSwapper
	group, err := lease.New(store, lease.Options{ID: "clover-collector-0", Renew: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- group.Run(ctx) }()
	<-group.Changed()
	fmt.Println(group.Status().Members)
	cancel()
	fmt.Println(<-done)
	// Output:
	// [clover-collector-0]
	// <nil>
}
