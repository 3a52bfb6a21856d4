package access_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/kubeauth"
	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/internal/testutil"
)

// apply parses flags and applies them.
func apply(t *testing.T, args ...string) (server.Options, error) {
	t.Helper()
	var f access.Flags
	set := pflag.NewFlagSet("program", pflag.ContinueOnError)
	f.Add(set, server.DefaultRateLimit)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	o := server.Options{Logger: slog.New(slog.DiscardHandler)}
	err := f.Apply(&o)
	return o, err
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const kubeconfig = `{apiVersion: v1, kind: Config, current-context: c,
contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: u, user: {token: t}}]}`

func TestWhatFlagsMean(t *testing.T) {
	ca := testutil.NewAuthority(t)
	cert, key := ca.Server(t)
	tokens := write(t, "tokens", "0123456789abcdef,ann,operator")
	tls := []string{"--tls-cert-file", cert, "--tls-key-file", key}

	o, err := apply(t)
	if err != nil || o.TLS != nil || o.Authenticator != nil || o.AllowRemote || o.RateLimit != server.DefaultRateLimit {
		t.Errorf("no flags: %+v, %v", o, err)
	}
	o, err = apply(t, append(tls, "--auth", "token-file", "--token-file", tokens, "--metrics-addr", ":1", "--health-addr", ":2", "--rate-limit", "5")...)
	if _, ok := o.Authenticator.(*auth.Tokens); err != nil || !ok || o.TLS == nil || o.MetricsAddr != ":1" || o.HealthAddr != ":2" || o.RateLimit != 5 {
		t.Errorf("token file: %+v, %v", o, err)
	}
	o, err = apply(t, append(tls, "--tls-client-ca-file", ca.File, "--tls-client-name", "clover-controller")...)
	if certificates, ok := o.Authenticator.(auth.Certificates); err != nil || !ok || len(certificates.Names) != 1 {
		t.Errorf("client certificates: %+v, %v", o, err)
	}
	o, err = apply(t, append(tls, "--tls-client-ca-file", ca.File, "--auth", "kubernetes", "--auth-kubeconfig", write(t, "config", kubeconfig))...)
	both, ok := o.Authenticator.(auth.First)
	if _, isReviewer := o.Authorizer.(*kubeauth.Reviewer); err != nil || !ok || !isReviewer || len(both) != 2 {
		t.Errorf("kubernetes: %+v, %v", o, err)
	}
}

func TestFlagsThatDoNotFit(t *testing.T) {
	ca := testutil.NewAuthority(t)
	cert, key := ca.Server(t)
	for want, args := range map[string][]string{
		"--tls-key-file are needed together":    {"--tls-cert-file", cert},
		"also for --tls-client-ca-file":         {"--tls-client-ca-file", ca.File},
		"--tls-client-name needs":               {"--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-name", "x"},
		"no such file":                          {"--tls-cert-file", cert, "--tls-key-file", "nothing"},
		"--token-file needs --auth token-file":  {"--token-file", cert},
		"--auth token-file needs --token-file":  {"--auth", "token-file"},
		":1: 1 fields":                          {"--auth", "token-file", "--token-file", cert},
		`"ldap" is not none, token-file`:        {"--auth", "ldap"},
		"outside a pod give --auth-kubeconfig":  {"--auth", "kubernetes"},
		"--auth-audience needs --auth kubernet": {"--auth-audience", "x"},
		"--rate-limit 0":                        {"--rate-limit", "0"},
	} {
		if _, err := apply(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
