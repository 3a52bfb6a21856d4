package visibilityredis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Address says where a Redis is and how to call it.
type Address struct {
	// URL is HOST:PORT, or redis://USER:PASSWORD@HOST:PORT/DB, with TLS
	// rediss://…. The parameters addr=HOST:PORT, which may be given again, and
	// cluster=true name a Redis Cluster; master_name=NAME says that the hosts
	// are Sentinels. User and password are always those of Redis itself.
	// Others are of go-redis: dial_timeout, read_timeout, write_timeout,
	// pool_size, max_retries, protocol, skip_verify.
	URL string
	// Password is used if the URL has none; SentinelUsername and
	// SentinelPassword are for Sentinels.
	Password, SentinelUsername, SentinelPassword string
	// CAFile holds the certificates to trust, "" the system's; CertFile and
	// KeyFile are the client's own, "" none. All are PEM, read once.
	CAFile, CertFile, KeyFile string
}

// ErrAddress says that an address, or a file that it names, cannot be used.
// It does not show the password.
var ErrAddress = errors.New("no address of a Redis")

// dialTimeout bounds one attempt to connect.
const dialTimeout = 2 * time.Second

// Open returns a client, and the address without credentials for people to
// read. It connects when it is used.
func Open(a Address) (client redis.UniversalClient, target string, err error) {
	text := a.URL
	if !strings.Contains(text, "://") {
		text = "redis://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, "", fmt.Errorf("%w: want HOST:PORT or redis://USER@HOST:PORT/DB, what is special in a password percent-encoded, or the password in REDIS_PASSWORD", ErrAddress)
	}
	o, err := a.options(u)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if o.TLSConfig != nil {
		if err := a.trust(o.TLSConfig); err != nil {
			return nil, "", fmt.Errorf("%w: %w", ErrAddress, err)
		}
	} else if a.CAFile+a.CertFile != "" {
		return nil, "", fmt.Errorf("%w: certificates are for TLS, so the URL has to begin with rediss://", ErrAddress)
	}
	target = strings.Join(o.Addrs, ",")
	if o.MasterName != "" {
		target = o.MasterName + " of " + target
	}
	return redis.NewUniversalClient(o), target, nil
}

// options reads a URL. The parameters that choose the kind of client are
// taken out; go-redis reads the others.
func (a *Address) options(u *url.URL) (*redis.UniversalOptions, error) {
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, fmt.Errorf("scheme %s: want redis or rediss", u.Scheme)
	}
	query := u.Query()
	more, master, cluster := query["addr"], query.Get("master_name"), false
	if text := query.Get("cluster"); text != "" {
		var err error
		if cluster, err = strconv.ParseBool(text); err != nil {
			return nil, errors.New("cluster: want true or false")
		}
	}
	for name := range query {
		switch name {
		case "addr", "master_name", "cluster":
			query.Del(name)
		case "dial_timeout", "read_timeout", "write_timeout", "pool_size", "max_retries", "protocol", "skip_verify":
		default:
			return nil, fmt.Errorf("parameter %q is not known", name)
		}
	}
	plain := *u
	plain.RawQuery = query.Encode()
	single, err := redis.ParseURL(plain.String())
	if err != nil {
		if parse := (*url.Error)(nil); errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, err
	}
	if cluster && (master != "" || single.DB != 0) {
		return nil, errors.New("a Redis Cluster has no master_name and no database but 0")
	}
	o := &redis.UniversalOptions{
		Addrs: append([]string{single.Addr}, more...), MasterName: master, IsClusterMode: cluster || master == "" && len(more) > 0,
		Username: single.Username, Password: single.Password, DB: single.DB, TLSConfig: single.TLSConfig,
		SentinelUsername: a.SentinelUsername, SentinelPassword: a.SentinelPassword,
		DialTimeout: single.DialTimeout, ReadTimeout: single.ReadTimeout, WriteTimeout: single.WriteTimeout,
		PoolSize: single.PoolSize, MaxRetries: single.MaxRetries, Protocol: single.Protocol,
		ContextTimeoutEnabled: true, DialerRetries: 1,
	}
	if o.Password == "" {
		o.Password = a.Password
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	return o, nil
}

// trust puts the files' certificates into a configuration.
func (a *Address) trust(c *tls.Config) error {
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		if err != nil {
			return err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate in PEM", a.CAFile)
		}
	}
	if a.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		if err != nil {
			return err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return nil
}
