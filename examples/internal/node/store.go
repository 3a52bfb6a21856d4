package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/spool"
)

// storeFlags choose the store and say how Cassandra is reached.
type storeFlags struct {
	kind         string
	passwordFile string
	caFile       string
	certFile     string
	keyFile      string
	spoolBytes   int64
}

func (o *Options) addStoreFlags(f *pflag.FlagSet) {
	c := &o.Cassandra
	f.StringVar(&o.flags.kind, "store", "embedded", "embedded (a directory) or cassandra")
	f.StringSliceVar(&c.Hosts, "cassandra-hosts", nil, "contact points of Cassandra, each `host[:port]` (default 127.0.0.1)")
	f.StringVar(&c.Keyspace, "cassandra-keyspace", "visibility", "`keyspace`, made if it is missing")
	f.StringVar(&c.Replication, "cassandra-replication", "", "CQL `map` for a keyspace that is made (default: one copy)")
	f.StringVar(&c.Datacenter, "cassandra-datacenter", "", "data `centre` whose nodes are asked (default: any)")
	f.StringVar(&c.Writer, "cassandra-writer", "", "`name` of this process among those that write, the same after a restart (default: the host's name)")
	f.BoolVar(&o.Share, "share", true, "divide the services of Jaeger and Prometheus among all that have the Cassandra keyspace in common; with --share=false this one reads all")
	f.StringVar(&c.Username, "cassandra-user", "", "`user` at Cassandra")
	f.StringVar(&o.flags.passwordFile, "cassandra-password-file", "", "`file` with the user's password")
	f.StringVar(&o.flags.caFile, "cassandra-ca-file", "", "PEM `file` with the certificates to trust for Cassandra; turns TLS on")
	f.StringVar(&o.flags.certFile, "cassandra-cert-file", "", "PEM `file` with the client's certificate")
	f.StringVar(&o.flags.keyFile, "cassandra-key-file", "", "PEM `file` with its key")
	f.Int64Var(&o.flags.spoolBytes, "spool-bytes", spool.DefaultBytes, "`bytes` in --data-dir for what comes while Cassandra is away; 0: none")
}

// Embedded reports whether the flags choose the store in a directory.
func (o *Options) Embedded() bool { return o.flags.kind == "" || o.flags.kind == "embedded" }

// cassandraTimeout is how long opening may take, with the schema made.
const cassandraTimeout = 2 * time.Minute

// openStore opens the store that the flags name.
func (o *Options) openStore() (visibility.Store, error) {
	switch o.flags.kind {
	case "", "embedded":
		o.Store.Logger = o.Logger
		store, err := embedded.Open(o.DataDir, o.Store)
		if errors.Is(err, visibility.ErrLocked) {
			return nil, fmt.Errorf("%w\nAnother Clover uses this directory: end it, or give another one with --data-dir", err)
		}
		if err != nil {
			return nil, err
		}
		return store, nil
	case "cassandra":
		return o.openCassandra()
	}
	return nil, fmt.Errorf("--store %q: want embedded or cassandra: %w", o.flags.kind, visibility.ErrInvalid)
}

func (o *Options) openCassandra() (visibility.Store, error) {
	if o.Cassandra.Writer == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("give this process a name with --cassandra-writer: %w", err)
		}
		o.Cassandra.Writer = host
	}
	c := o.Cassandra
	c.Retention, c.Logger = o.Store.Retention, o.Logger
	if file := o.flags.passwordFile; file != "" {
		password, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--cassandra-password-file: %w", err)
		}
		c.Password = strings.TrimSpace(string(password))
	}
	config, err := o.flags.tls()
	if err != nil {
		return nil, err
	}
	c.TLS = config
	ctx, cancel := context.WithTimeout(context.Background(), cassandraTimeout)
	defer cancel()
	store, err := cassandra.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%w\nSee --cassandra-hosts and the flags beside it", err)
	}
	return o.spool(store)
}

// spool puts a spool before a store that may be away, if there is a folder.
func (o *Options) spool(store visibility.Store) (visibility.Store, error) {
	if o.DataDir == "" || o.flags.spoolBytes <= 0 {
		return store, nil
	}
	spooled, err := spool.Open(store, spool.Options{
		Dir: filepath.Join(o.DataDir, "spool"), MaxBytes: o.flags.spoolBytes, Logger: o.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return spooled, nil
}

// tls returns how Cassandra is spoken to by what the flags say; nil: plainly.
func (f *storeFlags) tls() (*tls.Config, error) {
	if f.caFile == "" && f.certFile == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.caFile != "" {
		var err error
		if config.RootCAs, err = authorities("--cassandra-ca-file", f.caFile); err != nil {
			return nil, err
		}
	}
	if f.certFile != "" {
		pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--cassandra-cert-file, --cassandra-key-file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// authorities reads the file of a flag.
func authorities(flag, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %s has no certificate: %w", flag, file, visibility.ErrInvalid)
	}
	return pool, nil
}
