package kubernetes

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
)

// watchLinks calls changed whenever interfaces of the node come or go, until
// ctx ends.
func watchLinks(ctx context.Context, changed func()) error {
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		// What was missed is seen when the node is looked at the next time.
		ErrorCallback: func(error) { changed() },
	})
	if err != nil {
		return fmt.Errorf("target: watch the interfaces of the node: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // the subscription closes it
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-updates:
			if !ok {
				<-ctx.Done()
				return nil
			}
			changed()
		}
	}
}
