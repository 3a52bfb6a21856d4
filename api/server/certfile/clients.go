package certfile

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// RestrictClients makes what Server returned take client certificates of these
// common names only: the CA of an install signs for all of its services, and
// not each may control each.
func RestrictClients(t *tls.Config, names []string) {
	current := t.GetConfigForClient
	t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := current(hello)
		if err != nil {
			return nil, err
		}
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) > 0 && slices.Contains(names, s.PeerCertificates[0].Subject.CommonName) {
				return nil
			}
			return fmt.Errorf("the client certificate is not for %s", strings.Join(names, " or "))
		}
		return c, nil
	}
}
