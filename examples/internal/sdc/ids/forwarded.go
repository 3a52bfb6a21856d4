package ids

import (
	"context"

	"github.com/opnfv/clover/ids/alert"
)

// Forwarded is a source whose engine sees copies that a proxy sends: each
// alert gets the address of the client whose request it was, as the proxies
// that are trusted say in X-Forwarded-For.
type Forwarded struct {
	alert.Source
	// TrustedHops is the number of proxies that append the address of who
	// connects to them; the first of them has seen the client.
	TrustedHops int
}

// Run implements alert.Source.
func (f Forwarded) Run(ctx context.Context, position string, emit alert.Emit) error {
	return f.Source.Run(ctx, position, func(a *alert.Alert, position string) error {
		if a != nil && f.TrustedHops > 0 && len(a.ForwardedFor) >= f.TrustedHops {
			client := a.ForwardedFor[len(a.ForwardedFor)-f.TrustedHops]
			if a.ToClient {
				a.DestinationIP, a.DestinationPort = client, 0
			} else {
				a.SourceIP, a.SourcePort = client, 0
			}
			if a.Flow != nil {
				a.Flow.Client, a.Flow.ClientPort = client, 0
			}
		}
		return emit(a, position)
	})
}
