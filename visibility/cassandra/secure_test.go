package cassandra

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
)

// wantRefused holds that a store does not open, and that its error has some
// words, the last of which say what to do.
func (c *cluster) wantRefused(t *testing.T, o Options, words ...string) {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err == nil {
		t.Errorf("it opened; want an error with %q", words)
		_ = s.Close()
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("open: %v; want %q", err, w)
		}
	}
	if !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
}

// testTLS connects by TLS, and as it does not work.
func (c *cluster) testTLS(t *testing.T) {
	o := c.opts
	o.TLS = c.authority.ClientConfig(t)
	s := c.empty(t, o)
	writeUntil(t, s, hop(0, everything.From.Add(time.Hour)), func() {})
	c.wantTally(t, s, 1)

	o.TLS = testutil.NewAuthority(t).ClientConfig(t)
	c.wantRefused(t, o, "unknown authority", "--cassandra-ca-file")
	o.TLS = c.authority.ClientConfig(t)
	o.TLS.Time = func() time.Time { return time.Now().AddDate(1, 0, 0) }
	c.wantRefused(t, o, "certificate has expired", "renew the certificate")
	o.TLS = &tls.Config{RootCAs: c.authority.Pool(), MinVersion: tls.VersionTLS12, ServerName: "elsewhere.test"}
	c.wantRefused(t, o, "certificate is valid for", "--cassandra-hosts")
}

// testPassword connects with a user's password, and as it does not work.
func (c *cluster) testPassword(t *testing.T) {
	o := c.opts
	o.Username, o.Password = "cassandra", "cassandra"
	s := c.empty(t, o)
	writeUntil(t, s, hop(0, everything.From.Add(time.Hour)), func() {})
	c.wantTally(t, s, 1)

	o.Password = "wrong"
	c.wantRefused(t, o, "the user or the password is wrong", "--cassandra-password-file")
	o.Username = ""
	c.wantRefused(t, o, "ask for a user", "--cassandra-user")
}
