package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/internal/testutil"
)

// TestAlertsByMutualTLS has the IDS and the proxy know each other by
// certificates of one authority, and a stranger with those of another.
func TestAlertsByMutualTLS(t *testing.T) {
	ours, others := testutil.NewAuthority(t), testutil.NewAuthority(t)
	cert, key := ours.Server(t)
	proxy := start(t, "proxy", "--upstream", "127.0.0.1:1", "--mirror", "", "--trusted-hops", "1",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file", ours.File, "--tls-client-name", "clover-controller,snort-ids")
	clientCert, clientKey := ours.Client(t, "snort-ids")
	ids := start(t, "ids", "--alerts", proxy.grpc, "--alerts-ca-file", ours.File, "--alerts-cert-file", clientCert, "--alerts-key-file", clientKey)
	get(t, "http://"+ids.http+"/", "X-Forwarded-For", "203.0.113.9", "User-Agent", "asafaweb.com")
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, _ := get(t, "http://"+proxy.http+"/", "X-Forwarded-For", "203.0.113.9")
		return code == 403, ids.log.String()
	})

	strangerCert, strangerKey := others.Client(t, "snort-ids")
	serverCert, serverKey := ours.Client(t, "clover-server1")
	for name, creds := range map[string]credentials.TransportCredentials{
		"another service": credentials.NewTLS(ours.ClientConfig(t, serverCert, serverKey)),
		"a stranger":      credentials.NewTLS(ours.ClientConfig(t, strangerCert, strangerKey)), "nobody": credentials.NewTLS(ours.ClientConfig(t)), "plaintext": nil,
	} {
		ctl := nginx.NewControllerClient(dial(t, proxy, creds))
		if _, err := ctl.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{Unblock: []string{"203.0.113.9"}}); err == nil {
			t.Errorf("%s may control the proxy", name)
		}
	}
	ctl := nginx.NewControllerClient(dial(t, proxy, credentials.NewTLS(ours.ClientConfig(t, clientCert, clientKey))))
	if _, err := ctl.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{Unblock: []string{"203.0.113.9"}}); err != nil {
		t.Errorf("ours: %v", err)
	}
}

// TestOthersThanLoopbackNeedCertificates holds that nobody can be let in by
// leaving a flag out.
func TestOthersThanLoopbackNeedCertificates(t *testing.T) {
	ours := testutil.NewAuthority(t)
	cert, key := ours.Server(t)
	for flag, args := range map[string][]string{
		"--tls-client-ca-file": {"--grpc-addr", ":0", "--tls-cert-file", cert, "--tls-key-file", key},
		"--tls-cert-file":      {"--grpc-addr", ":0"},
		"--tls-key-file":       {"--tls-cert-file", cert, "--tls-key-file", cert},
		"--tls-client-name":    {"--tls-client-name", "a"},
		"--otlp-ca-file":       {"--otlp", "127.0.0.1:1", "--otlp-ca-file", key},
	} {
		err := run(t.Context(), append([]string{"lb", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...), &testutil.Output{}, &testutil.Output{})
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v: %v, want a word on %s", args, err, flag)
		}
	}
}
