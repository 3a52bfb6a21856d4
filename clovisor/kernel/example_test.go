package kernel_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/packet"
)

// Print what comes to and from port 80 of a pod, seen at the host's end of its
// link, until the program is interrupted.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	capture, err := kernel.New(kernel.Options{})
	if err != nil {
		report := kernel.Check()
		fmt.Println(err, report.Err())
		return
	}
	err = capture.Attach(kernel.Target{
		ID: 1, Interface: "veth1234", HostSide: true,
		Rules: kernel.Rules{Ports: []kernel.Port{{Number: 80}}},
	})
	if err != nil {
		fmt.Println(err, capture.Close())
		return
	}
	err = capture.Run(ctx, func(s *packet.Segment) {
		fmt.Printf("%s %s -> %s %d %q\n", s.Time, s.Source, s.Destination, s.Seq, s.Payload)
	})
	fmt.Println(err)
}
