// Package delivering has the flags that say where Spinnaker is.
package delivering

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/delivery"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/spinnaker"
)

// Flags say where Spinnaker is and who the controller is for it.
type Flags struct {
	options   delivery.Options
	tokenFile string
	ca        string
	cert, key string
}

// Add adds the flags to a set.
func (f *Flags) Add(set *pflag.FlagSet) {
	set.StringVar(&f.options.Halyard.URL, "halyard", "", "`URL` of Halyard's daemon, e.g. http://spin-halyard.spinnaker:8064; if its host does not exist, Gate keeps the accounts")
	set.StringVar(&f.options.Halyard.Deployment, "halyard-deployment", "", "`name` of the deployment that Halyard keeps (default \"default\")")
	set.BoolVar(&f.options.KubeconfigPaths, "halyard-kubeconfig-paths", false, "kubeconfigFile is a path on Halyard's disk, as for a daemon without useRemoteDaemon")
	set.StringVar(&f.options.Gate.URL, "gate", "", "`URL` of Gate, e.g. http://spin-gate.spinnaker:8084")
	set.StringVar(&f.options.Gate.Auth.User, "gate-user", "", "`name` for X-SPINNAKER-USER, where Gate trusts that header")
	set.StringVar(&f.tokenFile, "gate-token-file", "", "`file` with an API token of Spinnaker")
	set.StringVar(&f.ca, "gate-ca-file", "", "PEM `file` with the authorities of Gate's certificate")
	set.StringVar(&f.cert, "gate-cert-file", "", "PEM `file` with the certificate that is shown to Gate (X.509)")
	set.StringVar(&f.key, "gate-key-file", "", "PEM `file` with the certificate's key")
	set.BoolVar(&f.options.AllowExec, "allow-exec-kubeconfig", false, "take kubeconfigs whose credentials come from a program, which Spinnaker's pods run")
}

// Apply puts the delivery area into the options of a server.
func (f *Flags) Apply(o *server.Options) error {
	if f.tokenFile != "" {
		token, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return cli.Usagef("--gate-token-file: %w", err)
		}
		f.options.Gate.Auth.Token = spinnaker.NewSecret(strings.TrimSpace(string(token)))
	}
	config, err := f.tls()
	if err != nil {
		return cli.Usagef("--gate-ca-file, --gate-cert-file, --gate-key-file: %w", err)
	}
	f.options.Gate.TLS = config
	service, err := delivery.New(f.options)
	if err != nil {
		return cli.Usagef("--halyard, --gate: %w", err)
	}
	o.Delivery = service
	return nil
}

// tls returns what the files say, nil if there are none.
func (f *Flags) tls() (*tls.Config, error) {
	if f.ca+f.cert+f.key == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(f.ca + " has no certificate")
		}
	}
	if f.cert+f.key != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
