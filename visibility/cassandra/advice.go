package cassandra

import "strings"

// advice is what to do about what keeps the driver from connecting. The
// driver gives its causes as text.
var advice = []struct{ sign, advice string }{
	{"x509: certificate signed by unknown authority", "the nodes' certificates are from an authority that is not trusted here: give its certificate as TLS.RootCAs (--cassandra-ca-file)"},
	{"x509: certificate has expired or is not yet valid", "a node's certificate has expired, or a clock is wrong: renew the certificate there, or set the clock"},
	{"x509: certificate is valid for", "a node's certificate is for other names: give the contact points as the certificate has them (--cassandra-hosts)"},
	{"x509: cannot validate certificate", "a node's certificate is for other names: give the contact points as the certificate has them (--cassandra-hosts)"},
	{"certificate required", "the nodes ask for a client's certificate: give one in TLS.Certificates (--cassandra-cert-file, --cassandra-key-file)"},
	{"first record does not look like a TLS handshake", "the nodes speak plain text: leave TLS away, or turn it on there"},
	{"authentication required", "the nodes ask for a user: give Username and Password (--cassandra-user, --cassandra-password-file)"},
	{"username", "the user or the password is wrong: see Username and Password (--cassandra-user, --cassandra-password-file)"},
}

// connectError is an error of the driver with advice.
type connectError struct {
	err    error
	advice string
}

func (e *connectError) Error() string { return e.err.Error() + "\n" + e.advice }
func (e *connectError) Unwrap() error { return e.err }

// advise adds to an error what to do about it, where that is known.
func advise(err error) error {
	text := err.Error()
	for _, a := range advice {
		if strings.Contains(text, a.sign) {
			return &connectError{err, a.advice}
		}
	}
	return err
}
